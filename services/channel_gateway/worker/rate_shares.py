"""The shares of this process in the rates of accounts: renewed while it uses them (ADR 54).

Renewals bring along what is known of an account elsewhere: one that was disabled or deleted through another process
stops here with the next of them, well within a second, and so does one that its channel asked another process to hold,
or to hold for one person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

import msgspec
import structlog

from libs.common.db.faults import PASSING
from libs.common.errors import DomainError
from libs.common.tasks import set_within
from services.channel_gateway.domain.model import Account, AccountState
from services.channel_gateway.store.rates import HOLDS_MAX, Ask, Hold, Share
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.queue import SendQueue
from services.channel_gateway.worker.spill import AccountKey

LENGTH_S: Final = 2.0
"""A share lasts so long: what a process that died had is lost for that time at most."""
RENEW_S: Final = 0.25
"""Real seconds between two renewals."""
ASKS_MAX: Final = 1_000
"""Accounts renewed in one statement."""
BUSY, QUIET = 8, 1
"""Weights: a process with sends that wait gets more of an account than one that has none at the moment."""

_log = structlog.get_logger(__name__)


class Rates(Protocol):
    """Where processes share rates."""

    async def renew(self, sender: UUID, asks: Sequence[Ask], length: timedelta) -> list[Share]:
        """Shares, for `length` of real time."""
        ...


class Accounts(Protocol):
    """Accounts by their ids."""

    async def accounts(self, keys: Sequence[AccountKey]) -> Mapping[AccountKey, Account]:
        """Accounts by team and id; deleted ones are absent."""
        ...


class RateShares:
    """A loop, see `libs.common.tasks`."""

    def __init__(self, sender_id: UUID, rates: Rates, accounts: Accounts, queue: SendQueue) -> None:
        """`sender_id` names this process; `queue` goes by the shares."""
        self._sender_id = sender_id
        self._rates = rates
        self._accounts = accounts
        self._queue = queue
        self._renewing = asyncio.Lock()

    async def run(self, stopping: asyncio.Event) -> None:
        """Renews until told to stop."""
        while not stopping.is_set():
            await self._apart(self._queue.used_lanes)
            await set_within(stopping, RENEW_S)

    async def ready(self, accounts: Collection[Account]) -> None:
        """Returns when this process has shares in the rates of these accounts, be they nothing, or cannot get any."""
        if self._queue.without_share(accounts):
            await self._apart(lambda: self._queue.without_share(accounts))

    async def _apart(self, wanting: Callable[[], list[Lane]]) -> None:
        try:
            async with self._renewing:
                lanes = wanting()
                for first in range(0, len(lanes), ASKS_MAX):
                    await self._renew(lanes[first : first + ASKS_MAX])
        except (*PASSING, DomainError) as error:
            _log.warning("shares of rates cannot be renewed", error=str(error))
        except Exception:  # noqa: BLE001 - sends wait until it works again; nothing else is held up
            _log.exception("shares of rates cannot be renewed")

    async def _renew(self, lanes: Sequence[Lane]) -> None:
        """A share that has become less is confirmed at once, so that others may have the rest of it."""
        while lanes:
            began_s = time.monotonic()
            unshared = [lane.unshared(HOLDS_MAX) for lane in lanes]
            asks = [
                Ask(*_key(lane), _weight_of(lane), lane.share_at(began_s), _holds(holds, began_s))
                for lane, holds in zip(lanes, unshared, strict=True)
            ]
            shares = await self._rates.renew(self._sender_id, asks, timedelta(seconds=LENGTH_S))
            less: list[Lane] = []
            changed: list[tuple[Lane, int]] = []
            for share in shares:
                lane, ask = lanes[share.place - 1], asks[share.place - 1]
                now_s = time.monotonic()
                # From before the question was asked: the server's time is over later.
                lane.take_share(share.share, began_s + LENGTH_S, now_s)
                lane.shared(unshared[share.place - 1])
                if share.holds:
                    lane.learn_holds({who: now_s + left_s for who, left_s in share.holds}, now_s)
                if share.share < ask.held:
                    less.append(lane)
                if share.version > lane.account.version:
                    changed.append((lane, share.version))
            self._queue.wake()
            await self._learn(changed)
            lanes = less

    async def _learn(self, changed: Sequence[tuple[Lane, int]]) -> None:
        """Reads accounts that have another version, and notes those that are gone under it."""
        if not changed:
            return
        found = await self._accounts.accounts([_key(lane) for lane, _ in changed])
        for lane, version in changed:
            gone = msgspec.structs.replace(lane.account, state=AccountState.DISABLED, version=version)
            self._queue.update_account(found.get(_key(lane), gone))


def _key(lane: Lane) -> AccountKey:
    return lane.account.team_id, lane.account.account_id


def _weight_of(lane: Lane) -> int:
    return BUSY if len(lane) else QUIET


def _holds(until_s: Mapping[str, float], now_s: float) -> list[Hold]:
    return [Hold(who, each_s - now_s) for who, each_s in until_s.items() if each_s > now_s]
