"""Stats from the histories to its answers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import grpc
import pytest

from libs.common.ids import partition_of
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database
from libs.testing.history_rows import (
    JOURNEY,
    NOON,
    TEAM,
    WHATSAPP,
    click,
    entry,
    order,
    refund,
    refused,
    run_segment,
    sent,
    stored,
)
from libs.testing.mails import customers
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import entry_pb2
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.worker import readers as worker
from tests.integration.stats.conftest import TIMEOUT_S, Stats

PEOPLE = list(islice(customers(), 50))
ENTERED = ("hello", enrolment_pb2.STEP_RESULT_SEND_REQUESTED, True)
DONE = enrolment_pb2.ENROLMENT_STATE_COMPLETED


@pytest.mark.rule("T-01a")
async def test_a_journey_from_its_histories(stats: Stats) -> None:
    runs, sends = stats.feeds["journey"], stats.feeds["channel_gateway"]
    for who in PEOPLE[:4]:
        runs.record(run_segment(who, ENTERED, enrolled=True))
        sends.record(sent(who))
    runs.record(*(run_segment(who, state=DONE) for who in PEOPLE[:3]), refused(PEOPLE[4]))
    runs.record(run_segment(PEOPLE[0], ENTERED, enrolled=True))  # comes again, and counts again
    sends.record(sent(PEOPLE[4], state=delivery_pb2.SEND_STATE_SKIPPED, messages=0, price_micros=0))
    await stats.settle()
    overview = await stats.overview()
    assert (overview.triggered_count, overview.completed_count, overview.refused_count) == (5, 3, 1)
    assert (overview.messages_sent_count, overview.skipped_count) == (4, 1)
    assert overview.completion_rate.value == 0.6
    assert [(m.currency_code, m.amount_micros) for m in overview.message_cost.amounts] == [("HKD", 2_000_000)]
    assert await stats.nodes() == {"hello": 5}


async def test_a_team_from_its_histories(stats: Stats) -> None:
    stats.feeds["segment"].record(
        order(PEOPLE[0]),
        order(PEOPLE[0]),
        order(PEOPLE[1]),
        refund(PEOPLE[2]),
        stored(5),
        stored(6, refund=True),
    )
    stats.feeds["points"].record(
        entry(PEOPLE[0], entry_pb2.ENTRY_SOURCE_WEB_ORDER, 15, cumulative=15),
        entry(PEOPLE[0], entry_pb2.ENTRY_SOURCE_REFUND, -15, asked=-20),
    )
    stats.feeds["channel_gateway"].record(sent(PEOPLE[0], messages=2))
    await stats.settle()
    team = await stats.team()
    assert (team.order_count, team.refund_count, team.anonymous_count, team.customer_count) == (3, 1, 2, 3)
    assert (team.points.entry_count, team.points.earned, team.points.refunded) == (2, 15, 15)
    assert (team.points.refund_shortfall, team.points.balance, team.points.cumulative) == (5, 0, 15)
    assert [(sends.channel, sends.sent_count) for sends in team.sends] == [(WHATSAPP, 2)]


async def test_teams_do_not_see_each_other(stats: Stats) -> None:
    stats.feeds["segment"].record(order(PEOPLE[0]))
    await stats.settle()
    assert (await stats.team(str(uuid5(TEAM, "other")))).order_count == 0


@pytest.mark.rule("T-04")
async def test_a_node_that_was_entered_is_seen_by_itself(stats: Stats) -> None:
    await stats.settle()
    for n, who in enumerate(PEOPLE[:5], start=1):
        stats.feeds["journey"].record(run_segment(who, ENTERED, enrolled=True))
        async with asyncio.timeout(TIMEOUT_S):
            while (await stats.nodes()).get("hello", 0) < n:
                await asyncio.sleep(0.01)


@pytest.mark.rule("T-04")
async def test_who_rests_at_a_node_is_what_journey_counts_at_that_moment(stats: Stats) -> None:
    asked: list[journey.CountWaitsRequest] = []
    counted = journey.CountWaitsResponse()

    def count(request: journey.CountWaitsRequest) -> journey.CountWaitsResponse:
        asked.append(request)
        return counted

    stats.feeds["journey"].answers["CountWaits"] = count
    request = pb.ListNodeFiguresRequest(team_id=str(TEAM), journey_id=str(JOURNEY))
    assert not (await stats.stub.ListNodeFigures(request, timeout=TIMEOUT_S)).nodes
    counted.waits.add(node_id="wait", wait_reason=enrolment_pb2.WAIT_REASON_DELAY, enrolment_count=3)
    counted.waits.add(node_id="wait", wait_reason=enrolment_pb2.WAIT_REASON_QUIET, enrolment_count=1)
    [node] = (await stats.stub.ListNodeFigures(request, timeout=TIMEOUT_S)).nodes
    assert (node.node_id, list(node.waits)) == ("wait", list(counted.waits))
    assert {(each.team_id, each.journey_id) for each in asked} == {(str(TEAM), str(JOURNEY))}
    del stats.feeds["journey"].answers["CountWaits"]
    with pytest.raises(grpc.aio.AioRpcError) as refused_call:
        await stats.stub.ListNodeFigures(request, timeout=TIMEOUT_S)
    assert refused_call.value.code() is grpc.StatusCode.UNAVAILABLE, "nobody is told that nobody waits"


async def test_a_send_whose_link_is_opened_again_later_counts_once(stats: Stats) -> None:
    feed = stats.feeds["channel_gateway"]
    feed.record(sent(PEOPLE[0]), click(PEOPLE[0], UUID(int=1)))
    await stats.settle()
    feed.record(click(PEOPLE[0], UUID(int=1), NOON + timedelta(hours=3)), click(PEOPLE[0], UUID(int=2)))
    await stats.settle()
    request = pb.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=str(JOURNEY))
    (figures,) = (await stats.stub.ListMessageFigures(request, timeout=TIMEOUT_S)).figures
    assert figures.clicked.value == 2
    assert figures.read.absent_reason == figures_pb2.ABSENT_REASON_NOT_MEASURED


# ---- exactly once ----


@pytest.fixture
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of few rows are many here."""
    monkeypatch.setattr(worker, "LINGER_S", 0.0)


