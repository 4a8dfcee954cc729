"""w1, w1-http and w4: welcome journeys through all five services.

The trigger event is `contact added`, reported by segment's public batch call `RecordEvents`: a welcome journey waits
for a customer who joins a channel, and the event passes segment, the mailbox, journey, the gateway, points and stats.

A delay is a minute at least (J-31), so the installation's clock runs sixty times as fast as real time: the
minute is one real second. What is measured is real time.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from bench import wal
from bench.field import REAL, BenchFault, Counts, Field
from bench.floor_0 import Floor, post_message, welcome_floor
from bench.measure import chunks
from bench.team import BATCH, POINTS, TEMPLATE, WELCOME_DELAY, BenchTeam, call, spread
from libs.emulators.config import EmulatorSettings
from omnijourney.points.v1 import points_service_pb2 as points

DELAY: Final = timedelta(seconds=1)
"""Real time of the journey's delay."""
RATE: Final = WELCOME_DELAY / DELAY
STEPS: Final = 6
"""Enrol, message, delay, condition, points, complete."""
WARM: Final = 1_000
STOPPED: Final = (1_000, 10_000)
"""Journeys of the team that have ended, in the variants that have them."""
WINDOWS: Final = (2, 50)
"""Of do-not-disturb, in the variants that have them; a definition has 50 at most."""
RATES_PER_S: Final = (10, 100, 300, 2_500)
RATE_SECONDS: Final = 5.0
ARRIVALS_MIN: Final = 200
"""At a low rate it goes on for longer: a p99 needs its hundreds."""
TICK_S: Final = 0.01


class Latency(msgspec.Struct, frozen=True):
    """End-to-end times at an offered rate: from when an event was due to be posted to the commit of the last turn, less
    the delay. `reached`: whether the last journey was complete soon after the last event."""

    offered_per_s: int
    journeys: int
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float
    reached: bool


class Burst(msgspec.Struct, frozen=True):
    """All events as fast as they are accepted. The rate is that of the journeys from the first event to the last
    commit, the delay of a second included."""

    journeys: int
    wall_s: float
    rate_per_s: float
    accepted_per_s: float
    cpu_s: dict[str, float]
    peak_mb: dict[str, float]
    statements_per_1000: float
    redis_calls_per_1000: float
    rpcs_per_1000: float
    wal: tuple[str, str]
    """Where PostgreSQL's log was before and after."""

    @property
    def cpu_s_per_1000(self) -> float:
        """Over all processes but the load's."""
        return sum(self.cpu_s.values()) / self.journeys * 1_000


