"""Looks for live enrolments that nothing would wake (orphans), and has a turn of their customer heal them.

A live enrolment waits for exactly one thing: a timer, a send in flight, a park, or mail of its own. That it has a
reason to wait, and that a timer has its time, is held by constraints of the table. For a send the gateway is asked: if
it has no such send, or has settled it and the mail of the outcome was taken already, nothing would ever wake the
enrolment. It is noted, and the worker runs a turn in which it asks again under the same key: the gateway answers what
became of the send, or takes it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.mailbox.mail import SendOutcome
from libs.common.tasks import set_within
from services.journey import metrics
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.mail import MailReader
from services.journey.clients.sends import SendProbe
from services.journey.domain import effects as fx
from services.journey.domain.model import ActorKey
from services.journey.store.orphans import EnrolmentKey, OrphanStore, SearchPosition, Suspect
from services.journey.worker.outages import OUTAGES

PAGE: Final = 200
"""Enrolments looked at in one go."""
PROBES_AT_ONCE: Final = 8
MAIL_PAGES_MAX: Final = 4
"""Pages of a customer's mail that are looked through for an outcome."""
_START: Final = SearchPosition(-1, datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))

_log = structlog.get_logger(__name__)


class OrphanChecker:
    """Goes through the sends in flight of the partitions that its worker owns, page by page, for ever."""

    def __init__(
        self,
        *,
        store: OrphanStore,
        probe: SendProbe,
        outcomes: MailReader,
        clock: Clock,
        owned: Callable[[], Mapping[int, int]],
        heal: Callable[[Iterable[ActorKey]], None],
        every_s: float,
        age_s: float,
    ) -> None:
        """`outcomes` reads the gateway's mail; `heal` has customers ask again.

        A page is looked at every `every_s` real seconds; sends younger than `age_s` domain seconds are left alone.
        """
        self._store = store
        self._probe = probe
        self._outcomes = outcomes
        self._clock = clock
        self._owned = owned
        self._heal = heal
        self._every_s = every_s
        self._age = timedelta(seconds=age_s)
        self._after = _START
        self._limit = asyncio.Semaphore(PROBES_AT_ONCE)

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.step()
            except OUTAGES as error:
                _log.warning("orphans cannot be looked for", error=repr(error))
            await set_within(stopping, self._every_s)

    async def step(self) -> None:
        """One page: finds, notes, and has healed what is noted. Raises `OUTAGES`."""
        owned = sorted(self._owned())
        if not owned:
            return
        await self._note(await self._next_page(owned))
        noted = await self._store.noted(owned, PAGE)
        healed = await self._store.forget_healed(noted) if noted else set()
        metrics.ORPHANS_HEALED.inc(len(healed))
        left = [run for run in noted if run not in healed]
        metrics.ORPHANS.set(len(left))
        self._heal({run.actor for run in left})

    async def _next_page(self, owned: Sequence[int]) -> list[EnrolmentKey]:
        until = self._clock.now() - self._age
        page, following = await self._store.awaited_sends(owned, self._after, until, PAGE)
        self._after = following or _START
        return page

    async def _note(self, runs: Sequence[EnrolmentKey]) -> None:
        suspects = await self._store.look_at(runs) if runs else []
        verdicts = await asyncio.gather(*(self._lost_its_send(suspect) for suspect in suspects))
        orphans = [suspect for suspect, orphaned in zip(suspects, verdicts, strict=True) if orphaned]
        if orphans and (fresh := await self._store.note(orphans)):
            metrics.ORPHANS_FOUND.inc(fresh)
            _log.error("orphans found", enrolments=[str(orphan.key.enrolment_id) for orphan in orphans])

    async def _lost_its_send(self, suspect: Suspect) -> bool:
        """Whether the outcome will come neither from the gateway nor with mail that waits."""
        team_id, customer_id = suspect.key.team_id, suspect.key.customer_id
        key = fx.effect_key(suspect.key.enrolment_id, suspect.node_id, suspect.visit)
        async with self._limit:
            try:
                if await self._probe.is_under_way(team_id, key):
                    return False
                # After the gateway said so: an outcome that it had settled by then is among this mail, or was taken.
                return not await self._outcome_waits(team_id, customer_id, suspect.taken_gateway, key)
            except ServiceUnavailable as error:  # of this one: the others of the page are looked at
                _log.warning("a send cannot be looked for", effect_key=str(key), error=str(error))
                return False

    async def _outcome_waits(self, team_id: UUID, customer_id: UUID, after: int, key: UUID) -> bool:
        """Whether mail after a number has the outcome, or is more than is looked through."""
        for _ in range(MAIL_PAGES_MAX):
            mails, more = await self._outcomes.of_customer(team_id, customer_id, after)
            if any(isinstance(mail.body, SendOutcome) and mail.body.effect_key == key for mail in mails):
                return True
            if not more or not mails:
                return False
            after = mails[-1].number
        return True
