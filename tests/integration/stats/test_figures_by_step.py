"""Series of teams and nodes, and figures of a team over a range."""

import csv
import io
from datetime import UTC, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from libs.testing.feeds import FeedServer
from libs.testing.history_rows import JOURNEY, NOON, TEAM, WHATSAPP, entry, order, run_segment, sent
from libs.testing.mails import customers
from omnijourney.client.series import by_step, step_starts
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import team_pb2
from omnijourney.stats.v1 import figures_pb2, series_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.servicer import exports
from tests.integration.stats.conftest import TIMEOUT_S, StartStats, Stats

PEOPLE = list(islice(customers(), 5))
NOBODY = UUID(int=5)
HOUR = timedelta(hours=1)
REQUESTED = enrolment_pb2.STEP_RESULT_SEND_REQUESTED


async def _two_hours(stats: Stats) -> None:
    """In the hours of Kolkata from 11:30 and 12:30 UTC: an order, 5 points and a message each; nodes a and b."""
    for hour, who in enumerate(PEOPLE[:2]):
        at = NOON + hour * HOUR
        stats.feeds["segment"].record(order(who, at=at))
        stats.feeds["points"].record(entry(who, entry_pb2.ENTRY_SOURCE_WEB_ORDER, 5, cumulative=5, at=at))
        stats.feeds["channel_gateway"].record(sent(who, messages=1 + hour, at=at))
        stats.feeds["journey"].record(
            run_segment(who, ("b", REQUESTED, True), ("a", REQUESTED, True), enrolled=True, at=at)
        )
    await stats.settle()


def _span(hours: int, step: Any = figures_pb2.STEP_HOUR) -> dict[str, Any]:
    return {
        "team_id": str(TEAM),
        "start_time": timestamp(NOON - 2 * HOUR),
        "end_time": timestamp(NOON + hours * HOUR),
        "step": step,
    }


@pytest.mark.rule("T-06a")
async def test_a_team_by_hours_of_its_zone_sums_to_the_team(stats: Stats) -> None:
    await _two_hours(stats)
    answer = await stats.stub.GetTeamSeries(pb.GetTeamSeriesRequest(**_span(3)), timeout=TIMEOUT_S)
    assert [
        (
            f"{point.start_time.ToDatetime():%H:%M}",
            point.figures.order_count,
            point.figures.customer_count,
            point.figures.points.earned,
            [(each.channel, each.sent_count) for each in point.figures.sends],
            [money.amount_micros for money in point.figures.sends[0].cost.amounts],
        )
        for point in answer.points
    ] == [
        ("11:30", 1, 1, 5, [(WHATSAPP, 1)], [500_000]),
        ("12:30", 1, 1, 5, [(WHATSAPP, 2)], [500_000]),
    ]
    (day,) = (
        await stats.stub.GetTeamSeries(
            pb.GetTeamSeriesRequest(**_span(3, figures_pb2.STEP_DAY)), timeout=TIMEOUT_S
        )
    ).points
    assert day.figures == await stats.team()


@pytest.mark.parametrize(
    ("first", "last", "orders", "messages"), [(0, 2, 2, 3), (1, None, 1, 2), (None, 1, 1, 1)]
)
async def test_a_team_over_a_range(
    stats: Stats, first: int | None, last: int | None, orders: int, messages: int
) -> None:
    await _two_hours(stats)
    asked: dict[str, Any] = {
        name: timestamp(NOON + hour * HOUR)
        for name, hour in (("start_time", first), ("end_time", last))
        if hour is not None
    }
    team = await stats.team(**asked)
    assert (team.order_count, team.points.balance) == (orders, 5 * orders)
    assert [each.sent_count for each in team.sends] == [messages]


@pytest.mark.rule("T-06a")
async def test_nodes_by_hour_in_pages(stats: Stats) -> None:
    await _two_hours(stats)
    asked = {**_span(3), "journey_id": str(JOURNEY), "page_size": 3}
    found, token, pages = [], "", 0
    while token or not pages:
        request = pb.ListNodeSeriesRequest(**asked, page_token=token)
        answer = await stats.stub.ListNodeSeries(request, timeout=TIMEOUT_S)
        found += [
            (
                f"{p.start_time.ToDatetime():%H:%M}",
                p.figures.node_id,
                p.figures.entered_count,
                len(p.figures.results),
            )
            for p in answer.points
        ]
        token, pages = answer.next_page_token, pages + 1
    assert pages == 2
    assert found == [("11:30", "a", 1, 1), ("11:30", "b", 1, 1), ("12:30", "a", 1, 1), ("12:30", "b", 1, 1)]
    only = pb.ListNodeSeriesRequest(**asked, node_id="b")
    points = (await stats.stub.ListNodeSeries(only, timeout=TIMEOUT_S)).points
    assert [point.figures.node_id for point in points] == ["b", "b"]


