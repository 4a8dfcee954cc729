"""Old facts of teams that say how long they keep what their history says of customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from services.segment.domain.erasure import without_person
from services.segment.domain.facts import Fact, encode_body
from services.segment.domain.views import FactKey
from services.segment.store.base import BOOK, fact_of

_FIRST: Final = (datetime(1, 1, 2, tzinfo=UTC), 0, 0)
"""Before every fact."""


class OldFactStore:
    """Facts of customers. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def next_facts(self, team_id: UUID, before: datetime, row_max: int) -> list[Fact]:
        """The next facts of a team that occurred before a time, after the last that was emptied."""
        async with transaction(self._pool, [team_id]) as connection:
            place = await connection.fetchrow(*BOOK.bind("load_fact_place", team_id=team_id)) or _FIRST
            query = BOOK.bind(
                "read_old_facts",
                team_id=team_id,
                after_time=place[0],
                after_partition=place[1],
                after_position=place[2],
                before=before,
                row_max=row_max,
            )
            return [fact_of(row) for row in await connection.fetch(*query)]

    async def empty(self, team_id: UUID, facts: Sequence[Fact], place: FactKey) -> None:
        """Takes out of facts what they say of customers, and notes the last place, together. Facts that cannot be read
        stay as they are."""
        changed = [
            (fact.partition, fact.position, encode_body(fact.body), encode_body(bare))
            for fact in sorted(facts, key=lambda fact: (fact.partition, fact.position))
            if fact.customer_id is not None and (bare := without_person(fact.body)) != fact.body
        ]
        time, partition, position = place
        async with transaction(self._pool, [team_id]) as connection:
            if changed:
                partitions, positions, befores, afters = map(list, zip(*changed, strict=True))
                query = BOOK.bind(
                    "replace_bodies", partitions=partitions, positions=positions, before=befores, after=afters
                )
                await connection.execute(*query)
            query = BOOK.bind(
                "save_fact_place", team_id=team_id, occur_time=time, partition=partition, position=position
            )
            await connection.execute(*query)
