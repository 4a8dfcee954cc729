"""stats: a year of hours of one journey, of many, and of their team, in one call each."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from bench import wal
from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.team import call
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1.segment_service_pb2 import CreateTeamRequest
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, Team, TeamSettings
from omnijourney.stats.v1 import figures_pb2, series_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.store.base import BOOK
from services.stats.store.counters import SCOPES
from services.stats.store.days import SUMMED

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
HOURS: Final = 365 * 24
ROLLED_FROM: Final = START + timedelta(days=345)
"""From when on stats rolls up itself; what was before is written as it would have left it."""
ROUNDS: Final = 9
ROLLED_S_MAX: Final = 1_800.0
_SERVING: Final = ("stats", "postgres")
_MANY_HOURS: Final = 500
"""Hours of the year in which each of the many journeys sends."""
_SEED: Final = """
CREATE UNLOGGED TABLE stats.bench_counter (
    journey_id uuid, quarter timestamptz, metric smallint, channel smallint, node_id text, currency text, value bigint)
"""
_BUSY: Final = """
INSERT INTO stats.bench_counter (journey_id, quarter, metric, channel, node_id, currency, value)
SELECT $1, $2::timestamptz + n * interval '15 minutes', kind.metric, kind.channel, kind.node_id, kind.currency,
       1 + n % 7
  FROM generate_series(0, $3::int - 1) AS n,
       (VALUES (1, 0, '', ''), (3, 0, '', ''), (5, 0, 'hello', ''), (1001, 0, 'hello', ''), (1002, 0, 'hello', ''),
               (5, 0, 'pause', ''), (1009, 0, 'pause', ''), (10, 2, 'hello', ''), (14, 2, 'hello', 'HKD'),
               (18, 2, 'hello', ''), (50, 2, 'hello', ''), (51, 2, 'hello', 'TWD'))
       AS kind (metric, channel, node_id, currency)
"""
_MANY: Final = """
INSERT INTO stats.bench_counter (journey_id, quarter, metric, channel, node_id, currency, value)
SELECT journey_id, $1::timestamptz + (hour * 17 + number) % $2::int * interval '1 hour', kind.metric, 2, 'hello',
       kind.currency, 1
  FROM unnest($3::uuid[]) WITH ORDINALITY AS j (journey_id, number), generate_series(1, $4::int) AS hour,
       (VALUES (10, ''), (14, 'HKD')) AS kind (metric, currency)
"""
_TOTALS: Final = """
INSERT INTO stats.total (team_id, journey_id, metric, channel, node_id, currency, value)
SELECT $1, journey_id, metric, channel, node_id, currency, sum(value) FROM stats.bench_counter GROUP BY 2, 3, 4, 5, 6
"""
_DAYS: Final = """
INSERT INTO stats.counter_day (team_id, scope, journey_id, day, metric, node_id, channel, currency, is_daily, slots,
                               sums)
SELECT $1, scope, journey_id, day, metric, node_id, channel, currency, false, array_agg(slot ORDER BY slot),
       array_agg(value ORDER BY slot)
  FROM (
    SELECT scope, journey_id, date_trunc('day', quarter, 'UTC') AS day, metric, node_id, channel, currency,
           (extract(epoch FROM quarter)::bigint / 900 % 96)::smallint AS slot, sum(value)::bigint AS value
      FROM (
        SELECT 1 AS scope, journey_id, quarter, metric, node_id, channel, currency, value FROM stats.bench_counter
         UNION ALL
        SELECT 3, '00000000-0000-0000-0000-000000000000', quarter, metric, '', channel, currency, value
          FROM stats.bench_counter WHERE metric = ANY ($3::smallint[]) AND channel <> 0) AS each
     WHERE quarter < $2::timestamptz GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) AS slots
 GROUP BY 2, 3, 4, 5, 6, 7, 8
"""
_MONTHS: Final = """
INSERT INTO stats.counter_month (team_id, scope, journey_id, month, metric, channel, currency, hours, sums)
SELECT $1, scope, journey_id, month, metric, channel, currency, array_agg(hour ORDER BY hour),
       array_agg(value ORDER BY hour)
  FROM (
    SELECT scope, journey_id, date_trunc('month', quarter, 'UTC') AS month, metric, channel, currency,
           (extract(epoch FROM quarter - date_trunc('month', quarter, 'UTC'))::integer / 3600)::smallint AS hour,
           sum(value)::bigint AS value
      FROM (
        SELECT 2 AS scope, journey_id, quarter, metric, 0 AS channel, currency, value
          FROM stats.bench_counter WHERE metric = ANY ($4::smallint[])
         UNION ALL
        SELECT 3, '00000000-0000-0000-0000-000000000000', quarter, metric, channel, currency, value
          FROM stats.bench_counter WHERE metric = ANY ($3::smallint[]) AND channel <> 0) AS each
     WHERE quarter < $2::timestamptz GROUP BY 1, 2, 3, 4, 5, 6, 7) AS hours
 GROUP BY 2, 3, 4, 5, 6, 7
