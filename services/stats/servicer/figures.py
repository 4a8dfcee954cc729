# ruff: noqa: N802 - the generated base names the methods
"""Figures of journeys, nodes, messages and teams."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge, ids_of
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.domain.model import Total
from services.stats.domain.overview import overview_of
from services.stats.servicer.base import Dependencies, asked_by_step, journey_asked, overviews, range_of

JOURNEYS_MAX: Final = 500
MESSAGE_STEPS_MAX: Final = 1_000
"""Steps of the figures of messages: each has one for every node and channel."""


class FigureRpcs(Edge[Dependencies]):
    """The RPCs of figures."""

    async def GetJourneyOverview(
        self, request: pb.GetJourneyOverviewRequest, context: Any
    ) -> pb.GetJourneyOverviewResponse:
        """Figures of one journey."""
        team_id, journey_id, start, end = journey_asked(request)
        totals = await self._deps.ranges.of_journey(team_id, journey_id, start, end)
        (overview,) = await overviews(self._deps.worth, team_id, [(journey_id, overview_of(totals))])
        return pb.GetJourneyOverviewResponse(overview=overview)

    async def BatchGetJourneyOverviews(
        self, request: pb.BatchGetJourneyOverviewsRequest, context: Any
    ) -> pb.BatchGetJourneyOverviewsResponse:
        """Figures of several journeys."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.count("journey_ids", request.journey_ids, least=1, most=JOURNEYS_MAX)
        ids = [check.uuid(f"journey_ids[{i}]", text) for i, text in enumerate(request.journey_ids)]
        check.done()
        totals: defaultdict[UUID, list[Total]] = defaultdict(list)
        for total in await self._deps.counters.totals(team_id, ids):
            totals[total.journey_id].append(total)
        found = await overviews(
            self._deps.worth, team_id, [(each, overview_of(totals[each])) for each in ids]
        )
        return pb.BatchGetJourneyOverviewsResponse(overviews=found)

    async def ListNodeFigures(
        self, request: pb.ListNodeFiguresRequest, context: Any
    ) -> pb.ListNodeFiguresResponse:
        """Figures of a journey's nodes."""
        team_id, journey_id, start, end = journey_asked(request)
        totals = await self._deps.ranges.of_journey(team_id, journey_id, start, end)
        waits = await self._deps.waits.of_journey(team_id, journey_id)
        return pb.ListNodeFiguresResponse(nodes=convert.node_messages(totals, waits))

    async def ListMessageFigures(
        self, request: pb.ListMessageFiguresRequest, context: Any
    ) -> pb.ListMessageFiguresResponse:
        """Figures of a journey's message nodes by channel, summed or by step."""
        if request.step == figures_pb2.STEP_UNSPECIFIED:
            team_id, journey_id, start, end = journey_asked(request)
            totals = await self._deps.ranges.of_journey(team_id, journey_id, start, end)
            # A sum of 30 days cannot be cut: of a range there is none.
            whole = start is None and end is None
            opens = await self._deps.opens.of_journey(team_id, journey_id) if whole else None
            figures = convert.message_figures(((None, total) for total in totals), opens)
        else:
            team_id, journey_id, span, unit = asked_by_step(request, steps_max=MESSAGE_STEPS_MAX)
            starts, rows = await self._deps.series.of_journey(team_id, journey_id, span, unit)
            figures = convert.message_figures((starts[index], total) for index, total in rows)
        return pb.ListMessageFiguresResponse(figures=figures)

    async def GetTeamOverview(
        self, request: pb.GetTeamOverviewRequest, context: Any
    ) -> pb.GetTeamOverviewResponse:
        """Figures of a team."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        start, end = range_of(check, request)
        check.done()
        totals, sends = await self._deps.ranges.of_team(team_id, start, end)
        return pb.GetTeamOverviewResponse(overview=convert.team_message(totals, sends))

    async def GetJourneyLift(
        self, request: pb.GetJourneyLiftRequest, context: Any
    ) -> pb.GetJourneyLiftResponse:
        """What the splits of a journey changed that hold somebody out."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        lifts = await self._deps.lifts.of_journey(team_id, journey_id)
        return pb.GetJourneyLiftResponse(lifts=map(convert.lift_message, lifts))
