"""Where those who are inside stand, by the columns of their actors and the rows of `enrolment` (ADR 51)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.errors import Aborted
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.views import WaitRow
from services.journey.store.book import BOOK
from services.journey.store.packed import Named, read_state

PLACED_MAX: Final = 2_000
"""Actors placed in one transaction, some 20 ms."""
_COUNTS_MAX: Final = 5
"""Counts in a row that may find somebody whom a turn is about to place."""


class StandingStore:
    """Counts who waits where."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def waits(self, team_id: UUID, journey_id: UUID) -> list[WaitRow]:
        """How many live enrolments wait at each node for each reason, in order of both; not those of parked customers.

        Raises Aborted if turns of actors in the form before hold their rows for long.
        """
        for _ in range(_COUNTS_MAX):
            rows = await self._counted(team_id, journey_id)
            if all(row.node_id is not None for row in rows):
                return rows
            await place_actors(self._pool, team_id, journey_id)
        raise Aborted.write_conflict()

    async def _counted(self, team_id: UUID, journey_id: UUID) -> list[WaitRow]:
        inside = {"team_id": team_id, "journey_id": journey_id}
        async with transaction(self._pool, [team_id]) as connection:
            parked = await connection.fetchval(*BOOK.bind("is_anybody_parked_inside", **inside))
            query = "count_waits_beside_parked" if parked else "count_waits"
            rows = await connection.fetch(*BOOK.bind(query, **inside))
        return [WaitRow(row["node_id"], WaitReason(row["rest"]), row["n"], row["wake_at"]) for row in rows]


async def place_actors(pool: Pool, team_id: UUID, journey_id: UUID | None) -> None:
    """Fills the columns of actors whose last commit did not know them, of one journey or all of a team: each once."""
    while True:
        async with transaction(pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind("take_unplaced", team_id=team_id, journey_id=journey_id, limit=PLACED_MAX)
            )
            if not rows:
                return
            stands: list[Enrolment] = []
            for row in rows:
                named = Named(row["live_enrolment_id"], row["live_journey_id"], row["live_since"])
                live, _ = read_state(row["team_id"], row["customer_id"], row["state"], named)
                stands.extend(each.enrolment for each in live if not each.listed)
            await connection.execute(
                *BOOK.bind(
                    "place_actors",
                    team_id=team_id,
                    partitions=[row["partition"] for row in rows],
                    customer_ids=[each.customer_id for each in stands],
                    nodes=[each.node_id for each in stands],
                    wakes=[each.wake_at for each in stands],
                )
            )
