"""The SQL of customers that were set aside: who they are, and how their actor moves past mail that is dropped."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_alone
from libs.common.errors import NotFound
from libs.common.ids import partition_of
from libs.common.leases import fence_off
from services.journey.domain.model import ActorKey
from services.journey.domain.parked import ParkedRow
from services.journey.domain.turn import TurnResult
from services.journey.store.book import BOOK
from services.journey.store.turn_loads import load_turns
from services.journey.store.turn_rows import commit_rows
from services.journey.store.turns import write_turns
from services.journey.store.turns_protocol import LoadedTurns


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
        return await load_turns(partial(read_alone, self._pool), [key])

    async def unpark(self, connection: Connection, key: ActorKey, now: datetime) -> None:
        """Lets the customer's actor work again, with a turn that is due. Raises NotFound if they are not parked."""
        if not await connection.fetchval(*BOOK.bind("unpark_customer", **key._asdict(), now=now)):
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
        return await load_turns(connection.fetch, [key])

    async def drop(
        self,
        connection: Connection,
        key: ActorKey,
        turn: TurnResult,
        held: LoadedTurns,
        now: datetime,
    ) -> None:
        """Writes the turn that drops mail, and that it does; `held` is what `hold` returned."""
        before = held.actors[key].taken
        dropped = {s: number for s, number in turn.actor.taken.items() if number != before.get(s, 0)}
        await connection.execute(
            *BOOK.bind(
                "note_dropped_mail",
                team_id=key.team_id,
                customer_id=key.customer_id,
                sources=list(dropped),
                through_numbers=list(dropped.values()),
                after_numbers=[before.get(source, 0) for source in dropped],
                now=now,
            )
        )
        await self.write(connection, key, turn, held, now)

    async def write(
        self, connection: Connection, key: ActorKey, turn: TurnResult, held: LoadedTurns, now: datetime
    ) -> None:
        """Writes a turn of a customer who is held; `held` is what `hold` returned."""
        await write_turns(connection, commit_rows({key: turn}, held.stored, now))


def actor_key(team_id: UUID, customer_id: UUID) -> ActorKey:
    """The key of a customer's actor."""
    return ActorKey(partition_of(team_id, customer_id), team_id, customer_id)
