"""What is done to balances beside sends: failed sends are given back, and who has little left is warned, once."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.logging import about
from libs.common.tasks import set_within
from services.channel_gateway import metrics
from services.channel_gateway.store.charges import ChargeStore

LOOK_S: Final = 2.0
"""Between two looks."""

_log = structlog.get_logger(__name__)


class Accounting:
    """Any number of processes do this side by side: the one that changes a row tells of it."""

    def __init__(self, store: ChargeStore, clock: Clock) -> None:
        """`clock`: domain time of refunds."""
        self._store = store
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks again and again until told to stop."""
        while not stopping.is_set():
            try:
                await self.step()
            except PASSING as error:
                _log.warning("balances cannot be looked at now", error=str(error) or type(error).__name__)
            await set_within(stopping, LOOK_S)

    async def step(self) -> None:
        """One look at all teams. Raises the driver's errors."""
        for team_id, keys in (await self._store.refunds_due()).items():
            refunded = await self._store.refund(team_id, keys, self._clock.now())
            metrics.REFUNDS.inc(refunded)
        for team_id in await self._store.crossings():
            crossing = await self._store.cross(team_id)
            if crossing is None:
                continue
            metrics.BALANCE_CROSSINGS.labels("BELOW" if crossing.is_below else "ABOVE").inc()
            _log.warning(
                "a balance is low" if crossing.is_below else "a balance is not low any more",
                currency=crossing.currency,
                balance_micros=crossing.balance_micros,
                threshold_micros=crossing.threshold_micros,
                **about(team_id=team_id),
            )
