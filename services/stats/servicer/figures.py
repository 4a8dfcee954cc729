# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of stats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.common.db.faults import AWAY
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from omnijourney.stats.v1 import stats_service_pb2_grpc as pb_grpc
from services.stats import metrics
from services.stats.clients.feeds import FeedUnavailable, Records, TeamZones
from services.stats.convert import figures as convert
from services.stats.domain.check import Compared, compare_ledger, compare_runs, compare_sends
from services.stats.domain.model import Total
from services.stats.domain.series import on_quarter, step_starts
from services.stats.store.counters import CounterStore
from services.stats.worker.readers import Reader

JOURNEYS_MAX: Final = 500
STEPS_MAX: Final = 1_000
_UNITS: Final = {figures_pb2.STEP_HOUR: "hour", figures_pb2.STEP_DAY: "day"}
_LENGTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


class StatsServicer(pb_grpc.StatsServiceServicer):
    """See `protos/omnijourney/stats/v1/stats_service.proto`."""

    def __init__(
        self, store: CounterStore, readers: Sequence[Reader], zones: TeamZones, records: Records
    ) -> None:
        """`readers` are asked how far they are, `records` what the counters should say."""
        self._store = store
        self._readers = readers
        self._zones = zones
        self._records = records

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
        totals: defaultdict[UUID, list[Total]] = defaultdict(list)
        for total in await self._store.totals(team_id, ids):
            totals[total.journey_id].append(total)
        overviews = [convert.overview_message(journey_id, totals[journey_id]) for journey_id in ids]
        return pb.BatchGetJourneyOverviewsResponse(overviews=overviews)

    async def GetJourneySeries(
        self, request: pb.GetJourneySeriesRequest, context: Any
    ) -> pb.GetJourneySeriesResponse:
        """A journey by hour or day; quiet steps are there too."""
        team_id, journey_id, span, unit = _asked_by_step(request)
        starts, rows = await self._series(team_id, journey_id, span, unit)
        found: defaultdict[int, list[Total]] = defaultdict(list)
        for index, total in rows:
            found[index].append(total)
        points = [
            figures_pb2.JourneyPoint(
                start_time=timestamp(at), figures=convert.overview_message(journey_id, found[index])
            )
            for index, at in enumerate(starts)
        ]
        return pb.GetJourneySeriesResponse(points=points)

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
        if request.step == figures_pb2.STEP_UNSPECIFIED:
            team_id, journey_id, start, end = _asked(request)
            totals = await self._store.totals(team_id, [journey_id], start, end)
            figures = convert.message_figures((None, total) for total in totals)
        else:
            team_id, journey_id, span, unit = _asked_by_step(request)
            starts, rows = await self._series(team_id, journey_id, span, unit)
            figures = convert.message_figures((starts[index], total) for index, total in rows)
        return pb.ListMessageFiguresResponse(figures=figures)

    async def GetTeamOverview(
        self, request: pb.GetTeamOverviewRequest, context: Any
    ) -> pb.GetTeamOverviewResponse:
        """Figures of a team."""
        totals, sends = await self._store.team(_team(request))
        return pb.GetTeamOverviewResponse(overview=convert.team_message(totals, sends))

    async def ListProjectionStates(
        self, request: pb.ListProjectionStatesRequest, context: Any
    ) -> pb.ListProjectionStatesResponse:
        """How far each history is counted."""
        return pb.ListProjectionStatesResponse(states=[await _state(reader) for reader in self._readers])

    async def CheckProjections(
        self, request: pb.CheckProjectionsRequest, context: Any
    ) -> AsyncIterator[pb.CheckProjectionsResponse]:
        """Compares with the records: findings first, the count of what was compared last."""
        team_id, compared_count = _team(request), 0
        async for compared in self._compare(team_id):
            compared_count += 1
            if not compared.agrees:
                metrics.FINDINGS.inc()
                finding = convert.finding(compared)
                yield pb.CheckProjectionsResponse(finding=finding, compared_count=compared_count)
        yield pb.CheckProjectionsResponse(compared_count=compared_count)

    async def _compare(self, team_id: UUID) -> AsyncIterator[Compared]:
        totals, sends = await self._store.team(team_id)
        for compared in compare_ledger(totals, await self._records.ledger(team_id)):
            yield compared
        for compared in compare_sends(_by_channel(sends), await self._records.sends(team_id)):
            yield compared
        for journey_id in await self._store.journeys(team_id):
            counted = await self._store.totals(team_id, [journey_id])
            for compared in compare_runs(journey_id, counted, await self._records.runs(team_id, journey_id)):
                yield compared

    async def _series(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], unit: str
    ) -> tuple[list[datetime], list[tuple[int, Total]]]:
        """Starts of the steps, and sums by index of the step."""
        starts = list(step_starts(*span, unit, await self._zones.zone(team_id)))
        return starts, await self._store.series(team_id, journey_id, span, starts)


def _by_channel(sends: Sequence[Total]) -> dict[tuple[int, int], int]:
    sums: defaultdict[tuple[int, int], int] = defaultdict(int)
    for total in sends:
        sums[total.metric, total.channel] += total.value
    return sums


async def _state(reader: Reader) -> figures_pb2.ProjectionState:
    name = reader.feed.name
    try:
        counted, waiting = await reader.counted(), await reader.waiting()
    except (FeedUnavailable, *AWAY) as error:
        return convert.state_message(name, 0, 0, str(error) or type(error).__name__)
    return convert.state_message(name, counted, waiting, reader.error)


def _team(request: Any) -> UUID:
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    check.done()
    return team_id


def _asked(request: Any) -> tuple[UUID, UUID, datetime | None, datetime | None]:
    """Team, journey and range of a request; either end may be absent."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    start, end = (
        _on_quarter(check, request, field) if request.HasField(field) else None
        for field in ("start_time", "end_time")
    )
    _in_order(check, start, end)
    check.done()
    return team_id, journey_id, start, end


def _asked_by_step(request: Any) -> tuple[UUID, UUID, tuple[datetime, datetime], str]:
    """Team, journey, range and unit of a request for a series."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    start, end = (_on_quarter(check, request, field) for field in ("start_time", "end_time"))
    unit = _UNITS.get(request.step, "")
    if not unit:
        check.fault("step", "is required: STEP_HOUR or STEP_DAY")
    _in_order(check, start, end)
    if start and end and unit and (end - start) / _LENGTHS[unit] > STEPS_MAX:
        check.fault("end_time", f"makes more than {STEPS_MAX} steps: ask for a shorter range or longer steps")
    check.done()
    assert start is not None
    assert end is not None
    return team_id, journey_id, (start, end), unit


def _on_quarter(check: FieldCheck, request: Any, field: str) -> datetime | None:
    at = check.time(field, request, field)
    if at is not None and not on_quarter(at):
        check.fault(field, "must be a full quarter of an hour")
    return at


def _in_order(check: FieldCheck, start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and end <= start:
        check.fault("end_time", "must be after start_time")