@pytest.mark.usefixtures("_no_linger")
async def test_several_processes_count_every_row_once(
    start_stats: Callable[[], Awaitable[Stats]], feeds: dict[str, Any]
) -> None:
    for feed in feeds.values():
        feed.rows_max = 7
    several = [await start_stats() for _ in range(3)]
    for n in range(300):
        feeds["journey"].record(run_segment(PEOPLE[n % 50], ENTERED, enrolled=True, state=DONE))
        feeds["segment"].record(order(PEOPLE[n % 50]))
        if n % 20 == 0:
            await asyncio.sleep(0)
    await several[0].settle()
    overview, team = await several[1].overview(), await several[2].team()
    assert (overview.triggered_count, overview.completed_count) == (300, 300)
    assert (team.order_count, team.customer_count) == (300, 50)
    states = (
        await several[0].stub.ListProjectionStates(pb.ListProjectionStatesRequest(), timeout=TIMEOUT_S)
    ).states
    assert {state.source: state.counted_rows for state in states} == {
        "journey": 300,
        "channel_gateway": 0,
        "points": 0,
        "segment": 300,
    }


@pytest.mark.usefixtures("_no_linger")
async def test_connections_that_die_lose_and_double_nothing(stats: Stats, database: Database) -> None:
    for feed in stats.feeds.values():
        feed.rows_max = 3
    killer = await asyncpg.connect(database.admin_dsn)
    try:
        for n in range(120):
            stats.feeds["journey"].record(run_segment(PEOPLE[n % 50], ENTERED, enrolled=True))
            if n % 30 == 15:
                await asyncio.sleep(0.05)
                await killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'omnijourney stats' AND datname = current_database()"
                )
        await asyncio.sleep(0.3)
        async with asyncio.timeout(TIMEOUT_S):
            while (await stats.nodes()).get("hello", 0) < 120:
                await asyncio.sleep(0.02)
        await stats.settle()
    finally:
        await killer.close()
    assert await stats.nodes() == {"hello": 120}
    assert (await stats.overview()).triggered_count == 120


async def test_cursors_that_went_back_are_followed(stats: Stats, database: Database) -> None:
    """A server that crashed may have lost the last commits, counters and cursors alike."""
    feed = stats.feeds["journey"]
    feed.record(run_segment(PEOPLE[0], ENTERED, enrolled=True))
    await stats.settle()
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("UPDATE stats.cursor SET position = 0; TRUNCATE stats.counter, stats.total")
    finally:
        await admin.close()
    feed.record(run_segment(next(who for who in PEOPLE if lies_elsewhere(who)), ENTERED, enrolled=True))
    await stats.settle()
    assert (await stats.overview()).triggered_count == 2


def lies_elsewhere(who: UUID) -> bool:
    """Whether a person is of another partition than the first one."""
    return partition_of(TEAM, who) != partition_of(TEAM, PEOPLE[0])


