"""audience: a saved audience that enrols as a whole, from the call to the last outcome.

The customers are made by SQL, since to create them is not what is measured. Everybody is in the audience, and the
journey waits, so that what is counted is finding, triggering and entering.
"""

import asyncio
import time
from typing import Final
from uuid import UUID

import msgspec

from bench.crowd import ATTRIBUTES, seed
from bench.field import CALL_TIMEOUT_S, PATIENCE_S, BenchFault, Field
from bench.sleepers import NIGHT
from bench.team import BenchTeam, call
from libs.common.ids import new_id
from omnijourney.common.v1.operation_pb2 import (
    OPERATION_STATE_CANCELLED,
    OPERATION_STATE_FAILED,
    OPERATION_STATE_SUCCEEDED,
)
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.explain_pb2 import ENTRY_RESULT_ENROLLED
from omnijourney.segment.v1 import attribute_pb2, audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

RATE_PER_S: Final = 2_000
"""The highest that a call may ask for, so that the work itself decides."""
NOBODYS: Final = "nobody has this"
_POLL_S: Final = 1.0
_EARLY: Final = 0.1
"""Share of the customers with whose memory the end is compared."""
_OVER: Final = (OPERATION_STATE_SUCCEEDED, OPERATION_STATE_FAILED, OPERATION_STATE_CANCELLED)
_INSIDE: Final = "SELECT count(*) FROM journey.actor WHERE live_journey_id = $1"


class AudienceTriggered(msgspec.Struct, frozen=True):
    """One audience. Seconds count from the call."""

    customers: int
    found_s: float
    ended_s: float
    cpu_s: dict[str, float]
    early_mb: float
    """What journey took when a tenth had entered."""
    peak_mb: float
    """The most that journey took."""

    @property
    def rate_per_s(self) -> float:
        """Outcomes known, from the first trigger on."""
        return self.customers / (self.ended_s - self.found_s)

    @property
    def cpu_ms_each(self) -> float:
        """Over all processes."""
        return sum(self.cpu_s.values()) / self.customers * 1_000


async def audience_triggered(field: Field, count: int) -> AudienceTriggered:
    """Makes `count` customers and has all of them enrol once."""
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    for key, kind in ATTRIBUTES.items():
        await team.create_attribute(key, attribute_pb2.AttributeType.ValueType(kind))
    await seed(field.admin, UUID(team.team_id), count, field.clock.now())
    audience_id = await _everybody(field, team)
    journey_id = await team.publish(team.sleep("night", NIGHT))
    await field.settled()
    field.usage.peak_bytes.clear()
    async with field.usage.sampling():
        field.usage.start()
        began_s = time.perf_counter()
        request = journey.TriggerAudienceRequest(
            team_id=team.team_id,
            request_id=str(new_id()),
            journey_id=str(journey_id),
            audience_id=audience_id,
            customers_per_second=RATE_PER_S,
        )
        started = await call(field.client.journey.TriggerAudience, request)
        found_s, early_mb = await _until_over(field, team, started.operation.operation_id, count, began_s)
        ended_s = time.perf_counter() - began_s
        spent = field.usage.spent()
    inside = await field.admin.fetchval(_INSIDE, journey_id, timeout=CALL_TIMEOUT_S)
    if inside != count:
        raise BenchFault(f"{inside} of {count} customers of an audience are inside")
    return AudienceTriggered(
        count, found_s, ended_s, spent, early_mb, field.usage.peak_bytes["journey"] / 2**20
    )


async def _everybody(field: Field, team: BenchTeam) -> str:
    saved = audience_pb2.SavedAudience(name="everybody")
    saved.audience.tags.operator = audience_pb2.TAG_OPERATOR_NONE_OF
    saved.audience.tags.tags.append(NOBODYS)
    request = segment.CreateSavedAudienceRequest(
        team_id=team.team_id, request_id=str(new_id()), saved_audience=saved
    )
    made = await call(field.client.segment.CreateSavedAudience, request)
    return str(made.saved_audience.saved_audience_id)


async def _until_over(
    field: Field, team: BenchTeam, operation_id: str, count: int, began_s: float
) -> tuple[float, float]:
    """When all were found, and journey's memory once a tenth had entered, in MB. BenchFault when PATIENCE_S pass
    without anything moving, or not all entered."""
    request = journey.GetAudienceTriggerRequest(team_id=team.team_id, operation_id=operation_id)
    found_s, early_mb = 0.0, 0.0
    seen, moved_s = (-1, -1), time.monotonic()
    while True:
        answer = await call(field.client.journey.GetAudienceTrigger, request)
        trigger = answer.audience_trigger
        if trigger.found_all and not found_s:
            found_s = time.perf_counter() - began_s
        if trigger.operation.done_count >= count * _EARLY and not early_mb:
            early_mb = field.usage.peak_bytes["journey"] / 2**20
        if trigger.operation.state in _OVER:
            break
        stands = (trigger.found_count, trigger.operation.done_count)
        if stands != seen:
            seen, moved_s = stands, time.monotonic()
        if time.monotonic() - moved_s > PATIENCE_S:
            raise BenchFault(f"an audience trigger stands still at {stands}")
        await asyncio.sleep(_POLL_S)
    counts = {entry.result: entry.customer_count for entry in trigger.counts}
    if trigger.operation.state != OPERATION_STATE_SUCCEEDED or counts != {ENTRY_RESULT_ENROLLED: count}:
        raise BenchFault(f"an audience trigger of {count} ended as {trigger}")
    return found_s, early_mb
