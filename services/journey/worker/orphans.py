"""Looks for live enrolments that nothing would wake (orphans), and has a turn of their customer heal them.

A live enrolment waits for exactly one thing: a timer, a send in flight, a park, or mail of its own. That it has a
reason to wait, and that a timer has its time, is held by constraints of the table. For a send the gateway is asked: if
it has no such send, or has settled it and the mail of the outcome was taken already, nothing would ever wake the
enrolment. It is noted, and the worker runs a turn in which it asks again under the same key: the gateway answers what
became of the send, or takes it up. Who has mail waits for a later look, see ADR 29.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.mailbox.api import MailSink
from libs.common.tasks import set_within
from services.journey import metrics
from services.journey.clients.sends import AwaitedSend, SendProbe
from services.journey.domain import effects as fx
from services.journey.domain.model import ActorKey
from services.journey.store.orphans import EnrolmentKey, OrphanStore, SearchPosition, Suspect
from services.journey.worker.outages import OUTAGES
from services.journey.worker.past import Past

PAGE: Final = 200
"""Customers looked at in one go."""
SENDS_MAX: Final = 500
"""Sends of one question to the gateway, some 100 kB; a page of customers in several journeys may need another."""
_START: Final = SearchPosition(-1, datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))

_log = structlog.get_logger(__name__)


class OrphanChecker:
    """Goes through the sends in flight of the partitions that its worker owns, page by page, for ever."""

    def __init__(
        self,
        *,
        store: OrphanStore,
        probe: SendProbe,
        mailbox: MailSink,
        clock: Clock,
        owned: Callable[[], Mapping[int, int]],
        heal: Callable[[Iterable[ActorKey]], None],
        every_s: float,
        age_s: float,
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """`heal` has customers ask again.

        A page is looked at every `every_s` real seconds; sends younger than `age_s` real seconds, and those of
        partitions for which `mailbox` holds mail, are left alone.
        """
        self._store = store
        self._probe = probe
        self._mailbox = mailbox
        self._clock = clock
        self._owned = owned
        self._heal = heal
        self._every_s = every_s
        self._past = Past(age_s)
        self._real_time = real_time
        self._after = _START

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
        """The next of those who have waited for long, but for those whose partitions hold mail."""
        until = self._past.look(self._real_time(), self._clock.now())
        if until is None:
            return []
        page, following = await self._store.awaited_sends(owned, self._after, until, PAGE)
        self._after = following or _START
        if not page:
            return []
        queued = await self._mailbox.mail_counts(sorted({key.partition for key in page}), 1)
        return [key for key in page if not queued[key.partition]]

    async def _note(self, runs: Sequence[EnrolmentKey]) -> None:
        suspects = await self._store.look_at(runs) if runs else []
        orphans: list[Suspect] = []
        for first in range(0, len(suspects), SENDS_MAX):
            asked = suspects[first : first + SENDS_MAX]
            # After the rows were read: an outcome settled by then has a number after the one taken, or was taken.
            orphans += [asked[place] for place in await self._probe.find_lost([*map(_awaited, asked)])]
        if orphans and (fresh := await self._store.note(orphans)):
            metrics.ORPHANS_FOUND.inc(fresh)
            _log.error("orphans found", enrolments=[str(orphan.key.enrolment_id) for orphan in orphans])


def _awaited(suspect: Suspect) -> AwaitedSend:
    key = suspect.key
    effect_key = fx.effect_key(key.enrolment_id, suspect.node_id, suspect.visit)
    return AwaitedSend(key.team_id, key.customer_id, effect_key, suspect.taken_gateway)
