"""stats: a year of hours of one journey, and of a team of many, in one call each."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.team import call
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1.segment_service_pb2 import CreateTeamRequest
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, Team, TeamSettings
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
HOURS: Final = 365 * 24
ROUNDS: Final = 9
ROLLED_S_MAX: Final = 1_800.0
_SERVING: Final = ("stats", "postgres")
_MANY_HOURS: Final = 500
"""Hours of the year in which each of the many journeys sends."""
_BUSY: Final = """
INSERT INTO stats.counter (team_id, journey_id, quarter, metric, channel, node_id, currency, value)
SELECT $1, $2, $3::timestamptz + n * interval '15 minutes', kind.metric, kind.channel, kind.node_id, kind.currency,
       1 + n % 7
  FROM generate_series(0, $4::int - 1) AS n,
       (VALUES (1, 0, '', ''), (3, 0, '', ''), (5, 0, 'hello', ''), (1001, 0, 'hello', ''), (1002, 0, 'hello', ''),
               (5, 0, 'pause', ''), (1009, 0, 'pause', ''), (10, 2, 'hello', ''), (14, 2, 'hello', 'HKD'),
               (18, 2, 'hello', ''), (50, 2, 'hello', ''), (51, 2, 'hello', 'TWD'))
       AS kind (metric, channel, node_id, currency)
"""
_MANY: Final = """
INSERT INTO stats.counter (team_id, journey_id, quarter, metric, channel, node_id, currency, value)
SELECT $1, journey_id, $2::timestamptz + (hour * 17 + number) % $3::int * interval '1 hour', kind.metric, 2, 'hello',
       kind.currency, 1
  FROM unnest($4::uuid[]) WITH ORDINALITY AS j (journey_id, number), generate_series(1, $5::int) AS hour,
       (VALUES (10, ''), (14, 'HKD')) AS kind (metric, currency)
"""
_TOTALS: Final = """
INSERT INTO stats.total (team_id, journey_id, metric, channel, node_id, currency, value)
SELECT team_id, journey_id, metric, channel, node_id, currency, sum(value)
  FROM stats.counter WHERE team_id = $1 GROUP BY 1, 2, 3, 4, 5, 6
"""


class Year(msgspec.Struct, frozen=True):
    """Milliseconds of each round, from the call to its answer."""

    journeys: int
    busy_ms: list[float]
    """A journey in which something happened in each quarter of an hour."""
    quiet_ms: list[float]
    """One in which nothing did."""
    days_ms: list[float]
    """The busy one by days."""
    team_ms: list[float]
    """The team, with all that its journeys sent."""
    cpu_ms: dict[str, float]
    """CPU of stats and of PostgreSQL for one such call each, by what was asked."""
    rows: int
    """Counters by quarter of an hour before they were rolled up."""
    days: int
    """Rows of days after it."""
    rolled_s: float

    def of(self, what: str) -> float:
        """The median of one of them."""
        rounds: list[float] = getattr(self, f"{what}_ms")
        return statistics.median(rounds)


async def year(field: Field, journeys: int) -> Year:
    """Writes the counters of a year, and asks for them."""
    team_id, busy, quiet = new_id(), new_id(), new_id()
    settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=[MODULE_JOURNEYS])
    team = Team(team_id=str(team_id), name="Year", settings=settings)
    await call(field.client.segment.CreateTeam, CreateTeamRequest(request_id=str(new_id()), team=team))
    await field.admin.execute(_BUSY, team_id, busy, START, HOURS * 4)
    await field.admin.execute(_MANY, team_id, START, HOURS, [new_id() for _ in range(journeys)], _MANY_HOURS)
    await field.admin.execute(_TOTALS, team_id)
    rows = await field.admin.fetchval("SELECT count(*) FROM stats.counter")
    rolled_s = await _rolled_up(field, team_id)
    await field.admin.execute("VACUUM ANALYZE stats.counter, stats.counter_day")
    stub = field.client.stats

    def asked(step: Any, **more: Any) -> dict[str, Any]:
        span = {"start_time": timestamp(START), "end_time": timestamp(START + HOURS * timedelta(hours=1))}
        return {"team_id": str(team_id), "step": step, **span, **more}

    async def series(journey_id: UUID, step: Any = figures_pb2.STEP_HOUR) -> None:
        request = pb.GetJourneySeriesRequest(**asked(step, journey_id=str(journey_id)))
        points = (await stub.GetJourneySeries(request, timeout=CALL_TIMEOUT_S)).points
        triggered = sum(point.figures.triggered_count for point in points)
        if (triggered > 0) != (journey_id == busy):
            raise BenchFault(f"{triggered} triggered in the year of a journey")

    async def of_team() -> None:
        request = pb.GetTeamSeriesRequest(**asked(figures_pb2.STEP_HOUR))
        points = (await stub.GetTeamSeries(request, timeout=CALL_TIMEOUT_S)).points
        if len(points) != HOURS:
            raise BenchFault(f"{len(points)} hours of a year in which something was sent in each")

    asks: dict[str, Callable[[], Awaitable[None]]] = {
        "busy": lambda: series(busy),
        "quiet": lambda: series(quiet),
        "days": lambda: series(busy, figures_pb2.STEP_DAY),
        "team": of_team,
    }
    taken = {what: await _rounds(field, ask) for what, ask in asks.items()}
    return Year(
        journeys=journeys,
        busy_ms=taken["busy"][0],
        quiet_ms=taken["quiet"][0],
        days_ms=taken["days"][0],
        team_ms=taken["team"][0],
        cpu_ms={what: cpu_ms for what, (_, cpu_ms) in taken.items()},
        rows=rows,
        days=await field.admin.fetchval("SELECT count(*) FROM stats.counter_day"),
        rolled_s=rolled_s,
    )


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


async def _rolled_up(field: Field, team_id: UUID) -> float:
    """Until stats has moved all counters into those of days; how long that took."""
    began_s = time.perf_counter()
    async with asyncio.timeout(ROLLED_S_MAX):
        while await field.admin.fetchval(  # noqa: ASYNC110 - another process does it
            "SELECT EXISTS (SELECT FROM stats.counter WHERE team_id = $1)", team_id
        ):
            await asyncio.sleep(0.5)
    return time.perf_counter() - began_s
