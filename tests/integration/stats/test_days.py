"""Figures of days that are over are the same to the last, whatever is counted late, folded or counted anew (T-06)."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.common.clients.team_settings import TeamSettings
from libs.common.clock import SteppedClock
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.db.roles import service_dsn
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database
from libs.testing.history_rows import JOURNEY, NOON, TEAM
from omnijourney.common.v1 import operation_pb2
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, CounterKey, Counts, Metric, Source, Total
from services.stats.domain.overview import overview_of, overviews_by_step
from services.stats.domain.series import Steps, step_starts
from services.stats.store.base import BOOK
from services.stats.store.counters import CounterStore
from services.stats.store.counting import columns
from services.stats.store.days import FIRST, DayStore
from services.stats.store.series import NodesAsked, SeriesStore
from services.stats.worker.days import Days
from tests.integration.stats.conftest import TIMEOUT_S, StartStats, Stats
from tests.integration.stats.test_checker import Told, check
from tests.integration.stats.test_rebuilds import rebuild, record_a_day

ZONES: Final = (
    *("UTC", "Asia/Taipei", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"),
    *("Pacific/Chatham", "America/New_York", "Pacific/Apia", "America/Havana", "Africa/Casablanca"),
)
"""Of every quarter of an hour that zones lie off one of UTC; some skip or repeat hours or half ones in the span."""
BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
SPAN: Final = (NOON - 2 * DAY, NOON + DAY)
SPAN_DAYS: Final = 40
JOURNEYS: Final = (NO_JOURNEY, JOURNEY, UUID(int=7))
FIGURES: Final = (
    (Metric.TRIGGERED, "", NO_CHANNEL, ""),
    (Metric.NODE_ENTERED, "hello", NO_CHANNEL, ""),
    (Metric.MESSAGES_SENT, "hello", 1, ""),
    (Metric.MESSAGES_SENT, "bye", 2, ""),
    (Metric.MESSAGE_COST, "hello", 2, "HKD"),
    (Metric.JOURNEY_REVENUE, "hello", 2, "TWD"),
    (Metric.ORDERS, "", NO_CHANNEL, ""),
)
FINE: Final = "SELECT count(*) FROM stats.counter_day WHERE team_id = $1 AND scope = 1 AND NOT is_daily"
KEPT_DAYS: Final = "SELECT * FROM stats.counter_day ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"
KEPT_MONTHS: Final = "SELECT * FROM stats.counter_month ORDER BY 1, 2, 3, 4, 5, 6, 7"
QUARTERS: Final = """
SELECT journey_id, metric, node_id, channel, currency, quarter, sum(value)::bigint AS value
  FROM (SELECT team_id, journey_id, metric, node_id, channel, currency, quarter, value FROM stats.counter
        UNION ALL
        SELECT d.team_id, d.journey_id, d.metric, d.node_id, d.channel, d.currency,
               d.day + s.slot * interval '15 minutes', s.value
          FROM stats.counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)
         WHERE d.scope = 1) AS each
 WHERE team_id = $1 GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(value) <> 0 ORDER BY 1, 2, 3, 4, 5, 6
"""


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as the service has them."""
    async with await open_pool(service_dsn(database.admin_dsn, "stats"), name="test", size_max=4) as pool:
        yield pool


class Zones:
    """What segment says of the team."""

    def __init__(self, zone: str) -> None:
        self.zone = zone

    async def of_all(self, team_ids: list[UUID]) -> dict[UUID, TeamSettings]:
        return {each: TeamSettings(self.zone, frozenset(), known=each == TEAM) for each in team_ids}


def days(pool: Pool, now: datetime, zone: str = "UTC", kept: timedelta | None = None) -> Days:
    """The loop at a time."""
    return Days(DayStore(pool), Zones(zone), SteppedClock(now), kept)  # type: ignore[arg-type]  # of what it calls


