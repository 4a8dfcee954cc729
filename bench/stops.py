"""stop: journeys that are stopped with everybody inside asleep, and what each of these costs.

One customer of a journey goes to sleep as customers do; the others are copies of that one's row, since putting a
million to sleep is w2's to measure.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from bench.field import CALL_TIMEOUT_S, PATIENCE_S, BenchFault, Field
from bench.measure import chunks
from bench.sleepers import NIGHT
from bench.team import BenchTeam, call
from libs.common.ids import new_id, partition_of
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey

FEW: Final = 1_000
COPIED_AT_ONCE: Final = 20_000
_POLL_S: Final = 0.05
_COPY: Final = """
INSERT INTO journey.actor
SELECT (jsonb_populate_record(a, jsonb_build_object(
            'partition', n.partition, 'customer_id', n.customer_id, 'live_enrolment_id', n.enrolment_id))).*
  FROM journey.actor AS a, unnest($2::smallint[], $3::uuid[], $4::uuid[]) AS n (partition, customer_id, enrolment_id)
 WHERE a.live_journey_id = $1 AND a.customer_id = $5
"""


class Stop(msgspec.Struct, frozen=True):
    """Of one journey with `inside` customers. `answered_s`: when StopJourney was answered; `ended_s`: when the journey
    was STOPPED."""

    inside: int
    answered_s: float
    ended_s: float
    cpu_s: dict[str, float]
    worker_mb: float
    """Most that journey took meanwhile."""

    @property
    def rate_per_s(self) -> float:
        """Customers halted."""
        return self.inside / self.ended_s

    @property
    def cpu_s_per_1000(self) -> float:
        """Over all processes."""
        return sum(self.cpu_s.values()) / self.inside * 1_000


async def stops(field: Field, sizes: Sequence[int]) -> list[Stop]:
    """Stops a journey of each size, one after the other."""
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    await _stop(field, team, FEW)  # warms up
    return [await _stop(field, team, size) for size in sizes]


async def _stop(field: Field, team: BenchTeam, inside: int) -> Stop:
    journey_id = await _asleep(field, team, inside)
    field.usage.peak_bytes.clear()
    async with field.usage.sampling():
        field.usage.start()
        began_s = time.perf_counter()
        request = journey.StopJourneyRequest(
            team_id=team.team_id, request_id=str(new_id()), journey_id=str(journey_id)
        )
        await call(field.client.journey.StopJourney, request)
        answered_s = time.perf_counter() - began_s
        await _until_stopped(field, team, journey_id)
        ended_s = time.perf_counter() - began_s
        await field.settled()
        spent = field.usage.spent()
    halted = await field.admin.fetchval(
        "SELECT count(*) FROM journey.enrolment WHERE journey_id = $1 AND state = 3", journey_id
    )
    if halted != inside:
        raise BenchFault(f"{halted} of {inside} are halted in a journey that is over")
    return Stop(inside, answered_s, ended_s, spent, field.usage.peak_bytes["journey"] / 2**20)


async def _asleep(field: Field, team: BenchTeam, count: int) -> UUID:
    """A journey with so many inside."""
    journey_id = await team.publish(team.sleep("night", NIGHT))
    [first], asleep = await team.create_customers(1), None
    await team.trigger(journey_id, [first])
    while asleep is None:
        await asyncio.sleep(_POLL_S)
        asleep = await field.admin.fetchval(
            "SELECT wake_at FROM journey.actor WHERE live_journey_id = $1", journey_id
        )
    team_id = UUID(team.team_id)
    for customers in chunks([new_id() for _ in range(count - 1)], COPIED_AT_ONCE):
        partitions = [partition_of(team_id, customer) for customer in customers]
        enrolments = [new_id() for _ in customers]
        await field.admin.execute(_COPY, journey_id, partitions, customers, enrolments, first)
    await field.admin.execute("VACUUM ANALYZE journey.actor")
    await field.admin.execute("CHECKPOINT")
    await field.settled()
    return journey_id


async def _until_stopped(field: Field, team: BenchTeam, journey_id: UUID) -> None:
    """Waits for the end; BenchFault when PATIENCE_S pass without anything told of anybody."""
    request = journey.GetJourneyRequest(team_id=team.team_id, journey_id=str(journey_id))
    told, moved_s = -1, time.monotonic()
    while True:
        answer = await field.client.journey.GetJourney(request, timeout=CALL_TIMEOUT_S)
        if answer.journey.status == journey_pb2.JOURNEY_STATUS_STOPPED:
            return
        now = await field.admin.fetchval("SELECT sum(position) FROM journey.record_head")
        if now != told:
            told, moved_s = now, time.monotonic()
        if time.monotonic() - moved_s > PATIENCE_S:
            raise BenchFault("a journey that stops does not end")
        await asyncio.sleep(_POLL_S)
