"""The SQL of customers that were set aside: who they are, and how their actor moves past mail that is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_alone
from libs.common.errors import NotFound
from libs.common.ids import partition_of
from libs.common.leases import fence_off
from libs.common.mailbox.mail import MailSource
from services.journey.domain.model import ActorKey
from services.journey.domain.parked import Drop, ParkedRow
from services.journey.domain.turn import RunSegment
from services.journey.store.book import BOOK
from services.journey.store.history import append_history, run_segment_row
from services.journey.store.turns import load_query, loaded_turns
from services.journey.store.turns_protocol import LoadedTurns

_TAKEN_COLUMNS: Final = {
    MailSource.SEGMENT: "segment",
    MailSource.GATEWAY: "gateway",
    MailSource.JOURNEY: "journey",
}


class ParkedStore:
    """Reads and changes what the worker set aside. Methods with a connection run in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def page(self, team_id: UUID, after: UUID, limit: int) -> list[ParkedRow]:
        """A page of parked customers in order of their ids."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind("list_parked", team_id=team_id, after=after, limit=limit)
            )
        return [ParkedRow(*row) for row in rows]

    async def find(self, team_id: UUID, customer_id: UUID) -> list[ParkedRow]:
        """This customer, if parked."""
        async with transaction(self._pool, [team_id]) as connection:
            key = actor_key(team_id, customer_id)
            rows = await connection.fetch(*BOOK.bind("list_one_parked", **key._asdict()))
        return [ParkedRow(*row) for row in rows]

    async def state(self, key: ActorKey) -> LoadedTurns:
        """What the customer's actor has taken, and its live enrolments."""
        return loaded_turns([key], await read_alone(self._pool, *load_query([key])))

    async def unpark(self, connection: Connection, key: ActorKey) -> None:
        """Lets the customer's actor work again. Raises NotFound if they are not parked."""
        if not await connection.fetchval(*BOOK.bind("unpark_customer", **key._asdict())):
            raise NotFound.of("parked customer", key.customer_id)

    async def hold(self, connection: Connection, key: ActorKey) -> LoadedTurns:
        """Keeps the owner of the partition and other operators from changing the customer; returns their state.

        The actor's row belongs to the partition's owner, so the lease's epoch is raised first: no turn that began
        before, under whatever lease, can be committed after this. Then the parked row is locked: a retry waits, or has
        come first. Raises NotFound if the customer is not parked.
        """
        await fence_off(connection, key.partition)
        if not await connection.fetchval(*BOOK.bind("hold_parked", **key._asdict())):
            raise NotFound.of("parked customer", key.customer_id)
        return loaded_turns([key], await connection.fetch(*load_query([key])))

    async def drop(
        self, connection: Connection, key: ActorKey, drop: Drop, halted: Sequence[RunSegment], now: datetime
    ) -> None:
        """Moves the actor past the mail, and ends the enrolments that waited for it."""
        taken = {
            column: drop.through_number if drop.source is source else 0
            for source, column in _TAKEN_COLUMNS.items()
        }
        await connection.execute(*BOOK.bind("drop_mail", **key._asdict(), **taken))
        ids = [segment.enrolment_id for segment in halted]
        await connection.execute(*BOOK.bind("halt_enrolments", **key._asdict(), enrolment_ids=ids, now=now))
        await connection.execute(*BOOK.bind("refresh_waits", **key._asdict()))
        await append_history(connection, [run_segment_row(key, segment) for segment in halted])


def actor_key(team_id: UUID, customer_id: UUID) -> ActorKey:
    """The key of a customer's actor."""
    return ActorKey(partition_of(team_id, customer_id), team_id, customer_id)
