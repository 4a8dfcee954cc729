"""Old facts of teams that say how long they keep what their history says of customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from services.segment.domain.erasure import without_person
from services.segment.domain.facts import Fact, encode_body
from services.segment.domain.views import FactKey
from services.segment.store.base import BOOK, fact_of

FIRST: Final = (datetime(1, 1, 2, tzinfo=UTC), 0, 0)
"""Before every fact."""


class OldFactStore:
    """Facts of customers. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def place(self, team_id: UUID) -> FactKey | None:
        """The last fact up to which a team's were emptied; None: none is."""
        async with transaction(self._pool, [team_id]) as connection:
            return await _place(connection, team_id)

    async def next_facts(
        self, team_id: UUID, after: FactKey | None, before: datetime, row_max: int
    ) -> list[Fact]:
        """The next facts of a team that occurred before a time."""
        time, partition, position = after or FIRST
        query = BOOK.bind(
            "read_old_facts",
            team_id=team_id,
            after_time=time,
            after_partition=partition,
            after_position=position,
            before=before,
            row_max=row_max,
        )
        async with transaction(self._pool, [team_id]) as connection:
            return [fact_of(row) for row in await connection.fetch(*query)]

    async def empty(
        self, team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey
    ) -> None:
        """Takes out of facts what they say of customers, and moves the place, together. Others between the two places
        are noted as overdue. Nothing happens where the place is another one by now."""
        time, partition, position = place
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(BOOK["hold_places"])
            if await _place(connection, team_id) != after:
                return
            await connection.execute(*BOOK.bind("note_passed_facts", **passed(team_id, facts, after, place)))
            await empty_facts(connection, facts)
            query = BOOK.bind(
                "save_fact_place", team_id=team_id, occur_time=time, partition=partition, position=position
            )
            await connection.execute(*query)


async def empty_facts(connection: Connection, facts: Sequence[Fact]) -> None:
    """Takes out of facts what they say of customers. Facts that cannot be read stay as they are."""
    changed = [
        (fact.partition, fact.position, encode_body(fact.body), encode_body(bare))
        for fact in sorted(facts, key=lambda fact: (fact.partition, fact.position))
        if fact.customer_id is not None and (bare := without_person(fact.body)) != fact.body
    ]
    if changed:
        partitions, positions, befores, afters = map(list, zip(*changed, strict=True))
        query = BOOK.bind(
            "replace_bodies", partitions=partitions, positions=positions, before=befores, after=afters
        )
        await connection.execute(*query)


def passed(team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey) -> dict[str, Any]:
    """What notes facts between two places, but for the given ones, as overdue."""
    after_time, after_partition, after_position = after or FIRST
    time, partition, position = place
    return {
        "team_id": team_id,
        "after_time": after_time,
        "after_partition": after_partition,
        "after_position": after_position,
        "occur_time": time,
        "partition": partition,
        "position": position,
        "partitions": [fact.partition for fact in facts],
        "positions": [fact.position for fact in facts],
    }


async def _place(connection: Connection, team_id: UUID) -> FactKey | None:
    row = await connection.fetchrow(*BOOK.bind("load_fact_place", team_id=team_id))
    return None if row is None else (row[0], row[1], row[2])