class Recount:
    """Figures as they are counted, and the same added up one by one."""

    def __init__(self, pool: Pool, chance: random.Random) -> None:
        self.counted: Counter[CounterKey] = Counter()
        self._pool = pool
        self._chance = chance
        self._series = SeriesStore(pool)
        self._counters = CounterStore(pool)

    async def grow(self, number: int, least: int = -5) -> None:
        """Counts something at any times, orders that are taken back too."""
        deltas: Counter[CounterKey] = Counter()
        for _ in range(number):
            metric, node_id, channel, label = self._chance.choice(FIGURES)
            at = BEGIN + self._chance.randrange(SPAN_DAYS * 96) * QUARTER
            of = self._chance.choice(JOURNEYS)
            deltas[CounterKey(TEAM, metric, at, of, node_id, channel, label)] += self._chance.randint(
                least, 9
            )
        self.counted.update(deltas)
        counters, firsts = columns(Counts(dict(deltas), {}))
        async with transaction(self._pool, ()) as connection:
            query = BOOK.bind("count_part", source=Source.POINTS, counters=counters, firsts=firsts)
            await connection.execute(*query)

    def of(self, steps: list[datetime], start: datetime, end: datetime) -> Counter[tuple[int, Total]]:
        """All figures by step, with 1 in the place of their sums."""
        found: Counter[tuple[int, Total]] = Counter()
        for key, value in self.counted.items():
            if start <= key.quarter < end:
                place = bisect_right(steps, key.quarter) - 1
                figure = (key.metric, key.journey_id, key.node_id, key.channel, key.label)
                found[place, Total(*figure, 1)] += value
        return found

    async def check(self, zone: str, start: datetime, end: datetime, unit: str) -> None:
        """Every way to ask for figures says what one by one comes to."""
        steps = list(step_starts(start, end, unit, zone))
        whole = self.of(steps, start, end)
        for journey_id in JOURNEYS:
            own = {place: value for place, value in whole.items() if place[1].journey_id == journey_id}
            expected = sorted(
                (step, total._replace(value=value)) for (step, total), value in own.items() if value
            )
            assert (
                await self._series.of_journey(TEAM, journey_id, (start, end), Steps(steps, unit)) == expected
            )
            columns = await self._series.overviews(TEAM, [journey_id], (start, end), Steps(steps, unit))
            overviews = overviews_by_step(columns[journey_id])
            for step in range(len(steps)):
                assert overviews.get(step, overview_of(())) == overview_of(
                    total for place, total in expected if place == step
                ), (zone, unit, steps[step])
            nodes = NodesAsked(TEAM, journey_id, None, start, end)
            entered = [
                (step, total.node_id, [total])
                for step, total in expected
                if total.metric == Metric.NODE_ENTERED
            ]
            assert await self._series.of_nodes(nodes, Steps(steps, unit), (-1, ""), 10_000) == entered
        await self._check_team(steps, start, end)

    async def _check_team(self, steps: list[datetime], start: datetime, end: datetime) -> None:
        sent = Counter[tuple[int, Total]]()
        for (step, total), value in self.of(steps, start, end).items():
            if total.metric in {Metric.MESSAGES_SENT, Metric.MESSAGE_COST}:
                sent[step, total._replace(journey_id=NO_JOURNEY, node_id="")] += value
        columns = await self._series.of_team(TEAM, (start, end), Steps(steps, "hour"))
        found_sends = [
            (step, Total(metric, NO_JOURNEY, node_id, channel, label, value))
            for (metric, node_id, channel, label), column in columns.items()
            for step, value in column.items()
            if value and channel
        ]
        assert sorted(found_sends) == sorted(
            (step, t._replace(value=value)) for (step, t), value in sent.items() if value
        )
        whole = {
            (step, total.metric): value
            for (step, total), value in self.of(steps, start, end).items()
            if total.journey_id == NO_JOURNEY and total.metric == Metric.ORDERS and value
        }
        assert whole == {
            (step, metric): value
            for (metric, _, channel, _), column in columns.items()
            for step, value in column.items()
            if value and metric == Metric.ORDERS
        }
        of_range = Counter[Total]()
        for (_, total), value in sent.items():
            of_range[total] += value
        _, found = await self._series.of_team_range(TEAM, start, end)
        assert found == sorted(total._replace(value=value) for total, value in of_range.items() if value)
        summed = Counter[Total]()
        for (_, total), value in self.of(steps, start, end).items():
            summed[total] += value
        totals = await self._counters.totals(TEAM, JOURNEYS, start, end)
        assert sorted(t for t in totals if t.value) == sorted(
            t._replace(value=value) for t, value in summed.items() if value
        )

    async def check_some(self, zones: tuple[str, ...], since: datetime = BEGIN, unit: str = "") -> None:
        """Over some span of each zone; by day, from the beginning of one."""
        for zone in zones:
            first, last = sorted(self._chance.sample(range(SPAN_DAYS * 96), 2))
            start, end = max(since, BEGIN + first * QUARTER), max(since, BEGIN + last * QUARTER) + QUARTER
            if unit:
                start, end = (next(step_starts(at, at + DAY, "day", zone)) for at in (start, end + 2 * DAY))
            await self.check(zone, start, end, unit or self._chance.choice(["hour", "day"]))
        differing = await self._counters.differing(TEAM)
        assert not differing["sums of quarters"] + differing["sums of days"]


