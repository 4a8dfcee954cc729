"""Erases persons, a step after the other, from wherever a crash left it (ADR 59)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from libs.common import crash
from libs.common.backoff import Backoff
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.db.persons import erase_answers
from libs.common.db.pool import transaction
from libs.common.errors import DomainError
from libs.common.ids import new_id
from libs.common.logging import about
from libs.common.persons import searched
from libs.common.tasks import any_set
from services.segment import metrics
from services.segment.clients.persons import Part, PersonsClient
from services.segment.domain.customer_changes import CustomerChanges
from services.segment.domain.erasure import Erasure, ErasureStep, known_by
from services.segment.domain.facts import CustomerChanged, Fact
from services.segment.domain.views import CustomerParts
from services.segment.store import customers
from services.segment.store.base import lock_customers
from services.segment.store.erasures import ErasureStore
from services.segment.store.writes import Writes, save
from services.segment.worker.writers import FactPublisher, Writer, ids_of

CLAIM_S: Final = 60.0
"""A process that dies leaves its erasure to others after so long."""
POLL_S: Final = 5.0
"""How often it looks by itself: another process may have left one."""
_PAUSES: Final = Backoff(first_s=0.1, max_s=30.0)
"""Between looks at what is waited for, and tries of a step that failed; other erasures go on meanwhile."""
_LATER_S: Final = 0.005
"""So that what is due by this clock is due by the database's."""
_ALL: Final = CustomerParts(archived=True)
_BASICS: Final = ("name", "member_id", "phone", "email")

_log = structlog.get_logger(__name__)


