"""Parked customers, as operators handle them: shown with their mail, tried again, mail dropped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from libs.common.logging import about
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.mail import Mail, MailSource
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.mail import MailReader
from services.journey.domain.model import ActorKey
from services.journey.domain.parked import (
    Drop,
    Dropped,
    ParkedMail,
    ParkedRow,
    dropping_turn,
    halted_by_drop,
    passing_turn,
)
from services.journey.domain.turn import RunSegment
from services.journey.store.parked import ParkedStore, actor_key
from services.journey.usecases.write import Call, Reply, once

SHOWN_IN_LIST: Final = 20
"""Mails shown of each customer in a list."""
SHOWN_ALONE: Final = 500
"""Mails shown of one customer."""
READS_AT_ONCE: Final = 16
"""Reads of mail under way at once for one call."""

_log = structlog.get_logger(__name__)


class ParkedCustomers:
    """Shows and heals what the worker set aside."""

    def __init__(
        self,
        pool: Pool,
        mailbox: Mailbox,
        readers: Mapping[int, MailReader],
        clock: Clock,
        *,
        changed: Callable[[], None],
        unparked: Callable[[], None],
    ) -> None:
        """`readers` gives the repair read of each mail source.

        `changed` is called when history was written, `unparked` when a customer may have a timer that is due.
        """
        self._pool = pool
        self._store = ParkedStore(pool)
        self._changed = changed
        self._unparked = unparked
        self._mailbox = mailbox
        self._readers = readers
        self._clock = clock

    async def page(self, team_id: UUID, after: UUID, limit: int) -> list[ParkedRow]:
        """A page of parked customers in order of their ids."""
        return await self._store.page(team_id, after, limit)

    async def find(self, team_id: UUID, customer_id: UUID) -> list[ParkedRow]:
        """This customer, if parked."""
        return await self._store.find(team_id, customer_id)

    async def mail_of(self, team_id: UUID, customers: Sequence[UUID], most: int) -> list[ParkedMail]:
        """The oldest mail of each customer, at most `most` each."""
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(customer_id: UUID) -> ParkedMail:
            async with limit:
                waiting = await self._waiting(team_id, customer_id)
            silent = [MailSource(source) for source, mails in waiting.items() if mails is None]
            return ParkedMail([m for mails in waiting.values() for m in mails or ()][:most], silent)

        return await asyncio.gather(*(read(customer_id) for customer_id in customers))

    async def retry(self, call: Call[None, Reply], customer_id: UUID) -> Reply:
        """Lets a customer's actor work again, with all mail that it has not taken and the timers that are due.

        A repeated call delivers the mail again: the first may have broken off before. Raises NotFound, Unavailable if a
        source does not answer.
        """
        _require_all(await self._waiting(call.team_id, customer_id))

        async def work(connection: Connection) -> None:
            await self._store.unpark(connection, actor_key(call.team_id, customer_id), self._clock.now())

        answer = await once(self._pool, call, work)
        self._unparked()
        # Read again: what came in between was taken out of the mailbox, since the customer was parked.
        for mails in _require_all(await self._waiting(call.team_id, customer_id)):
            await self._mailbox.deliver(mails)
        return answer

    async def drop(self, call: Call[Dropped, Reply], drop: Drop) -> Reply:
        """Moves the customer's actor past mail that it will never act on; the customer stays parked.

        Raises NotFound if the customer is not parked or no such mail waits, InvalidArgument if the mail is of another
        event, and Unavailable if its source does not answer.
        """

        async def work(connection: Connection) -> Dropped:
            waiting = await self._waiting_for(drop)
            return await self._drop(connection, drop, waiting)

        reply = await once(self._pool, call, work)
        self._changed()
        return reply

    async def let_go(self, key: ActorKey, numbers: Mapping[int, int]) -> None:
        """Moves the actor of a customer who is erased, and whose enrolments have ended, past mail up to these numbers
        of its sources, and parks them no more. Nothing happens where they are not parked."""
        with contextlib.suppress(NotFound):
            async with transaction(self._pool, [key.team_id]) as connection:
                state = await self._store.hold(connection, key)
                now = self._clock.now()
                turn = passing_turn(state.actors[key], state.enrolments[key], numbers)
                await self._store.write(connection, key, turn, state, now)
                await self._store.unpark(connection, key, now)

    async def _waiting_for(self, drop: Drop) -> Mapping[int, Sequence[Mail] | None]:
        """Mail of the customer that waits, by source, the mail of `drop` among it."""
        waiting = await self._waiting(drop.team_id, drop.customer_id)
        mails = waiting[drop.source]
        if mails is None:
            raise Unavailable.dependency(drop.source.name.lower())
        last = next((mail for mail in mails if mail.number == drop.through_number), None)
        if last is None:
            raise NotFound.of("mail", f"{drop.source.name.lower()} {drop.through_number}")
        if last.event_id != drop.event_id:
            raise InvalidArgument.of(FieldViolation("event_id", f"the mail's event is {last.event_id}"))
        return waiting

    async def _drop(
        self, connection: Connection, drop: Drop, waiting: Mapping[int, Sequence[Mail] | None]
    ) -> Dropped:
        key = actor_key(drop.team_id, drop.customer_id)
        state = await self._store.hold(connection, key)
        taken = state.actors[key].taken
        mails = [
            mail
            for mail in waiting[drop.source] or ()
            if taken.get(drop.source, 0) < mail.number <= drop.through_number
        ]
        now = self._clock.now()
        halted = halted_by_drop(state.enrolments[key], mails, now)
        if mails:
            turn = dropping_turn(state.actors[key], state.enrolments[key], drop, halted)
            await self._store.drop(connection, key, turn, state, now)
        _log_dropped(drop, mails, halted)
        left = sum(len(found or ()) for found in waiting.values()) - len(mails)
        return Dropped(mails, halted, left)

    async def _waiting(self, team_id: UUID, customer_id: UUID) -> dict[int, Sequence[Mail] | None]:
        """Mail after what the actor has taken, up to `SHOWN_ALONE` a source; None where the source does not answer."""
        key = actor_key(team_id, customer_id)
        taken = (await self._store.state(key)).actors[key].taken

        async def read(source: int, reader: MailReader) -> Sequence[Mail] | None:
            try:
                return await _oldest(reader, team_id, customer_id, taken.get(source, 0))
            except ServiceUnavailable as error:
                _log.warning("parked mail cannot be read", source=source, error=str(error), **about(key))
                return None

        found = await asyncio.gather(*(read(*item) for item in self._readers.items()))
        return dict(zip(self._readers, found, strict=True))


async def _oldest(reader: MailReader, team_id: UUID, customer_id: UUID, after: int) -> list[Mail]:
    """A customer's mail after a number, `SHOWN_ALONE` at most. Raises `ServiceUnavailable`."""
    found: list[Mail] = []
    more = True
    while more and len(found) < SHOWN_ALONE:
        mails, more = await reader.of_customer(team_id, customer_id, after)
        if not mails:
            break
        found.extend(mails)
        after = mails[-1].number
    return found[:SHOWN_ALONE]


def _require_all(waiting: Mapping[int, Sequence[Mail] | None]) -> list[Sequence[Mail]]:
    silent = [MailSource(source).name.lower() for source, mails in waiting.items() if mails is None]
    if silent:
        raise Unavailable.dependency(" and ".join(silent))
    return [mails for mails in waiting.values() if mails]


def _log_dropped(drop: Drop, mails: Sequence[Mail], halted: Sequence[RunSegment]) -> None:
    _log.warning(
        "parked mail dropped",
        source=drop.source.name,
        events=[str(mail.event_id) for mail in mails],
        halted=[str(segment.enrolment_id) for segment in halted],
        by=drop.by,
        **about(drop),
    )
