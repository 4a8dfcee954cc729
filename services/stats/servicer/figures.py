# ruff: noqa: N802 - the generated base names the methods
"""Figures of journeys, nodes, messages and teams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge, ids_of, team_of
from libs.common.rpc.values import timestamp
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.domain.model import Total
from services.stats.domain.overview import Overview, overview_of
from services.stats.servicer.base import Dependencies, check_order, time_on_quarter

JOURNEYS_MAX: Final = 500
STEPS_MAX: Final = 1_000
_UNITS: Final = {figures_pb2.STEP_HOUR: "hour", figures_pb2.STEP_DAY: "day"}
_LENGTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


class FigureRpcs(Edge[Dependencies]):
    """The RPCs of figures."""

    async def GetJourneyOverview(
        self, request: pb.GetJourneyOverviewRequest, context: Any
    ) -> pb.GetJourneyOverviewResponse:
        """Figures of one journey."""
        team_id, journey_id, start, end = _asked(request)
        totals = await self._deps.counters.totals(team_id, [journey_id], start, end)
        (overview,) = await self._overviews(team_id, [(journey_id, overview_of(totals))])
        return pb.GetJourneyOverviewResponse(overview=overview)

    async def _overviews(
        self, team_id: UUID, figures: Sequence[tuple[UUID, Overview]]
    ) -> list[figures_pb2.JourneyOverview]:
        """Figures of journeys of a team; the rates of its currencies are asked for where one needs them."""
        rates = await self._deps.worth.rates(team_id, [each for _, each in figures])
        return [convert.overview_message(journey_id, each, rates) for journey_id, each in figures]

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
        overviews = await self._overviews(team_id, [(each, overview_of(totals[each])) for each in ids])
        return pb.BatchGetJourneyOverviewsResponse(overviews=overviews)

    async def GetJourneySeries(
        self, request: pb.GetJourneySeriesRequest, context: Any
    ) -> pb.GetJourneySeriesResponse:
        """A journey by hour or day; quiet steps are there too."""
        team_id, journey_id, span, unit = _asked_by_step(request)
        starts, rows = await self._deps.series.of_journey(team_id, journey_id, span, unit)
        found: defaultdict[int, list[Total]] = defaultdict(list)
        for index, total in rows:
            found[index].append(total)
        overviews = await self._overviews(
            team_id, [(journey_id, overview_of(found[index])) for index in range(len(starts))]
        )
        points = [
            figures_pb2.JourneyPoint(start_time=timestamp(at), figures=overview)
            for at, overview in zip(starts, overviews, strict=True)
        ]
        return pb.GetJourneySeriesResponse(points=points)

    async def ListNodeFigures(
        self, request: pb.ListNodeFiguresRequest, context: Any
    ) -> pb.ListNodeFiguresResponse:
        """Figures of a journey's nodes."""
        team_id, journey_id, start, end = _asked(request)
        totals = await self._deps.counters.totals(team_id, [journey_id], start, end)
        return pb.ListNodeFiguresResponse(nodes=convert.node_messages(totals))

    async def ListMessageFigures(
        self, request: pb.ListMessageFiguresRequest, context: Any
    ) -> pb.ListMessageFiguresResponse:
        """Figures of a journey's message nodes by channel, summed or by step."""
        if request.step == figures_pb2.STEP_UNSPECIFIED:
            team_id, journey_id, start, end = _asked(request)
            totals = await self._deps.counters.totals(team_id, [journey_id], start, end)
            figures = convert.message_figures((None, total) for total in totals)
        else:
            team_id, journey_id, span, unit = _asked_by_step(request)
            starts, rows = await self._deps.series.of_journey(team_id, journey_id, span, unit)
            figures = convert.message_figures((starts[index], total) for index, total in rows)
        return pb.ListMessageFiguresResponse(figures=figures)

    async def GetTeamOverview(
        self, request: pb.GetTeamOverviewRequest, context: Any
    ) -> pb.GetTeamOverviewResponse:
        """Figures of a team."""
        totals, sends = await self._deps.counters.team(team_of(request.team_id))
        return pb.GetTeamOverviewResponse(overview=convert.team_message(totals, sends))

    async def GetJourneyLift(
        self, request: pb.GetJourneyLiftRequest, context: Any
    ) -> pb.GetJourneyLiftResponse:
        """What the splits of a journey changed that hold somebody out."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        lifts = await self._deps.lifts.of_journey(team_id, journey_id)
        return pb.GetJourneyLiftResponse(lifts=map(convert.lift_message, lifts))


def _asked(request: Any) -> tuple[UUID, UUID, datetime | None, datetime | None]:
    """Team, journey and range of a request; either end may be absent."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    start, end = (
        time_on_quarter(check, request, field) if request.HasField(field) else None
        for field in ("start_time", "end_time")
    )
    check_order(check, start, end)
    check.done()
    return team_id, journey_id, start, end


def _asked_by_step(request: Any) -> tuple[UUID, UUID, tuple[datetime, datetime], str]:
    """Team, journey, range and unit of a request for a series."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    start, end = (time_on_quarter(check, request, field) for field in ("start_time", "end_time"))
    unit = _UNITS.get(request.step, "")
    if not unit:
        check.fault("step", "is required: STEP_HOUR or STEP_DAY")
    check_order(check, start, end)
    if start and end and unit and (end - start) / _LENGTHS[unit] > STEPS_MAX:
        check.fault("end_time", f"makes more than {STEPS_MAX} steps: ask for a shorter range or longer steps")
    check.done()
    assert start is not None
    assert end is not None
    return team_id, journey_id, (start, end), unit
