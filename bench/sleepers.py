"""w2: enrolments that sleep for an hour, and what they cost while they sleep and when they wake.

Of N + DUE sleepers, DUE wake first, among all others; then the rest wake at once. The clock is stepped, so that nobody
waits an hour: lateness is real time from the step to the commit of the turn.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from bench.field import REAL, Field
from bench.floor_0 import Floor, sleep_floor
from bench.measure import chunks
from bench.team import BATCH, BenchTeam, spread

DUE: Final = 10_000
NIGHT: Final = timedelta(hours=6)
NAP: Final = timedelta(hours=1)
IDLE_S: Final = 20.0
"""How long the sleepers are watched; what it costs is told for a minute."""
_POLL_S: Final = 1.0
_SIZES: Final = """
SELECT relname, pg_relation_size(c.oid) FROM pg_class c
 WHERE relnamespace = 'journey'::regnamespace AND relkind IN ('r', 'i')
   AND (relname LIKE 'actor%' OR relname LIKE 'enrolment%')
"""


class Waking(msgspec.Struct, frozen=True):
    """Sleepers that were due at once."""

    sleepers: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float


class Sleep(msgspec.Struct, frozen=True):
    """`bytes_each`: actor, enrolment and timer with their indexes. `history_bytes_each`: what is told of them."""

    sleepers: int
    asleep_per_s: float
    cpu_s_per_1000: float
    bytes_each: float
    bytes_by_relation: dict[str, float]
    history_bytes_each: float
    worker_mb_before: float
    worker_mb_asleep: float
    idle_cpu_s_a_minute: dict[str, float]
    few: Waking
    all: Waking


async def sleepers(field: Field, count: int) -> Sleep:
    """Puts `count` to sleep and wakes them."""
    due = min(DUE, max(1, count // 10))
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    night = await team.publish(team.sleep("night", NIGHT))
    nap = await team.publish(team.sleep("nap", NAP))
    customers = await team.create_customers(count)
    await _lull(field, team, night)
    before = field.usage.memory()["journey"]
    began, since = REAL.now(), field.clock.now()
    before_rows = await _bytes(field)
    history = await _history_bytes(field)
    field.usage.start()
    began_s = time.perf_counter()
    for journey_id, those in ((nap, customers[:due]), (night, customers[due:])):

        async def post(batch: list[UUID], journey_id: UUID = journey_id) -> None:
            await team.trigger(journey_id, batch)

        await spread(list(chunks(those, BATCH)), post)
    await _until_asleep(field, count)
    wall_s = time.perf_counter() - began_s
    await field.settled()
    spent = sum(field.usage.spent().values())
    rows = await _bytes(field)
    by_relation = {name: (size - before_rows.get(name, 0)) / count for name, size in rows.items()}
    told = (await _history_bytes(field) - history) / count
    asleep = field.usage.memory()["journey"]
    idle = await _idle(field)
    few = await _wake(field, nap, since, due, began + NAP)
    everybody = await _wake(field, night, since, count - due, began + NIGHT)
    return Sleep(
        count,
        count / wall_s,
        spent / count * 1_000,
        sum(by_relation.values()),
        by_relation,
        told,
        before / 2**20,
        asleep / 2**20,
        idle,
        few,
        everybody,
    )


async def _lull(field: Field, team: BenchTeam, journey_id: UUID) -> None:
    """Warms up with some who sleep, too, and lets all settle."""
    some = await team.create_customers(BATCH)
    await team.trigger(journey_id, some)
    await _until_asleep(field, BATCH)
    await field.settled()
    await field.admin.execute("DELETE FROM journey.enrolment")
    await field.admin.execute("VACUUM journey.enrolment")
    await field.admin.execute("CHECKPOINT")


async def _until_asleep(field: Field, count: int) -> None:
    asleep = 0
    while asleep < count:
        await asyncio.sleep(_POLL_S)
        asleep = await field.admin.fetchval("SELECT count(*) FROM journey.actor WHERE wake_at IS NOT NULL")


async def _bytes(field: Field) -> dict[str, int]:
    return dict(await field.admin.fetch(_SIZES))


async def _history_bytes(field: Field) -> int:
    size: int = await field.admin.fetchval("SELECT pg_total_relation_size('journey.history_record')")
    return size


async def _idle(field: Field) -> dict[str, float]:
    """CPU seconds of a minute in which nothing happens."""
    field.usage.start()
    await asyncio.sleep(IDLE_S)
    return {name: spent * 60 / IDLE_S for name, spent in field.usage.spent().items()}


async def _wake(field: Field, journey_id: UUID, since: datetime, count: int, at: datetime) -> Waking:
    """Steps the clock past `at`: all sleepers of the journey are due."""
    await field.admin.execute("CHECKPOINT")
    field.usage.start()
    stepped = REAL.now()
    await field.clock.set(1.0, at + timedelta(minutes=30))
    await field.until_completed(journey_id, since, count)
    await field.settled()
    spent = sum(field.usage.spent().values())
    ended = sorted((await field.commit_times(journey_id, since)).values())
    late_ms = [(moment - stepped) / timedelta(milliseconds=1) for moment in ended]
    return Waking(
        count,
        count / (late_ms[-1] / 1_000),
        late_ms[len(late_ms) // 2],
        late_ms[int(len(late_ms) * 0.99)],
        spent / count * 1_000,
    )


async def floors(field: Field, count: int) -> tuple[Floor, Floor, float]:
    """Put to sleep, woken, and bytes each, without services."""
    return await sleep_floor(field, count)
