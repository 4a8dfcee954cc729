"""Merges of customers, as far as points are concerned: all that one has goes to the other, as one linked pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.common.ids import derived_id
from services.points.domain.model import Merge, Posting, PostingAnswer
from services.points.store.merges import MergeStore


class Poster(Protocol):
    """Who posts."""

    async def post(self, postings: Sequence[Posting]) -> list[PostingAnswer]:
        """Posts; answers in the order of the postings."""
        ...


class MergedCustomer(NamedTuple):
    """Who is merged into whom, and by whom."""

    team_id: UUID
    merge_id: UUID
    loser_id: UUID
    survivor_id: UUID
    actor: str


class Merges:
    """Steps of merges; each may be asked for again."""

    def __init__(self, store: MergeStore, writer: Poster) -> None:
        """`writer` posts."""
        self._store = store
        self._writer = writer

    async def move_points(self, merge: MergedCustomer) -> None:
        """Moves balance and cumulative, once a merge; nobody claims for the customer any more, or gives points."""
        await self._store.note(merge.team_id, merge.merge_id, merge.loser_id, merge.survivor_id)
        await self._post(merge, merge.merge_id)

    async def move_later_points(self, merge: MergedCustomer) -> None:
        """Moves what the customer's journeys posted until their enrolments had moved; nothing, if there is none."""
        await self._post(merge, derived_id(merge.merge_id, "later"))

    async def _post(self, merge: MergedCustomer, key: UUID) -> None:
        body = Merge(merge.survivor_id, merge.merge_id)
        await self._writer.post([Posting(key, merge.team_id, merge.loser_id, None, merge.actor, body)])
