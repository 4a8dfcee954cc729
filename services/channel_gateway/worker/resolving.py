"""Settles anew the sends that ended as unknown after their channel had said that it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.feeds.publisher import CommitPublisher
from libs.common.tasks import set_within
from services.channel_gateway import metrics
from services.channel_gateway.domain.hearsay import MessageKey
from services.channel_gateway.store.taken import TakenStore

LOOK_S: Final = 2.0
"""Between two looks at what was told before its send was settled."""

_log = structlog.get_logger(__name__)


class Resolving:
    """A loop, see `libs.common.tasks`. Any number of processes do this side by side: the one that removes what was told
    goes by it."""

    def __init__(self, store: TakenStore, clock: Clock, publisher: CommitPublisher) -> None:
        """`publisher` publishes what is written of the sends."""
        self._store = store
        self._clock = clock
        self._publisher = publisher

    async def note(self, team_id: UUID, taken: Mapping[MessageKey, tuple[UUID, str]]) -> None:
        """Notes what a channel has, and goes by it where the send is unknown already. Raises the driver's errors."""
        unknown = await self._store.note(team_id, taken, self._clock.now())
        if unknown:
            await self._resolve(team_id, unknown)

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks again and again until told to stop."""
        while not stopping.is_set():
            try:
                await self.step()
            except PASSING as error:
                _log.warning(
                    "what channels told cannot be looked at now", error=str(error) or type(error).__name__
                )
            await set_within(stopping, LOOK_S)

    async def step(self) -> None:
        """One look at all teams. Raises the driver's errors."""
        for team_id, keys in (await self._store.due()).items():
            await self._resolve(team_id, keys)

    async def _resolve(self, team_id: UUID, effect_keys: Iterable[UUID]) -> None:
        count, written = await self._store.resolve(team_id, effect_keys, self._clock.now())
        metrics.RESOLVED.inc(count)
        self._publisher.publish(*written)
