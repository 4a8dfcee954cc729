"""Parked customers, as operators handle them: shown with their mail, tried again, mail dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from libs.common.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from libs.common.ids import partition_of
from libs.common.leases import fence_off
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.mail import Mail, MailSource
from services.journey.clients.mail import MailReader, ServiceUnavailable
from services.journey.domain.dropping import halted_by_drop
from services.journey.domain.parked import Drop, Dropped, ParkedMail, ParkedRow
from services.journey.domain.turn import Actor, RunSegment
from services.journey.store import records
from services.journey.store.history import BOOK, HistoryRow, append_history
from services.journey.store.turns import ActorKey, load_arguments, loaded_turns

SHOWN_IN_LIST: Final = 20
"""Mails shown of each customer in a list."""
SHOWN_ALONE: Final = 500
"""Mails shown of one customer."""
READS_AT_ONCE: Final = 16
"""Reads of mail under way at once for one call."""

_log = structlog.get_logger(__name__)


class ParkedCustomers:
    """Reads and heals what the worker set aside."""

    def __init__(self, pool: Pool, mailbox: Mailbox, readers: Mapping[int, MailReader], clock: Clock) -> None:
        """`readers` gives the repair read of each mail source."""
        self._pool = pool
        self._mailbox = mailbox
        self._readers = readers
        self._clock = clock

    async def page(self, team_id: UUID, after: UUID, limit: int) -> list[ParkedRow]:
        """A page of parked customers in order of their ids."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["list_parked"], team_id, after, limit)
        return [ParkedRow(*row) for row in rows]

    async def find(self, team_id: UUID, customer_id: UUID) -> list[ParkedRow]:
        """This customer, if parked."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["list_one_parked"], *_key(team_id, customer_id))
        return [ParkedRow(*row) for row in rows]

    async def mail_of(self, team_id: UUID, customers: Sequence[UUID], most: int) -> list[ParkedMail]:
        """The oldest mail of each customer, at most `most` each."""
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(customer_id: UUID) -> ParkedMail:
            async with limit:
                waiting = await self._waiting(team_id, customer_id)
            silent = [MailSource(source) for source, mails in waiting.items() if mails is None]
            return ParkedMail([m for mails in waiting.values() for m in mails or ()][:most], silent)

        return await asyncio.gather(*(read(customer_id) for customer_id in customers))

    async def retry(self, team_id: UUID, customer_id: UUID) -> None:
        """Lets a customer's actor work again, with all mail that it has not taken.

        Raises NotFound, Unavailable if a source does not answer.
        """
        _require_all(await self._waiting(team_id, customer_id))
        async with transaction(self._pool, [team_id]) as connection:
            if not await connection.fetchval(BOOK["unpark_customer"], *_key(team_id, customer_id)):
                raise NotFound.of("parked customer", customer_id)
        # Read again: what came in between was taken out of the mailbox, since the customer was parked.
        for mails in _require_all(await self._waiting(team_id, customer_id)):
            await self._mailbox.deliver(mails)

    async def waiting_for(self, drop: Drop) -> Mapping[int, Sequence[Mail] | None]:
        """Mail of the customer that waits, by source; what `drop` needs to be given.

        Raises NotFound, InvalidArgument, and Unavailable if the source of the mail does not answer.
        """
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

    async def drop(
        self, connection: Connection, drop: Drop, waiting: Mapping[int, Sequence[Mail] | None]
    ) -> Dropped:
        """Moves the actor past the mail, in the caller's transaction. Raises NotFound if nobody is parked.

        The actor's row belongs to the partition's owner, so the lease's epoch is raised first: no turn that began
        before, under whatever lease, can be committed after this. Then the parked row is held: a retry waits, or has
        come first.
        """
        key = _key(drop.team_id, drop.customer_id)
        await fence_off(connection, key.partition)
        if not await connection.fetchval(BOOK["hold_parked"], *key):
            raise NotFound.of("parked customer", drop.customer_id)
        loaded = loaded_turns([key], await connection.fetch(BOOK["load_turns"], *load_arguments([key])))
        taken = loaded.actors[key].taken
        mails = [
            mail
            for mail in waiting[drop.source] or ()
            if taken.get(drop.source, 0) < mail.number <= drop.through_number
        ]
        halted = halted_by_drop(loaded.enrolments[key], mails, self._clock.now())
        if mails:
            await self._write(connection, key, drop, halted)
        _log.warning(
            "parked mail dropped",
            team_id=str(drop.team_id),
            customer_id=str(drop.customer_id),
            source=drop.source.name,
            events=[str(mail.event_id) for mail in mails],
            halted=[str(run_segment.enrolment_id) for run_segment in halted],
            by=drop.by,
        )
        left = sum(len(found or ()) for found in waiting.values()) - len(mails)
        return Dropped(mails, halted, left)

    async def _write(
        self, connection: Connection, key: ActorKey, drop: Drop, halted: Sequence[RunSegment]
    ) -> None:
        moved = [drop.through_number if drop.source is source else 0 for source in _SOURCES]
        await connection.execute(BOOK["drop_mail"], *key, *moved)
        ids = [run_segment.enrolment_id for run_segment in halted]
        await connection.execute(BOOK["halt_enrolments"], *key, ids, self._clock.now())
        await connection.execute(BOOK["rest_anew"], *key)
        await append_history(connection, [_row(key, run_segment) for run_segment in halted])

    async def _waiting(self, team_id: UUID, customer_id: UUID) -> dict[int, Sequence[Mail] | None]:
        """Mail after what the actor has taken, up to a page a source; None where the source does not answer."""
        actor = await self._actor(team_id, customer_id)

        async def read(source: int, reader: MailReader) -> Sequence[Mail] | None:
            try:
                return await reader.of_customer(team_id, customer_id, actor.taken.get(source, 0))
            except ServiceUnavailable as error:
                _log.warning("parked mail cannot be read", source=source, error=str(error))
                return None

        found = await asyncio.gather(*(read(*item) for item in self._readers.items()))
        return dict(zip(self._readers, found, strict=True))

    async def _actor(self, team_id: UUID, customer_id: UUID) -> Actor:
        key = _key(team_id, customer_id)
        rows = await fetch_alone(self._pool, BOOK["load_turns"], *load_arguments([key]))
        return loaded_turns([key], rows).actors[key]


_SOURCES: Final = (MailSource.SEGMENT, MailSource.GATEWAY, MailSource.JOURNEY)


def _key(team_id: UUID, customer_id: UUID) -> ActorKey:
    return ActorKey(partition_of(team_id, customer_id), team_id, customer_id)


def _require_all(waiting: Mapping[int, Sequence[Mail] | None]) -> list[Sequence[Mail]]:
    silent = [MailSource(source).name.lower() for source, mails in waiting.items() if mails is None]
    if silent:
        raise Unavailable.dependency(" and ".join(silent))
    return [mails for mails in waiting.values() if mails]


def _row(key: ActorKey, run_segment: RunSegment) -> HistoryRow:
    body = records.pack(records.RunSegmentRecord(run_segment.enrolled, run_segment.state, run_segment.steps))
    return HistoryRow(
        key.partition,
        key.team_id,
        run_segment.journey_id,
        key.customer_id,
        run_segment.enrolment_id,
        run_segment.at,
        records.FactKind.RUN_SEGMENT,
        body,
    )
