# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of stats."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from libs.common.errors import Unavailable
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import datetime_of, timestamp
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from omnijourney.stats.v1 import stats_service_pb2_grpc as pb_grpc
from services.stats import convert
from services.stats.clients import FeedUnavailable, TeamZones
from services.stats.domain.model import NO_JOURNEY
from services.stats.domain.series import step_starts
from services.stats.store import CounterStore
from services.stats.worker import Reader

JOURNEYS_MAX: Final = 500
STEPS_MAX: Final = 1_000
_UNITS: Final = {figures_pb2.STEP_HOUR: "hour", figures_pb2.STEP_DAY: "day"}
_HOUR: Final = timedelta(hours=1)


class StatsServicer(pb_grpc.StatsServiceServicer):
    """See `protos/omnijourney/stats/v1/stats_service.proto`."""

    def __init__(self, store: CounterStore, readers: Sequence[Reader], zones: TeamZones) -> None:
        """`readers` are asked how far they are."""
        self._store = store
        self._readers = readers
        self._zones = zones

    async def GetJourneyOverview(
        self, request: pb.GetJourneyOverviewRequest, context: Any
    ) -> pb.GetJourneyOverviewResponse:
        """Figures of one journey."""
        team_id, journey_id, start, end = _asked(request)
        totals = await self._store.totals(team_id, [journey_id], start, end)
        return pb.GetJourneyOverviewResponse(overview=convert.overview_message(journey_id, totals))

    async def BatchGetJourneyOverviews(
        self, request: pb.BatchGetJourneyOverviewsRequest, context: Any
    ) -> pb.BatchGetJourneyOverviewsResponse:
        """Figures of several journeys."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.count("journey_ids", request.journey_ids, least=1, most=JOURNEYS_MAX)
        ids = [check.uuid(f"journey_ids[{i}]", text) for i, text in enumerate(request.journey_ids)]
        check.done()
        totals = await self._store.totals(team_id, ids)
        return pb.BatchGetJourneyOverviewsResponse(
            overviews=[
                convert.overview_message(journey_id, [t for t in totals if t.journey_id == journey_id])
                for journey_id in ids
            ]
        )

    async def GetJourneySeries(
        self, request: pb.GetJourneySeriesRequest, context: Any
    ) -> pb.GetJourneySeriesResponse:
        """A journey by hour or day; quiet steps are there too."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        start = check.time("start_time", request, "start_time")
        end = check.time("end_time", request, "end_time")
        unit = _UNITS.get(request.step, "")
        if not unit:
            check.fault("step", "is required: STEP_HOUR or STEP_DAY")
        if start and end and unit and (end - start) / (_HOUR if unit == "hour" else 24 * _HOUR) > STEPS_MAX:
            check.fault(
                "end_time", f"makes more than {STEPS_MAX} steps: ask for a shorter range or longer steps"
            )
        check.done()
        assert start is not None
        assert end is not None
        zone = await self._zone(team_id)
        rows = await self._store.totals_by_step(team_id, journey_id, (start, end), unit, zone)
        found = {at: [total for _, total in group] for at, group in groupby(rows, lambda row: row[0])}
        return pb.GetJourneySeriesResponse(
            points=[
                figures_pb2.JourneyPoint(
                    start_time=timestamp(at), figures=convert.overview_message(journey_id, found.get(at, []))
                )
                for at in step_starts(start, end, unit, zone)
            ]
        )

    async def ListNodeFigures(
        self, request: pb.ListNodeFiguresRequest, context: Any
    ) -> pb.ListNodeFiguresResponse:
        """Figures of a journey's nodes."""
        team_id, journey_id, start, end = _asked(request)
        totals = await self._store.totals(team_id, [journey_id], start, end)
        return pb.ListNodeFiguresResponse(nodes=convert.node_messages(totals))

    async def ListMessageFigures(
        self, request: pb.ListMessageFiguresRequest, context: Any
    ) -> pb.ListMessageFiguresResponse:
        """Figures of a journey's message nodes by channel, summed or by step."""
        team_id, journey_id, start, end = _asked(request)
        unit = _UNITS.get(request.step, "")
        if not unit:
            totals = await self._store.totals(team_id, [journey_id], start, end)
            return pb.ListMessageFiguresResponse(
                figures=convert.message_figures((None, total) for total in totals)
            )
        check = FieldCheck()
        for field, value in (("start_time", start), ("end_time", end)):
            if value is None:
                check.fault(field, "is required with steps")
        check.done()
        assert start is not None
        assert end is not None
        zone = await self._zone(team_id)
        rows = await self._store.totals_by_step(team_id, journey_id, (start, end), unit, zone)
        return pb.ListMessageFiguresResponse(figures=convert.message_figures(rows))

    async def GetTeamOverview(
        self, request: pb.GetTeamOverviewRequest, context: Any
    ) -> pb.GetTeamOverviewResponse:
        """Figures of a team."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        totals, sends, shoppers = await asyncio.gather(
            self._store.totals(team_id, [NO_JOURNEY]),
            self._store.sends_by_channel(team_id),
            self._store.count_shoppers(team_id),
        )
        return pb.GetTeamOverviewResponse(overview=convert.team_message(totals, sends, shoppers))

    async def ListProjectionStates(
        self, request: pb.ListProjectionStatesRequest, context: Any
    ) -> pb.ListProjectionStatesResponse:
        """How far each history is counted."""
        return pb.ListProjectionStatesResponse(states=[await _state(reader) for reader in self._readers])

    async def _zone(self, team_id: UUID) -> str:
        try:
            return await self._zones.zone(team_id)
        except FeedUnavailable as error:
            raise Unavailable.dependency("segment") from error


async def _state(reader: Reader) -> figures_pb2.ProjectionState:
    state = figures_pb2.ProjectionState(
        source=reader.feed.name, counted_rows=reader.counted, error=reader.error
    )
    try:
        state.waiting_rows = await reader.waiting()
    except FeedUnavailable as error:
        state.error = str(error)
    return state


def _asked(request: Any) -> tuple[UUID, UUID, datetime | None, datetime | None]:
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    check.done()
    start = datetime_of(request.start_time) if request.HasField("start_time") else None
    end = datetime_of(request.end_time) if request.HasField("end_time") else None
    return team_id, journey_id, start, end
