"""The SQL of who was at a node: no table of its own, but the steps that history keeps of enrolments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from services.journey.domain.views import StoredEnrolment, VisitFilter
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.enrolments import stored_enrolment
from services.journey.store.records import visits_of
from services.journey.store.standing import place_actors

_COMMITS_MAX: Final = 100
"""Commits whose records are read at once, each of a few kB, of a large batch up to 200 kB."""


class VisitStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def candidates(
        self, team_id: UUID, wanted: VisitFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredEnrolment]:
        """Enrolments that may have been at the node, newest first."""
        created_at, enrolment_id = after or (None, None)
        await place_actors(self._pool, team_id, wanted.journey_id)
        query = BOOK.bind(
            "list_beyond_a_node",
            team_id=team_id,
            journey_id=wanted.journey_id,
            nodes=list(wanted.nodes),
            states=list(wanted.states) or None,
            after_created_at=created_at,
            after_enrolment_id=enrolment_id,
            limit=limit,
        )
        async with transaction(self._pool, [team_id]) as connection:
            return [stored_enrolment(row) for row in await connection.fetch(*query)]

    async def last_visits(
        self, team_id: UUID, node_id: str, candidates: Sequence[StoredEnrolment]
    ) -> dict[UUID, datetime]:
        """When each of these was at a node last; without those that never were."""
        last: dict[UUID, datetime] = {}
        ids = {each.enrolment.enrolment_id.bytes: each.enrolment.enrolment_id for each in candidates}
        query = BOOK.bind("history_of_enrolments", team_id=team_id, enrolment_ids=list(ids.values()))
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        for row in rows:
            for step in codec.read_run_segment(row["body"]).steps:
                if step.entered and step.node_id == node_id:
                    _note(last, row["enrolment_id"], step.at)
        for commits in _some(candidates):
            query = BOOK.bind("bodies_of_commits", team_id=team_id, commit_keys=commits)
            async with transaction(self._pool, [team_id]) as connection:
                bodies = [row["body"] for row in await connection.fetch(*query)]
            for enrolment_id, at in visits_of(node_id, ids.keys(), bodies):
                _note(last, ids[enrolment_id], at)
        return last


def _some(candidates: Sequence[StoredEnrolment]) -> Iterator[list[int]]:
    commits = sorted({commit for each in candidates for commit in each.commits})
    return (commits[first : first + _COMMITS_MAX] for first in range(0, len(commits), _COMMITS_MAX))


def _note(last: dict[UUID, datetime], enrolment_id: UUID, at: datetime) -> None:
    last[enrolment_id] = max(at, last.get(enrolment_id, at))