@pytest.mark.rule("T-06a", "T-06b")
async def test_figures_are_those_of_a_recount_in_every_zone_whatever_is_moved_and_counted_late(
    pool: Pool,
) -> None:
    chance = random.Random(76)
    recount, store = Recount(pool, chance), DayStore(pool)
    await recount.grow(400)
    await recount.check_some(ZONES[:2])
    for step, zone in enumerate(ZONES):
        # Steps of any size, which leave days and journeys by half.
        before = BEGIN + chance.randrange(SPAN_DAYS) * DAY
        place, _ = await store.roll_up(before, FIRST, chance.randint(1, 3), chance.choice([1, 17, 10_000]))
        if place is not None:
            await store.roll_up(before, place, 10, chance.choice([5, 10_000]))
        if step % 2:
            await recount.grow(30)
        await recount.check_some((zone,))
    stopping = asyncio.Event()
    await days(pool, BEGIN + (SPAN_DAYS + 3) * DAY).round(stopping)
    async with transaction(pool, [TEAM]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM counter") == 0
    await recount.check_some(ZONES)


@pytest.mark.rule("T-06a", "T-06b")
@pytest.mark.parametrize("zone", ["Asia/Taipei", "Australia/Lord_Howe"])
async def test_days_stay_exact_when_hours_go_and_of_late_counts_too(pool: Pool, zone: str) -> None:
    recount, stopping = Recount(pool, random.Random(zone)), asyncio.Event()
    await recount.grow(400)
    now = BEGIN + 60 * DAY + timedelta(hours=5)
    folding = days(pool, now, zone, 30 * DAY)
    await folding.round(stopping)
    since = await DayStore(pool).hours_since(TEAM)
    assert since is not None
    async with transaction(pool, [TEAM]) as connection:
        fine = await connection.fetchval(
            "SELECT count(*) FROM counter_day WHERE scope = 1 AND day <= $1::timestamptz - interval '1 day' AND"
            " EXISTS (SELECT FROM unnest(slots) AS slot WHERE (day + slot * interval '15 minutes') <> ALL ($2))",
            since,
            list(step_starts(BEGIN - DAY, since, "day", zone)),
        )
    assert fine == 0
    await recount.check_some((zone,) * 3, unit="day")
    await recount.check_some((zone,) * 2, since)
    # Orders of long ago are taken back, and what was not reached is counted by now.
    await recount.grow(100)
    await recount.check_some((zone,) * 2, unit="day")
    await folding.round(stopping)
    await recount.check_some((zone,) * 3, unit="day")
    await days(pool, now + 3 * DAY, zone, 30 * DAY).round(stopping)
    await recount.check_some((zone,) * 3, unit="day")


async def _series(stats: Stats, step: Any, span: tuple[datetime, datetime] = SPAN) -> list[Any]:
    """All that is asked by step."""
    by = {"start_time": timestamp(span[0]), "end_time": timestamp(span[1]), "step": step}
    asked = {"team_id": str(TEAM), "journey_id": str(JOURNEY), **by}
    return [
        await stats.stub.GetJourneySeries(pb.GetJourneySeriesRequest(**asked), timeout=TIMEOUT_S),
        await stats.stub.ListNodeSeries(pb.ListNodeSeriesRequest(**asked), timeout=TIMEOUT_S),
        await stats.stub.ListMessageFigures(pb.ListMessageFiguresRequest(**asked), timeout=TIMEOUT_S),
        await stats.stub.GetTeamSeries(pb.GetTeamSeriesRequest(team_id=str(TEAM), **by), timeout=TIMEOUT_S),
    ]


@pytest.mark.rule("T-06b", "T-06c")
async def test_what_is_shown_is_the_same_after_days_were_moved_counted_anew_and_folded(
    stats: Stats, pool: Pool, database: Database
) -> None:
    admin, stopping = await asyncpg.connect(database.admin_dsn), asyncio.Event()
    try:
        record_a_day(stats)
        await stats.settle()
        hours, by_day = (
            await _series(stats, figures_pb2.STEP_HOUR),
            await _series(stats, figures_pb2.STEP_DAY),
        )
        quarters = await admin.fetch(QUARTERS, TEAM)
        # Broken off, it has moved nothing; of several at once one moves.
        async with admin.transaction():
            await admin.execute("SELECT pg_advisory_xact_lock(hashtextextended('stats.days', 0))")
            await days(pool, NOON + 3 * DAY).round(stopping)
            assert await admin.fetchval("SELECT count(*) FROM stats.counter_day") == 0
        moving = [days(pool, NOON + 3 * DAY).round(stopping) for _ in range(3)]
        record_a_day(stats, at_hour=1)
        await asyncio.gather(*moving)
        await stats.settle()
        await days(pool, NOON + 3 * DAY).round(stopping)
        assert await admin.fetchval("SELECT count(*) FROM stats.counter") == 0
        twice = await admin.fetch(QUARTERS, TEAM)
        assert len(twice) > len(quarters)
        hours, by_day = (
            await _series(stats, figures_pb2.STEP_HOUR),
            await _series(stats, figures_pb2.STEP_DAY),
        )
        kept = [await admin.fetch(query) for query in (KEPT_DAYS, KEPT_MONTHS)]

        assert (await rebuild(stats)).state == operation_pb2.OPERATION_STATE_SUCCEEDED
        assert await admin.fetch(QUARTERS, TEAM) == twice
        assert await _series(stats, figures_pb2.STEP_HOUR) == hours
        await days(pool, NOON + 3 * DAY).round(stopping)
        assert [await admin.fetch(query) for query in (KEPT_DAYS, KEPT_MONTHS)] == kept

        # Of hours that are not kept any more nothing is made up.
        folding = days(pool, NOON + 500 * DAY, "Asia/Kolkata", 400 * DAY)
        await folding.round(stopping)
        midnight, *_, last = step_starts(SPAN[0], SPAN[1] + DAY, "day", "Asia/Kolkata")
        assert await admin.fetchval(FINE, TEAM) == 0
        shown = await _series(stats, figures_pb2.STEP_DAY, (midnight, last))
        assert [list(each.points) for each in (shown[0], shown[3])] == [
            list(each.points) for each in (by_day[0], by_day[3])
        ]
        for asked, field in (
            (_series(stats, figures_pb2.STEP_HOUR, (midnight, last)), "start_time"),
            (_series(stats, figures_pb2.STEP_DAY, (NOON - DAY, last)), "start_time"),
            (stats.overview(start_time=timestamp(NOON)), "start_time"),
            (stats.nodes(end_time=timestamp(NOON)), "end_time"),
            (stats.team(end_time=timestamp(NOON)), "end_time"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            (violation,) = remote_error(refused.value).violations
            assert violation.field == field
            assert "kept by day" in violation.description
        whole = await stats.overview()
        assert (await stats.overview(start_time=timestamp(midnight))) == whole
    finally:
        await admin.close()


@pytest.mark.rule("T-06b")
async def test_the_checker_finds_a_day_that_is_not_the_sum_of_its_figures(
    stats: Stats, pool: Pool, database: Database
) -> None:
    record_a_day(stats)
    await stats.settle()
    Told().to(stats)
    await days(pool, NOON + 3 * DAY).round(asyncio.Event())
    assert (await check(stats))[0] == set()
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        for table, scope, what in (
            ("counter_day", 1, "sums of quarters"),
            ("counter_day", 3, "sums of days"),
            ("counter_month", 2, "sums of days"),
            ("counter_month", 3, "sums of days"),
        ):
            spoil = f"UPDATE stats.{table} SET sums[1] = sums[1] {{}} 1 WHERE scope = $1"
            await admin.execute(spoil.format("+"), scope)
            assert any(figure.startswith(what) for figure in (await check(stats))[0])
            await admin.execute(spoil.format("-"), scope)
    finally:
        await admin.close()


@pytest.mark.rule("S-08c")
async def test_hours_go_when_the_team_says_so(
    feeds: dict[str, FeedServer], start_stats: StartStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stats.worker.days.EVERY_S", 0.05)
    stats = await start_stats()
    record_a_day(stats, at_hour=-500 * 24)
    await stats.settle()
    midnight, *_, last = step_starts(NOON - 502 * DAY, NOON - 498 * DAY, "day", "Asia/Kolkata")
    asked: dict[str, Any] = {"team_id": str(TEAM), "journey_id": str(JOURNEY)}
    span: dict[str, Any] = {"start_time": timestamp(midnight), "end_time": timestamp(last)}
    by_hour = pb.GetJourneySeriesRequest(**asked, **span, step=figures_pb2.STEP_HOUR)
    by_day = pb.GetJourneySeriesRequest(**asked, **span, step=figures_pb2.STEP_DAY)
    days_before = await stats.stub.GetJourneySeries(by_day, timeout=TIMEOUT_S)
    assert sum(point.figures.triggered_count for point in days_before.points) > 0
    said = customers_service_pb2.TeamRetention(team_id=str(TEAM))
    said.retention.hourly_figures.FromTimedelta(400 * DAY)
    answer = customers_service_pb2.ListRetentionsResponse(retentions=[said])
    feeds["segment"].answers["ListRetentions"] = answer

    async def refused() -> str:
        try:
            await stats.stub.GetJourneySeries(by_hour, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return remote_error(error).violations[0].field
        return ""

    async with asyncio.timeout(TIMEOUT_S):
        while (field := await refused()) == "":
            await asyncio.sleep(0.05)
    assert field == "start_time"
    columns = pb.StreamSeriesRequest(
        team_id=str(TEAM),
        subject=pb.SERIES_SUBJECT_JOURNEY,
        journey_ids=[str(JOURNEY)],
        step=figures_pb2.STEP_HOUR,
        **span,
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused_columns:
        _ = [answer async for answer in stats.stub.StreamSeries(columns, timeout=TIMEOUT_S)]
    assert remote_error(refused_columns.value).violations[0].field == "start_time"
    assert await stats.stub.GetJourneySeries(by_day, timeout=TIMEOUT_S) == days_before