async def test_a_history_that_is_away_is_waited_for(stats: Stats) -> None:
    feed = stats.feeds["points"]
    feed.record(entry(PEOPLE[0], entry_pb2.ENTRY_SOURCE_WEB_ORDER, 5))
    await stats.settle()
    states = (
        await stats.stub.ListProjectionStates(pb.ListProjectionStatesRequest(), timeout=TIMEOUT_S)
    ).states
    assert [(state.source, state.waiting_rows, state.error_message) for state in states] == [
        (name, 0, "") for name in ("journey", "channel_gateway", "points", "segment")
    ]


# ---- ranges and series ----


async def _three_hours(stats: Stats) -> None:
    for hour, who in enumerate(PEOPLE[:3]):
        stats.feeds["journey"].record(
            run_segment(who, ENTERED, enrolled=True, at=NOON + timedelta(hours=hour))
        )
        stats.feeds["channel_gateway"].record(sent(who, at=NOON + timedelta(hours=hour)))
    await stats.settle()


async def test_ranges(stats: Stats) -> None:
    await _three_hours(stats)
    hour = timedelta(hours=1)
    for start, end, expected in (
        (NOON, NOON + 3 * hour, 3),
        (NOON + hour / 4, None, 2),
        (None, NOON + 2 * hour, 2),
        (NOON + hour, NOON + 2 * hour, 1),
        (NOON + 5 * hour, None, 0),
    ):
        span = {
            name: timestamp(at) for name, at in (("start_time", start), ("end_time", end)) if at is not None
        }
        assert (await stats.overview(**span)).triggered_count == expected
        assert (await stats.nodes(**span)).get("hello", 0) == expected


@pytest.mark.rule("T-06a")
async def test_series_by_hours_of_a_zone_with_a_half(stats: Stats) -> None:
    await _three_hours(stats)
    request = pb.GetJourneySeriesRequest(
        team_id=str(TEAM),
        journey_id=str(JOURNEY),
        start_time=timestamp(NOON - timedelta(hours=1)),
        end_time=timestamp(NOON + timedelta(hours=3)),
        step=figures_pb2.STEP_HOUR,
    )
    series = (await stats.stub.GetJourneySeries(request, timeout=TIMEOUT_S)).points
    found = {
        point.start_time.ToDatetime().strftime("%H:%M"): point.figures.triggered_count for point in series
    }
    assert found == {"10:30": 0, "11:30": 1, "12:30": 1, "13:30": 1, "14:30": 0}


@pytest.mark.rule("T-06a", "T-05d")
async def test_series_by_days_of_a_zone_with_a_half(stats: Stats) -> None:
    # Midnight in Kolkata is 18:30: in the middle of an hour of UTC.
    feed = stats.feeds["channel_gateway"]
    feed.record(*(sent(PEOPLE[0], at=NOON.replace(hour=18, minute=minute)) for minute in (15, 29, 30, 45)))
    await stats.settle()
    request = pb.ListMessageFiguresRequest(
        team_id=str(TEAM),
        journey_id=str(JOURNEY),
        start_time=timestamp(NOON - timedelta(days=2)),
        end_time=timestamp(NOON + timedelta(days=2)),
        step=figures_pb2.STEP_DAY,
    )
    figures = (await stats.stub.ListMessageFigures(request, timeout=TIMEOUT_S)).figures
    assert [(each.start_time.ToDatetime().isoformat(), each.sent.value) for each in figures] == [
        ("2026-02-28T18:30:00", 2),
        ("2026-03-01T18:30:00", 2),
    ]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"start_time": timestamp(NOON + timedelta(minutes=1))}, "start_time"),
        ({"start_time": timestamp(NOON), "end_time": timestamp(NOON)}, "end_time"),
    ],
)
async def test_ranges_that_cannot_be_answered(stats: Stats, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused_call:
        await stats.overview(**asked)
    assert refused_call.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(refused_call.value.trailing_metadata())


async def test_too_many_steps(stats: Stats) -> None:
    request = pb.GetJourneySeriesRequest(
        team_id=str(TEAM),
        journey_id=str(JOURNEY),
        start_time=timestamp(NOON),
        end_time=timestamp(NOON + timedelta(hours=8_785)),
        step=figures_pb2.STEP_HOUR,
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused_call:
        await stats.stub.GetJourneySeries(request, timeout=TIMEOUT_S)
    assert refused_call.value.code() is grpc.StatusCode.INVALID_ARGUMENT