"""
_COUNTERS: Final = """
INSERT INTO stats.counter (team_id, journey_id, quarter, metric, channel, node_id, currency, value)
SELECT $1, journey_id, quarter, metric, channel, node_id, currency, value
  FROM stats.bench_counter WHERE quarter >= $2
"""


class RollUp(msgspec.Struct, frozen=True):
    """What it takes to move counters to days and months."""

    counters: int
    """By quarter of an hour, before it."""
    took_s: float
    cpu_s: dict[str, float]
    """By process."""
    writes: wal.Writes
    """A counter's share of the log."""


class Year(msgspec.Struct, frozen=True):
    """Milliseconds of each round, from the call to its answer."""

    journeys: int
    ms: dict[str, list[float]]
    """By what was asked."""
    cpu_ms: dict[str, float]
    """CPU of stats and of PostgreSQL for one such call each, by what was asked."""
    answer_bytes: dict[str, int]
    days: int
    """Rows of days."""
    months: int
    roll_up: RollUp

    def of(self, what: str) -> float:
        """The median of one of them."""
        return statistics.median(self.ms[what])


class _Asking:
    """What is asked, and whether the answer is right."""

    def __init__(self, field: Field, team_id: UUID, busy: UUID, quiet: UUID, many: list[UUID]) -> None:
        self._stub = field.client.stats
        self._team_id = team_id
        self._busy = busy
        self._quiet = quiet
        self._many = many
        self.answer_bytes: dict[str, int] = {}

    def all(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """By name."""
        day = figures_pb2.STEP_DAY
        return {
            "a busy journey": lambda: self.columns("a busy journey", [self._busy]),
            "a quiet one": lambda: self.columns("a quiet one", [self._quiet]),
            "the busy one by days": lambda: self.columns("the busy one by days", [self._busy], day),
            "all journeys": lambda: self.columns("all journeys", self._many),
            "the team": self.team_columns,
            "a busy journey, by messages": lambda: self.points(self._busy),
            "a quiet one, by messages": lambda: self.points(self._quiet),
            "the team, by messages": self.team_points,
        }

    def _asked(self, step: Any = figures_pb2.STEP_HOUR, **more: Any) -> dict[str, Any]:
        span = {"start_time": timestamp(START), "end_time": timestamp(START + HOURS * timedelta(hours=1))}
        return {"team_id": str(self._team_id), "step": step, **span, **more}

    async def columns(self, name: str, ids: list[UUID], step: Any = figures_pb2.STEP_HOUR) -> None:
        request = pb.StreamSeriesRequest(
            subject=pb.SERIES_SUBJECT_JOURNEY, journey_ids=map(str, ids), **self._asked(step)
        )
        sent = size = 0
        async for answer in self._stub.StreamSeries(request, timeout=CALL_TIMEOUT_S):
            size += answer.ByteSize()
            sent += _sent(answer)
        wanted = _MANY_HOURS * len(ids) if ids == self._many else _SENT_BUSY if ids == [self._busy] else 0
        if sent != wanted:
            raise BenchFault(f"{sent} of {wanted} messages in the year of {name}")
        self.answer_bytes[name] = size

    async def team_columns(self) -> None:
        request = pb.StreamSeriesRequest(subject=pb.SERIES_SUBJECT_TEAM, **self._asked())
        async for answer in self._stub.StreamSeries(request, timeout=CALL_TIMEOUT_S):
            self.answer_bytes["the team"] = answer.ByteSize()
            sent = _sent(answer)
            if sent != _SENT_BUSY + _MANY_HOURS * len(self._many):
                raise BenchFault(f"{sent} messages in the year of a team")

    async def points(self, journey_id: UUID) -> None:
        request = pb.GetJourneySeriesRequest(journey_id=str(journey_id), **self._asked())
        points = (await self._stub.GetJourneySeries(request, timeout=CALL_TIMEOUT_S)).points
        triggered = sum(point.figures.triggered_count for point in points)
        if (triggered > 0) != (journey_id == self._busy):
            raise BenchFault(f"{triggered} triggered in the year of a journey")

    async def team_points(self) -> None:
        request = pb.GetTeamSeriesRequest(**self._asked())
        points = (await self._stub.GetTeamSeries(request, timeout=CALL_TIMEOUT_S)).points
        if len(points) != HOURS:
            raise BenchFault(f"{len(points)} hours of a year in which something was sent in each")


def _sent(answer: pb.StreamSeriesResponse) -> int:
    return sum(
        sum(column.values)
        for each in answer.series
        for column in each.columns
        if column.figure == series_pb2.SERIES_FIGURE_MESSAGES_SENT_COUNT
    )


_SENT_BUSY: Final = sum(1 + n % 7 for n in range(HOURS * 4))


async def year(field: Field, journeys: int) -> Year:
    """Writes the figures of a year, and asks for them."""
    team_id, busy, quiet = new_id(), new_id(), new_id()
    many = [new_id() for _ in range(journeys)]
    settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=[MODULE_JOURNEYS])
    team = Team(team_id=str(team_id), name="Year", settings=settings)
    await call(field.client.segment.CreateTeam, CreateTeamRequest(request_id=str(new_id()), team=team))
    await _seed(field, team_id, busy, many)
    roll_up = await _rolled_up(field, team_id)
    await _check(field, team_id)
    await field.admin.execute("VACUUM ANALYZE stats.counter, stats.counter_day, stats.counter_month")
    asking = _Asking(field, team_id, busy, quiet, many)
    taken = {what: await _rounds(field, ask) for what, ask in asking.all().items()}
    return Year(
        journeys=journeys,
        ms={what: found for what, (found, _) in taken.items()},
        cpu_ms={what: cpu_ms for what, (_, cpu_ms) in taken.items()},
        answer_bytes=asking.answer_bytes,
        days=await field.admin.fetchval("SELECT count(*) FROM stats.counter_day"),
        months=await field.admin.fetchval("SELECT count(*) FROM stats.counter_month"),
        roll_up=roll_up,
    )


