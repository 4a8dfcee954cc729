"""The SQL of actors that are merged: both are held, and written as one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_alone
from libs.common.feeds.records import shard_of
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.merging import emptied, enriched
from services.journey.domain.model import ActorKey
from services.journey.store.book import BOOK
from services.journey.store.packed import LiveRow
from services.journey.store.parked import actor_key
from services.journey.store.turn_loads import load_turns
from services.journey.store.turn_rows import commit_rows
from services.journey.store.turns import write_turns
from services.journey.store.turns_protocol import LoadedTurns, StoredActor


class Merge(NamedTuple):
    """Who is merged into whom."""

    team_id: UUID
    merge_id: UUID
    loser_id: UUID
    survivor_id: UUID

    @property
    def loser(self) -> ActorKey:
        """The actor that goes."""
        return actor_key(self.team_id, self.loser_id)

    @property
    def survivor(self) -> ActorKey:
        """The actor that stays."""
        return actor_key(self.team_id, self.survivor_id)


class MergeStore:
    """Reads and moves actors of customers who are merged."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    async def state(self, key: ActorKey) -> LoadedTurns:
        """An actor as it is."""
        return await load_turns(partial(read_alone, self.pool), [key])

    async def mail_number(self, key: ActorKey) -> int:
        """The last number that this service gave to mail of a customer."""
        query = BOOK.bind("last_mail_number", team_id=key.team_id, customer_id=key.customer_id)
        async with transaction(self.pool, [key.team_id]) as connection:
            return await connection.fetchval(*query) or 0

    async def is_done(self, connection: Connection, merge: Merge) -> bool:
        """Whether the actors are merged already."""
        query = BOOK.bind("merged_customer", team_id=merge.team_id, customer_id=merge.loser_id)
        return await connection.fetchrow(*query) is not None

    async def hold(self, connection: Connection, merge: Merge) -> tuple[LoadedTurns, int]:
        """Keeps turns of both from being committed, and mail of the one who goes from being numbered; their state, and
        the last number of that mail."""
        number: int = await connection.fetchval(
            *BOOK.bind("hold_mail_number", team_id=merge.team_id, customer_id=merge.loser_id)
        )
        keys = sorted((merge.loser, merge.survivor))
        await connection.execute(
            *BOOK.bind(
                "hold_actors",
                team_id=merge.team_id,
                partitions=[key.partition for key in keys],
                customer_ids=[key.customer_id for key in keys],
            )
        )
        return await load_turns(connection.fetch, keys), number

    async def move(self, connection: Connection, merge: Merge, held: LoadedTurns, now: datetime) -> None:
        """Gives the one who stays all that the other has; `held` is what `hold` returned. Last of the transaction."""
        loser, survivor = merge.loser, merge.survivor
        own, moved = held.stored[survivor], held.stored[loser]
        live, fresh = _joined(own.live, moved.live, merge.survivor_id)
        keys: dict[str, Any] = {"team_id": merge.team_id, "customer_id": merge.loser_id}
        ids = [row.enrolment.enrolment_id for row in moved.live]
        await connection.execute(*BOOK.bind("forget_places", live_ids=ids, **keys))
        await connection.execute(
            *BOOK.bind(
                "move_enrolments",
                partition=loser.partition,
                to_partition=survivor.partition,
                survivor_id=merge.survivor_id,
                **keys,
            )
        )
        await connection.execute(*BOOK.bind("forget_orphans_of_customer", partition=loser.partition, **keys))
        await connection.execute(
            *BOOK.bind(
                "note_merged_customer",
                survivor_id=merge.survivor_id,
                merge_id=merge.merge_id,
                shard=shard_of(loser.partition),
                **keys,
            )
        )
        turns = {
            loser: emptied(held.actors[loser]),
            survivor: replace(
                enriched(held.actors[survivor], held.actors[loser].entries, [row.enrolment for row in live]),
                enrolments=tuple(row.enrolment for row in fresh),
            ),
        }
        stored = {
            loser: StoredActor([], {}, moved.version),
            survivor: StoredActor(live, {**moved.verdicts, **own.verdicts}, own.version),
        }
        await write_turns(connection, commit_rows(turns, stored, now))


def _joined(
    own: Sequence[LiveRow], moved: Sequence[LiveRow], customer_id: UUID
) -> tuple[list[LiveRow], list[LiveRow]]:
    """Live enrolments of both as one customer's, and those that need a row now: an actor's columns name one of them."""
    named = any(not row.listed for row in own)
    joined, fresh = list(own), []
    for row in moved:
        enrolment = replace(row.enrolment, customer_id=customer_id)
        assert enrolment.state is EnrolmentState.LIVE
        mine = replace(row, enrolment=enrolment, listed=row.listed or named)
        joined.append(mine)
        if mine.listed and not row.listed:
            fresh.append(mine)
        named = named or not mine.listed
    return joined, fresh