@pytest.mark.rule("T-06a")
async def test_a_leap_year_of_hours_in_one_call(stats: Stats) -> None:
    await _two_hours(stats)
    asked = _span(8_782)
    journey = pb.GetJourneySeriesRequest(journey_id=str(JOURNEY), **asked)
    points = (await stats.stub.GetJourneySeries(journey, timeout=TIMEOUT_S)).points
    # The first and the last step lie in the range by half, as the hours of the zone go.
    assert len(points) == 8_785
    assert sum(point.figures.triggered_count for point in points) == 2
    assert not points[0].figures.completion_rate.HasField("value")
    team = await stats.stub.GetTeamSeries(pb.GetTeamSeriesRequest(**asked), timeout=TIMEOUT_S)
    nodes = await stats.stub.ListNodeSeries(
        pb.ListNodeSeriesRequest(journey_id=str(JOURNEY), **asked), timeout=TIMEOUT_S
    )
    assert (len(team.points), len(nodes.points)) == (2, 4)


@pytest.mark.parametrize("rpc", ["GetTeamSeries", "ListNodeSeries"])
async def test_more_than_a_year_of_hours(stats: Stats, rpc: str) -> None:
    asked = _span(8_783)
    request: Any = (
        pb.GetTeamSeriesRequest(**asked)
        if rpc == "GetTeamSeries"
        else pb.ListNodeSeriesRequest(journey_id=str(JOURNEY), **asked)
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(stats.stub, rpc)(request, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def _exported(stats: Stats, subject: Any, **asked: Any) -> list[dict[str, str]]:
    """The lines of an export; its chunks are whole lines."""
    request = pb.ExportSeriesRequest(subject=subject, **asked)
    text = ""
    async for piece in stats.stub.ExportSeries(request, timeout=TIMEOUT_S):
        assert piece.csv.endswith(b"\r\n")
        text += piece.csv.decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.rule("T-06a")
async def test_series_as_csv_say_what_the_rpcs_say(stats: Stats) -> None:
    await _two_hours(stats)
    asked = {**_span(3), "journey_id": str(JOURNEY)}
    journey = await _exported(stats, pb.SERIES_SUBJECT_JOURNEY, **asked)
    series = await stats.stub.GetJourneySeries(pb.GetJourneySeriesRequest(**asked), timeout=TIMEOUT_S)
    assert [(line["start_time"], int(line["triggered_count"])) for line in journey] == [
        (point.start_time.ToJsonString(), point.figures.triggered_count) for point in series.points
    ]
    assert {line["completion_rate"] for line in journey} == {"", "0.0"}
    assert sum(float(line.get("message_cost_HKD") or 0) for line in journey) == 1.0
    nodes = await _exported(stats, pb.SERIES_SUBJECT_NODES, **asked)
    assert [(line["node_id"], line["entered_count"], line["send_requested"]) for line in nodes] == [
        ("a", "1", "1"),
        ("b", "1", "1"),
    ] * 2
    messages = await _exported(stats, pb.SERIES_SUBJECT_MESSAGES, **asked)
    assert [(line["channel"], line["sent"]) for line in messages] == [("WHATSAPP", "1"), ("WHATSAPP", "2")]
    team = await _exported(stats, pb.SERIES_SUBJECT_TEAM, **_span(3))
    assert [(line["order_count"], line["points_earned"], line["whatsapp_sent_count"]) for line in team] == [
        ("1", "5", "1"),
        ("1", "5", "2"),
    ]
    assert await _exported(stats, pb.SERIES_SUBJECT_TEAM, **{**_span(3), "team_id": str(NOBODY)}) == []


async def test_an_export_that_is_too_large_or_of_no_journey_is_refused(
    stats: Stats, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _two_hours(stats)
    monkeypatch.setattr(exports, "LINES_MAX", 3)
    for subject, journey_id, field in (
        (pb.SERIES_SUBJECT_NODES, str(JOURNEY), "end_time"),
        (pb.SERIES_SUBJECT_JOURNEY, "", "journey_id"),
        (pb.SERIES_SUBJECT_UNSPECIFIED, str(JOURNEY), "subject"),
        (pb.SERIES_SUBJECT_TEAM, str(JOURNEY), "journey_id"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _exported(stats, subject, **{**_span(3), "journey_id": journey_id})
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert [each.field for each in remote_error(refused.value).violations] == [field]


async def _columns(stats: Stats, **asked: Any) -> list[series_pb2.SeriesColumns]:
    request = pb.StreamSeriesRequest(**asked)
    answers = stats.stub.StreamSeries(request, timeout=TIMEOUT_S)
    return [series async for answer in answers for series in answer.series]


def _figure(series: series_pb2.SeriesColumns, figure: Any) -> list[int] | list[float | None]:
    """What the one column of a figure says of each step."""
    (column,) = [each for each in series.columns if each.figure == figure]
    return by_step(series, column)


@pytest.mark.rule("T-06a")
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Taipei"])
async def test_columns_of_journeys_and_a_team_say_what_their_messages_say(
    feeds: dict[str, FeedServer], start_stats: StartStats, zone: str
) -> None:
    settings = team_pb2.TeamSettings(team_id=str(TEAM), time_zone=zone, currency_code="INR")
    answer = customers_service_pb2.BatchGetTeamSettingsResponse(settings=[settings])
    feeds["segment"].answers["BatchGetTeamSettings"] = answer
    stats = await start_stats()
    await _two_hours(stats)
    for asked in (_span(3), _span(60, figures_pb2.STEP_DAY)):
        request = pb.GetJourneySeriesRequest(journey_id=str(JOURNEY), **asked)
        points = (await stats.stub.GetJourneySeries(request, timeout=TIMEOUT_S)).points
        ids = [str(JOURNEY), str(NOBODY), str(JOURNEY)]
        found = await _columns(stats, journey_ids=ids, subject=pb.SERIES_SUBJECT_JOURNEY, **asked)
        assert [each.journey_id for each in found] == ids
        assert not found[1].columns
        assert found[2] == found[0]
        journey = found[0]
        assert step_starts(journey) == [point.start_time.ToDatetime(UTC) for point in points]
        assert _figure(journey, series_pb2.SERIES_FIGURE_TRIGGERED_COUNT) == [
            point.figures.triggered_count for point in points
        ]
        assert _figure(journey, series_pb2.SERIES_FIGURE_MESSAGES_SENT_COUNT) == [
            point.figures.messages_sent_count for point in points
        ]
        assert _figure(journey, series_pb2.SERIES_FIGURE_RETURN_ON_AD_SPEND) == [
            point.figures.return_on_ad_spend.value
            if point.figures.return_on_ad_spend.HasField("value")
            else None
            for point in points
        ]
        (team,) = await _columns(stats, subject=pb.SERIES_SUBJECT_TEAM, **asked)
        assert step_starts(team) == step_starts(journey)
        by_start = {
            point.start_time.ToDatetime(UTC): point.figures
            for point in (
                await stats.stub.GetTeamSeries(pb.GetTeamSeriesRequest(**asked), timeout=TIMEOUT_S)
            ).points
        }
        told = [by_start.get(at, figures_pb2.TeamOverview()) for at in step_starts(team)]
        orders = _figure(team, series_pb2.SERIES_FIGURE_ORDER_COUNT)
        assert orders == [each.order_count for each in told]
        assert sum(each or 0 for each in orders) == 2
        earned = _figure(team, series_pb2.SERIES_FIGURE_POINTS_EARNED)
        assert earned == [each.points.earned for each in told]
        (cost,) = [each for each in team.columns if each.figure == series_pb2.SERIES_FIGURE_MESSAGE_COST]
        assert (cost.channel, cost.currency_code) == (WHATSAPP, "HKD")
        assert by_step(team, cost) == [
            sum(money.amount_micros for each in figures.sends for money in each.cost.amounts)
            for figures in told
        ]


@pytest.mark.parametrize(
    ("subject", "number", "field"),
    [
        (pb.SERIES_SUBJECT_JOURNEY, 0, "journey_ids"),
        (pb.SERIES_SUBJECT_TEAM, 1, "journey_ids"),
        (pb.SERIES_SUBJECT_JOURNEY, 1_001, "journey_ids"),
        (pb.SERIES_SUBJECT_NODES, 1, "subject"),
    ],
)
async def test_columns_that_cannot_be_answered(stats: Stats, subject: Any, number: int, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _columns(stats, subject=subject, journey_ids=[str(JOURNEY)] * number, **_span(3))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [each.field for each in remote_error(refused.value).violations] == [field]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _columns(stats, subject=pb.SERIES_SUBJECT_TEAM, **_span(8_783))
    assert [each.field for each in remote_error(refused.value).violations] == ["end_time"]