@dataclass(slots=True)
class Welcome:
    """One team with its welcome journey, on a running installation."""

    field: Field
    team: BenchTeam
    journey_id: UUID
    gifts: int = 0

    @classmethod
    async def prepare(
        cls, field: Field, *, http: bool = False, quiet_windows: int = 0, stopped: int = 0
    ) -> "Welcome":
        """Makes the team and warms everything up.

        `quiet_windows`: the journey has so many do-not-disturb windows, none of which begins soon. `stopped`: so many
        other journeys of the team, with the same trigger, have been stopped.
        """
        await field.clock.set(RATE)
        team = BenchTeam(field, http)
        await team.create()
        await team.stop_journeys(stopped)
        work = cls(field, team, await team.publish(team.welcome(quiet_windows=quiet_windows)))
        await work.burst(WARM)
        await work.latency(200, 2.0)
        return work

    async def burst(self, count: int) -> Burst:
        """`count` journeys as fast as they go."""
        customers = await self._customers(count)
        # After the customers are made: what they cost is nobody's journey.
        await self.field.admin.execute("SELECT pg_stat_statements_reset()")
        before, log_before = await self.field.counts(), await wal.position(self.field.admin)
        since, began, usage = self.field.clock.now(), REAL.now(), self.field.usage
        usage.peak_bytes.clear()
        async with usage.sampling():
            usage.start()
            began_s = time.perf_counter()
            await spread(list(chunks(customers, BATCH)), self.team.add_contacts)
            posted_s = time.perf_counter() - began_s
            await self.field.until_completed(self.journey_id, since, count)
            await self.field.settled()
            spent = usage.spent()
        ended = await self.field.commit_times(self.journey_id, since)
        wall_s = (max(ended.values()) - began).total_seconds()
        after, log_after = await self.field.counts(), await wal.position(self.field.admin)
        await self._check(count)
        return Burst(
            count,
            wall_s,
            count / wall_s,
            count / posted_s,
            spent,
            {name: size / 2**20 for name, size in usage.peak_bytes.items()},
            *_per_1000(before, after, count),
            (log_before, log_after),
        )

    async def latency(self, rate_per_s: int, seconds: float = RATE_SECONDS) -> Latency:
        """Events at a steady rate, whether earlier ones are done or not."""
        count = max(ARRIVALS_MIN, int(rate_per_s * seconds))
        customers = await self._customers(count)
        self.field.usage.start()
        since = self.field.clock.now()
        due = await _at_rate(customers, rate_per_s, self.team)
        last_due = max(due.values())
        await self.field.until_completed(self.journey_id, since, count)
        await self.field.settled()
        spent = sum(self.field.usage.spent().values())
        ended = await self.field.commit_times(self.journey_id, since)
        await self._check(count)
        took_ms = sorted((ended[c] - due[c] - DELAY) / timedelta(milliseconds=1) for c in customers)
        late = max(ended.values()) - last_due - DELAY
        return Latency(
            rate_per_s,
            count,
            statistics.median(took_ms),
            took_ms[int(len(took_ms) * 0.99)],
            spent / count * 1_000,
            late < timedelta(seconds=1),
        )

    async def _customers(self, count: int) -> list[UUID]:
        customers = await self.team.create_customers(count, tagged=True)
        await self._quiet()
        return customers

    async def _quiet(self) -> None:
        """Waits until what making customers told is done with; then lets PostgreSQL write out what is old."""
        await self.field.settled()
        await self.field.admin.execute("CHECKPOINT")

    async def _check(self, count: int) -> None:
        """Everybody got one message and their points."""
        self.gifts += count
        request = points.GetLedgerSummaryRequest(team_id=self.team.team_id)
        summary = await call(self.field.client.points.GetLedgerSummary, request)
        sent = await self.field.admin.fetchval(
            "SELECT count(*) FROM channel_gateway.delivery WHERE journey_id = $1 AND state = 1",
            self.journey_id,
        )
        given = summary.summary.balance
        if (given, sent) != (self.gifts * POINTS, self.gifts):
            raise BenchFault(f"{self.gifts} journeys gave {given} points and sent {sent} messages")

    async def floor(self, count: int) -> Floor:
        """The same without services."""
        if not self.team.http:
            return await welcome_floor(self.field, count)
        names = EmulatorSettings.model_construct()
        url = f"{self.field.installation.channel_urls['whatsapp']}/v23.0/{names.whatsapp_phone_number_id}/messages"
        headers = {"authorization": f"Bearer {names.token}", "content-type": "application/json"}
        body = msgspec.json.encode(
            {
                "messaging_product": "whatsapp",
                "to": "15550000001",
                "type": "template",
                "template": {"name": TEMPLATE, "language": {"code": "en"}},
            }
        )
        return await welcome_floor(
            self.field, count, lambda: post_message(self.field.session, url, headers, body)
        )


async def _at_rate(customers: Sequence[UUID], rate_per_s: int, team: BenchTeam) -> dict[UUID, datetime]:
    """Posts events when they are due, in calls of what is due in a hundredth of a second; returns the due times."""
    loop = asyncio.get_running_loop()
    size = max(1, int(rate_per_s * TICK_S))
    began, began_s = REAL.now(), loop.time()
    due: dict[UUID, datetime] = {}
    calls = []
    for number, batch in enumerate(chunks(customers, size)):
        at_s = number * size / rate_per_s
        await asyncio.sleep(max(0.0, began_s + at_s - loop.time()))
        due.update(dict.fromkeys(batch, began + timedelta(seconds=at_s)))
        calls.append(asyncio.create_task(team.add_contacts(batch)))
    await asyncio.gather(*calls)
    return due


def _per_1000(before: Counts, after: Counts, count: int) -> tuple[float, float, float]:
    each = 1_000 / count
    return (
        (after.statements - before.statements) * each,
        (after.redis_calls - before.redis_calls) * each,
        (after.rpcs - before.rpcs) * each,
    )


def median_of(bursts: Sequence[Burst]) -> Burst:
    """The burst whose rate is the median."""
    return sorted(bursts, key=lambda burst: burst.rate_per_s)[len(bursts) // 2]


def dear_statements(rows: Sequence[dict[str, Any]], journeys: int) -> list[str]:
    """Lines for people: where PostgreSQL's time went."""
    return [
        f"{row['ms'] * 1e3 / journeys:8.1f} µs a journey  {row['calls'] * 1000 / journeys:8.1f} calls per 1,000  "
        f"{row['rolname'].removeprefix('omnijourney_'):16s} {'' if row['toplevel'] else '· '}"
        f"{' '.join(row['query'].split())}"
        for row in rows
    ]
