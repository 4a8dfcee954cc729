"""Facts behind the place up to which their team's were emptied, or texts taken out, that are still to be."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from services.segment.domain.facts import Fact
from services.segment.store.base import BOOK, fact_of
from services.segment.store.old_facts import empty_facts
from services.segment.store.texts import MESSAGE, bared


class OverdueFactStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def note(self, row_max: int) -> int:
        """Looks at the next facts as they were recorded, `row_max` at most, and notes those that are overdue; `row_max`
        if there may be more to look at."""
        query = BOOK.bind("note_overdue_facts", message_kind=MESSAGE, row_max=row_max)
        looked: int = await self._pool.fetchval(*query)
        return min(looked, row_max)

    async def page(
        self, team_id: UUID, after: tuple[int, int], row_max: int, *, text_only: bool
    ) -> list[Fact]:
        """The next that are noted, by partition and position; `text_only`: of those whose text alone is to go."""
        query = BOOK.bind(
            "read_overdue_facts",
            team_id=team_id,
            text_only=text_only,
            after_partition=after[0],
            after_position=after[1],
            row_max=row_max,
        )
        async with transaction(self._pool, [team_id]) as connection:
            return [fact_of(row) for row in await connection.fetch(*query)]

    async def empty(self, team_id: UUID, facts: Sequence[Fact], *, text_only: bool) -> None:
        """Takes out of facts what they say of customers, or their texts alone, and the notes of them with it."""
        query = BOOK.bind(
            "settle_overdue_facts",
            team_id=team_id,
            text_only=text_only,
            partitions=[fact.partition for fact in facts],
            positions=[fact.position for fact in facts],
        )
        async with transaction(self._pool, [team_id]) as connection:
            if text_only:
                await connection.execute(*bared(facts))
            else:
                await empty_facts(connection, facts)
            await connection.execute(*query)