class Erasing:
    """A loop, see `libs.common.tasks`. Several processes may run it: an erasure is worked on by one at a time, and a
    step that two have done is done all the same."""

    def __init__(
        self,
        store: ErasureStore,
        others: PersonsClient,
        writer: Writer,
        publisher: FactPublisher,
        clock: Clock,
    ) -> None:
        """`others` are the services beside segment."""
        self._store = store
        self._others = others
        self._writer = writer
        self._publisher = publisher
        self._clock = clock
        self._woken = asyncio.Event()
        self._due_s: list[float] = []
        """When erasures that were left here are due again, monotonic."""
        self._work: dict[ErasureStep, Callable[[Erasure], Awaitable[Part]]] = {
            ErasureStep.SETTLE_WEBHOOKS: self._settle_webhooks,
            ErasureStep.END_ENROLMENTS: self._end_enrolments,
            ErasureStep.REMOVE_MESSAGES: self._removing("channel_gateway"),
            ErasureStep.REMOVE_STEPS: self._removing("journey"),
            ErasureStep.REMOVE_POINTS_TEXTS: self._removing("points"),
            ErasureStep.REMOVE_CLICKS: self._removing("stats"),
            ErasureStep.REMOVE_FACTS: self._bare_facts,
            ErasureStep.REMOVE_ANSWERS: self._erase_answers,
            ErasureStep.REMOVE_AUDIT: self._erase_audit,
        }

    def wake(self) -> None:
        """There is one to be done."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two parts of a step."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                while not stopping.is_set() and await self.step():
                    pass
            except PASSING as error:
                _log.warning("erasures wait for the database", error=repr(error))
            # Those that wait here are looked at when they are due, those of other processes now and then.
            now_s = time.monotonic()
            self._due_s = [due_s for due_s in self._due_s if due_s > now_s]
            await any_set(
                stopping, self._woken, timeout_s=min([POLL_S, *(due_s - now_s for due_s in self._due_s)])
            )

    async def step(self) -> bool:
        """Does what can be done now of the erasure that has waited longest; False if there is none. Raises the driver's
        errors."""
        own = new_id()
        key = await self._store.claim(own, CLAIM_S)
        if key is None:
            return False
        erasure = await self._store.read(key)
        try:
            while erasure.step < ErasureStep.DONE:
                after = await self._next(erasure, own)
                if after is None:
                    break
                erasure = after
            else:
                metrics.ERASED.inc()
                return True
        except PASSING:
            raise
        except DomainError as error:
            _log.warning("an erasure waits", id=str(key[1]), error=error.message, **about(team_id=key[0]))
        except Exception:  # noqa: BLE001 - whatever it is, it is this erasure's: the others go on
            metrics.ERASURE_FAULTS.inc()
            _log.exception(
                "a step of an erasure failed", id=str(key[1]), step=erasure.step.name, **about(team_id=key[0])
            )
        tries = (await self._store.read(key)).tries
        pause_s = _PAUSES.delay_s(tries + 1)
        await self._store.leave(key, own, pause_s)
        self._due_s.append(time.monotonic() + pause_s + _LATER_S)
        return True

    async def _next(self, erasure: Erasure, own: UUID) -> Erasure | None:
        """The erasure a part further on; None if it waits, or if somebody else has it."""
        if erasure.step is ErasureStep.CLOSE:
            return await self._close(erasure, own)
        part = await self._work[erasure.step](erasure)
        crash.reach("segment.after_erasing")
        if part.waits:
            return None
        after = replace(erasure, cursor=part.cursor, updated_at=self._clock.now())
        if part.done:
            after = _further(after)
        return after if await self._store.advance(after, own, CLAIM_S) else None

    async def _close(self, erasure: Erasure, own: UUID) -> Erasure | None:
        """Removes the customer, and tells that they are no more what others know them by. What is kept under the ids of
        those who were merged into them is erased by erasures of its own."""
        if await self._store.is_merged_into(erasure.key):
            return None

        async def once() -> Erasure | None:
            facts: list[Fact] = []
            async with transaction(self._store.pool, [erasure.team_id]) as connection:
                held = await lock_customers(connection, [erasure.key])
                after = replace(erasure, updated_at=self._clock.now())
                if (customer := held.get(erasure.key)) is not None:
                    view = (await customers.load_views(connection, [erasure.key], _ALL))[erasure.key]
                    now = self._clock.now()
                    merged = await self._store.merged(connection, erasure.key)
                    texts = [text for each in merged for text in (str(each.customer_id), *each.texts)]
                    tokens = await self._store.tokens(connection, erasure.key)
                    former = await self._store.former_ids(connection, view)
                    known = known_by(view, [*texts, *tokens, *former])
                    await self._store.remove_customer(connection, view)
                    await self._store.insert_merged(connection, erasure.team_id, merged, known, now)
                    changes = CustomerChanges(held, now, ids_of(now))
                    changes.emit(customer, now, CustomerChanged(_BASICS))
                    facts = await save(connection, Writes(), changes.facts, now)
                    after = replace(after, known=known, mail_number=customer.mail_number + 1)
                after = _further(after)
                if not await self._store.advance_within(connection, after, own, CLAIM_S):
                    return None
            crash.reach("segment.after_erasing")
            self._publisher.publish(facts)
            return after

        return await self._writer.until_alone("edits", once)

    async def _settle_webhooks(self, erasure: Erasure) -> Part:
        return await self._others.settle("channel_gateway", erasure.key, (), erasure.created_at)

    async def _end_enrolments(self, erasure: Erasure) -> Part:
        return await self._others.settle(
            "journey", erasure.key, erasure.identifiers, erasure.created_at, erasure.mail_number
        )

    def _removing(self, service: str) -> Callable[[Erasure], Awaitable[Part]]:
        async def remove(erasure: Erasure) -> Part:
            return await self._others.remove(
                service, erasure.key, erasure.identifiers, erasure.updated_at, erasure.cursor
            )

        return remove

    async def _bare_facts(self, erasure: Erasure) -> Part:
        return _part(await self._store.bare_facts(erasure))

    async def _erase_answers(self, erasure: Erasure) -> Part:
        """First the answers, then the keys of events: cursors of the two begin with another letter."""
        kind, after = erasure.cursor[:1] or "a", erasure.cursor[1:]
        if kind == "a":
            wanted = searched(erasure.identifiers)
            last = await erase_answers(self._store.pool, erasure.team_id, after, wanted)
            return Part(False, "k" if last is None else f"a{last}", False)
        last = await self._store.hide_keys(replace(erasure, cursor=after))
        return Part(not last, last and f"k{last}", False)

    async def _erase_audit(self, erasure: Erasure) -> Part:
        if not await self._store.are_merged_erased(erasure.key):
            return Part(done=False, cursor=erasure.cursor, waits=True)
        return _part(await self._store.erase_audit(erasure))


def _part(cursor: str) -> Part:
    return Part(not cursor, cursor, False)


def _further(erasure: Erasure) -> Erasure:
    """At the beginning of the next step. With the last one goes what the person was known by."""
    step = ErasureStep(erasure.step + 1)
    return replace(erasure, step=step, cursor="", known=None if step is ErasureStep.DONE else erasure.known)
