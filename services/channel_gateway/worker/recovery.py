"""Adopts the sends of processes that are gone: at the start, and again and again while the process lives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.db.faults import PASSING
from libs.common.tasks import set_within
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import KEY_AGE_MAX_S
from services.channel_gateway.domain.model import Account
from services.channel_gateway.store.deliveries import ADOPT_PAGE_MAX, Adopted, DeliveryStore
from services.channel_gateway.worker.send_traces import SendTraces
from services.channel_gateway.worker.sender import Sender
from services.channel_gateway.worker.spill import Refill

INTERVAL_S: Final = 2.0
GATHER_FROM: Final = 20
"""Stints that may stand without anybody minding what is settled in them."""
PUT_OFF_EVERY_S: Final = 60.0
"""Real seconds between two looks for sends in doubt that were put off and nobody asks for again."""
GATHER_EVERY_S: Final = 60.0
"""Real seconds between two looks at how much of the stints that stand is unsettled: each reads all of them."""

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def _apart(what: str, **about: UUID) -> Iterator[None]:
    """Whatever is unforeseen within the block holds up nothing else, and is tried again with the next look."""
    try:
        yield
    except PASSING:
        raise
    except Exception:  # noqa: BLE001 - see above
        _log.exception(what, **{name: str(value) for name, value in about.items()})


class Liveness(Protocol):
    """Who among the senders is alive."""

    async def is_gone(self, sender: UUID) -> bool:
        """Whether a sender's process has ended."""
        ...


class Accounts(Protocol):
    """Accounts by their ids."""

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id; deleted ones are absent."""
        ...


class Recovery:
    """Looks for sends that nobody works on."""

    def __init__(
        self,
        store: DeliveryStore,
        accounts: Accounts,
        liveness: Liveness,
        sender: Sender,
        *,
        traces: SendTraces,
    ) -> None:
        """`sender` takes the sends up, with the `traces` that they are on."""
        self._traces = traces
        self._store = store
        self._accounts = accounts
        self._liveness = liveness
        self._sender = sender
        self._missed: set[tuple[UUID, UUID]] = set()
        self._gather_at_s = 0.0
        self._put_off_at_s = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Adopts until told to stop."""
        while not stopping.is_set():
            try:
                await self.step()
            except PASSING as error:
                _log.warning("sends of other processes cannot be looked for", error=str(error))
            except Exception:  # noqa: BLE001 - the process's own sends go on, and it is tried again
                _log.exception("sends of other processes cannot be looked for")
            await set_within(stopping, INTERVAL_S)

    async def step(self) -> None:
        """Adopts what processes left that are gone now, and what this one lost. Raises the driver's errors."""
        for refill in self._sender.queue.refills():
            with _apart("an account's sends cannot be read again", account_id=refill.account[1]):
                await self._refill(refill)
        senders = await self._store.unsettled_senders()
        await self._adopt_lost(senders.pop(self._sender.sender_id, set()))
        for sender, teams in senders.items():
            if await self._liveness.is_gone(sender):
                with _apart("a sender's sends cannot be adopted", sender_id=sender):
                    await self._adopt(sender, teams)
        await self._end_put_off()
        await self._end_stints()

    async def _end_put_off(self) -> None:
        """Sends in doubt that were put off, and whose journey was stopped, say: once the channel has forgotten their
        keys, nobody can know of them any more."""
        if time.monotonic() < self._put_off_at_s:
            return
        while taken := await self._store.take_up_put_off(
            KEY_AGE_MAX_S, self._sender.sender_id, self._sender.stints.take(0)
        ):
            await self._take_up(taken)
        self._put_off_at_s = time.monotonic() + PUT_OFF_EVERY_S

    async def _end_stints(self) -> None:
        """Ends stints that take no more sends: our own but for the last one, and those of processes that are gone."""
        stints = await self._store.stints()
        over = {self._sender.sender_id}
        over |= {
            each for each in {sender for _, sender in stints} - over if await self._liveness.is_gone(each)
        }
        current = self._sender.stints.current
        ended = [stint for stint, sender in stints if stint != current and sender in over]
        if len(ended) > GATHER_FROM and time.monotonic() >= self._gather_at_s:
            self._gather_at_s = time.monotonic() + GATHER_EVERY_S
            target = self._sender.stints.take(0)
            await self._store.gather_stints(ended, target, self._sender.sender_id)
        if ended:
            await self._store.end_stints(ended)

    async def _adopt(self, sender: UUID, teams: set[UUID]) -> None:
        while adopted := await self._store.adopt(sender, teams, self._sender.sender_id):
            await self._take_up(adopted)
            if len(adopted) < ADOPT_PAGE_MAX:
                break

    async def _refill(self, refill: Refill) -> None:
        """Reads sends that did not fit into memory, for a lane that has room again."""
        team_id, account_id = refill.account
        found = await self._store.left_of(
            team_id,
            account_id,
            self._sender.sender_id,
            self._sender.queue.checked_out(team_id),
            refill.room,
        )
        accounts = await self._accounts.accounts([refill.account])
        await self._traces.put_on([item.job for item in found])
        self._sender.refill(refill, found, accounts.get(refill.account))

    async def _adopt_lost(self, teams: set[UUID]) -> None:
        """Own sends whose commit was never heard of: unsettled, and not checked out in two looks on end."""
        if not teams:
            self._missed = set()
            return
        # Those of spilled accounts are not looked at: what of them is not checked out is read when there is room.
        spilled = [account_id for _, account_id in self._sender.queue.spilled]
        lost = self._sender.queue.lost(await self._store.unsettled_of(self._sender.sender_id, teams, spilled))
        twice = sorted(lost & self._missed)
        self._missed = lost - set(twice)
        if twice:
            await self._take_up(await self._store.readopt(twice, self._sender.sender_id))

    async def _take_up(self, adopted: Sequence[Adopted]) -> None:
        accounts = await self._accounts.accounts(
            list({(item.job.team_id, item.job.account_id) for item in adopted})
        )
        await self._traces.put_on([item.job for item in adopted])
        for item in adopted:
            account = accounts.get((item.job.team_id, item.job.account_id))
            self._sender.take_up(item, account)
            metrics.ADOPTED.labels(item.job.channel.name).inc()
        _log.warning("adopted sends that nobody worked on", count=len(adopted))
