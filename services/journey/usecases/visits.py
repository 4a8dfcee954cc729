"""Who was at a node of a journey: found in the steps of those who may have been, so nobody who walks pays for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.validate import reached_from
from services.journey.domain.views import VisitFilter, Visitor
from services.journey.store.journeys import JourneyStore
from services.journey.store.visits import VisitStore

LOOKED_AT_MAX: Final = 200
"""Enrolments whose steps are read for a page."""
_AT_ONCE: Final = 50

EnrolmentKey = tuple[datetime, UUID]
"""When it began, and its id."""


class Visitors(NamedTuple):
    """A page, newest enrolments first, and after which the next one begins; None at the end."""

    visitors: Sequence[Visitor]
    after: EnrolmentKey | None


class Visits:
    """Looks for them."""

    def __init__(self, journeys: JourneyStore, store: VisitStore) -> None:
        """Of the service's own database."""
        self._journeys = journeys
        self._store = store

    async def page(
        self,
        team_id: UUID,
        journey_id: UUID,
        node_id: str,
        states: Sequence[EnrolmentState],
        *,
        after: EnrolmentKey | None,
        size: int,
    ) -> Visitors:
        """The next `size`, or fewer where `LOOKED_AT_MAX` have been looked at. Raises NotFound."""
        journey = await self._journeys.get_deleted_too(team_id, journey_id)
        nodes = sorted(reached_from(journey.definition, node_id))
        wanted = VisitFilter(journey_id, node_id, nodes, states)
        found: list[Visitor] = []
        looked_at = 0
        while nodes and looked_at < LOOKED_AT_MAX:
            some = await self._store.candidates(team_id, wanted, after, _AT_ONCE)
            visits = await self._store.last_visits(team_id, node_id, some)
            for each in some:
                after = each.enrolment.created_at, each.enrolment.enrolment_id
                if (at := visits.get(each.enrolment.enrolment_id)) is not None:
                    found.append(Visitor(each, at))
                    if len(found) == size:
                        return Visitors(found, after)
            if len(some) < _AT_ONCE:
                return Visitors(found, None)
            looked_at += len(some)
        return Visitors(found, after if nodes else None)