async def _seed(field: Field, team_id: UUID, busy: UUID, many: list[UUID]) -> None:
    admin = field.admin
    await admin.execute(_SEED)
    await admin.execute(_BUSY, busy, START, HOURS * 4)
    await admin.execute(_MANY, START, HOURS, many, _MANY_HOURS)
    await admin.execute(_TOTALS, team_id)
    sends, of_journeys = SUMMED["send_metrics"], SUMMED["journey_metrics"]
    await admin.execute(_DAYS, team_id, ROLLED_FROM, sends)
    await admin.execute(
        _MONTHS.replace("$3", "$4").replace(
            "$4::smallint[])\n         UNION", "$3::smallint[])\n         UNION"
        ),
        team_id,
        ROLLED_FROM,
        of_journeys,
        sends,
    )
    await admin.execute(_COUNTERS, team_id, ROLLED_FROM)
    await admin.execute("DROP TABLE stats.bench_counter")
    await admin.execute("VACUUM ANALYZE stats.counter, stats.counter_day, stats.counter_month, stats.total")


async def _check(field: Field, team_id: UUID) -> None:
    """What was written here is what stats itself would have written."""
    async with field.admin.acquire() as connection:
        await connection.execute("SET search_path TO stats, platform")
        for name in ("differing_totals", "differing_days"):
            query = BOOK.bind(name, team_id=team_id, row_max=1, **_needed(name))
            differing = await connection.fetch(*query)
            if differing:
                raise BenchFault(f"figures are kept twice and not alike: {differing}")
        await connection.execute("RESET search_path")


def _needed(name: str) -> dict[str, Any]:
    return {"figure": SCOPES["figure"]} if name == "differing_totals" else {**SCOPES, **SUMMED}


async def _rounds(field: Field, ask: Callable[[], Awaitable[None]]) -> tuple[list[float], float]:
    await ask()
    found = []
    field.usage.start()
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        await ask()
        found.append((time.perf_counter() - began_s) * 1e3)
    spent = field.usage.spent()
    return found, sum(spent.get(name, 0.0) for name in _SERVING) / ROUNDS * 1e3


async def _rolled_up(field: Field, team_id: UUID) -> RollUp:
    """Until stats has moved all counters into those of days."""
    left = "SELECT count(*) FROM stats.counter WHERE team_id = $1"
    counters = await field.admin.fetchval(left, team_id)
    began_s, begin = time.perf_counter(), await wal.position(field.admin)
    field.usage.start()
    async with asyncio.timeout(ROLLED_S_MAX):
        while await field.admin.fetchval(left, team_id):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.5)
    took_s, spent = time.perf_counter() - began_s, field.usage.spent()
    writes = await wal.writes(field.admin, begin, await wal.position(field.admin), counters)
    return RollUp(counters, took_s, {name: spent.get(name, 0.0) for name in _SERVING}, writes)
