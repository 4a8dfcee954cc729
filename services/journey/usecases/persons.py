"""What journey holds of a person: ended and erased with them, and read (ADR 59)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.persons import erase_answers
from libs.common.mailbox.mail import MailSource
from libs.common.persons import searched
from libs.common.rpc.persons import DONE, WAITS, Asked, Part, Person
from libs.common.stages import read_stage, write_stage
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.views import EnrolmentFilter, StoredEnrolment
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.parked import ParkedStore, actor_key
from services.journey.store.persons import PersonStore
from services.journey.usecases.ending import EndedEnrolments
from services.journey.usecases.parked import ParkedCustomers

ENROLMENTS_MAX: Final = 100
"""Enrolments of one step."""
_GOES_ON: Final = (EnrolmentState.LIVE, EnrolmentState.PARKED)
_READ: Final = ("enrolments",)

Key = Sequence[str]
Step = Callable[[Person, Key], Awaitable[Sequence[object] | None]]


class Persons:
    """See `libs.common.rpc.persons.Persons`."""

    def __init__(
        self,
        store: PersonStore,
        *,
        enrolments: EnrolmentStore,
        ended: EndedEnrolments,
        parked: ParkedCustomers,
    ) -> None:
        """`ended` ends enrolments, `parked` lets go of customers who were set aside."""
        self._store = store
        self._actors = ParkedStore(store.pool)
        self._enrolments = enrolments
        self._ended = ended
        self._parked = parked
        self._steps: Mapping[str, Step] = {
            "notes": self._notes,
            "seen": self._seen,
            "answers": self._answers,
        }
        self._order = list(self._steps)

    async def settle(self, person: Person, asked: Asked) -> Part:
        """Ends every live enrolment; done when the customer's actor has taken all mail of segment."""
        live = await self._page(person, None, _GOES_ON)
        if live:
            for each in live:
                await self._ended.take_out(each)
            return WAITS
        key = actor_key(*person.key)
        if await self._parked.find(*person.key):
            own = await self._store.last_own_number(person.key)
            numbers: dict[int, int] = {MailSource.SEGMENT: asked.last_mail_number, MailSource.JOURNEY: own}
            await self._parked.let_go(key, numbers)
        state = await self._actors.state(key)
        actor = state.actors.get(key)
        taken = 0 if actor is None else actor.taken.get(MailSource.SEGMENT, 0)
        return DONE if taken >= asked.last_mail_number else WAITS

    async def remove(self, person: Person, asked: Asked, cursor: str) -> Part:
        """A page of one kind of rows."""
        stage, key = read_stage(cursor, self._order)
        return Part(write_stage(stage, await self._steps[stage](person, key), self._order))

    async def read(self, person: Person, cursor: str) -> tuple[Sequence[str], str]:
        """Enrolments with their steps, newest first."""
        stage, key = read_stage(cursor, _READ)
        page = await self._page(person, key)
        records = [_record(each, await self._enrolments.steps(each)) for each in page]
        return records, write_stage(stage, _last(page), _READ)

    async def _notes(self, person: Person, _: Key) -> None:
        await self._store.blank_notes(person.key)

    async def _seen(self, person: Person, key: Key) -> Sequence[object] | None:
        page = await self._page(person, key)
        await self._store.bare_steps(person.key, page)
        return _last(page)

    async def _answers(self, person: Person, key: Key) -> Sequence[object] | None:
        wanted, after = searched(person.identifiers), key[0] if key else ""
        last = await erase_answers(self._store.pool, person.team_id, after, wanted)
        return None if last is None else [last]

    async def _page(
        self, person: Person, key: Key | None, states: Sequence[EnrolmentState] = ()
    ) -> list[StoredEnrolment]:
        after = (datetime.fromisoformat(key[0]), UUID(key[1])) if key else None
        wanted = EnrolmentFilter(None, person.customer_id, states)
        return await self._enrolments.page(person.team_id, wanted, after, ENROLMENTS_MAX)


def _last(page: Sequence[StoredEnrolment]) -> Sequence[object] | None:
    if len(page) < ENROLMENTS_MAX:
        return None
    return [page[-1].enrolment.created_at.isoformat(), page[-1].enrolment.enrolment_id]


def _record(stored: StoredEnrolment, steps: Sequence[Any]) -> str:
    enrolment = stored.enrolment
    held = {
        "kind": "enrolment",
        "enrolment_id": enrolment.enrolment_id,
        "journey_id": enrolment.journey_id,
        "state": enrolment.state.name,
        "created_at": enrolment.created_at,
        "updated_at": stored.updated_at,
        "steps": [
            {
                "node_id": kept.step.node_id,
                "result": kept.step.result.name,
                "at": kept.step.at,
                "detail": kept.step.detail,
                "seen": kept.step.seen,
            }
            for kept in steps
        ],
    }
    return json.dumps(held, default=str, ensure_ascii=False)
