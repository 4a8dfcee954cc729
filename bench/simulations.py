"""simulate: a definition that is run over a month of recorded events, from the call to its findings, and how long calls
beside it wait for an answer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import msgspec

from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.recorded_month import LARGE, VIP, Month, record_month
from bench.team import BenchTeam, call
from libs.client.long_work import ended
from libs.common.ids import new_id
from libs.common.rpc.values import duration, timestamp
from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.common.v1.operation_pb2 import OPERATION_STATE_SUCCEEDED
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.journey_pb2 import Definition, DoNotDisturb, QuietWindow, Target
from omnijourney.journey.v1.node_pb2 import (
    Branch,
    ConditionNode,
    DelayNode,
    EndOfJourney,
    MessageNode,
    Node,
    PointsNode,
    TemplateContent,
)
from omnijourney.journey.v1.trigger_pb2 import AmountCondition, CheckoutCompleted, Trigger
from omnijourney.segment.v1.audience_pb2 import (
    COMPARE_OPERATOR_GREATER_OR_EQUAL,
    POINTS_FIGURE_CUMULATIVE,
    TAG_OPERATOR_ANY_OF,
    Audience,
    AudienceList,
    PointsPredicate,
    TagPredicate,
)

ROUNDS: Final = 3
"""The median counts."""
_BESIDE_EVERY_S: Final = 0.02
_RICH: Final = 500
"""Points."""
_NIGHT: Final = (22 * 60, 9 * 60)


class Simulated(msgspec.Struct, frozen=True):
    """One simulation. `beside_ms`: the median, the 99th percentile and the longest of what calls to journey took
    meanwhile."""

    events: int
    enrolled: int
    wall_s: float
    cpu_s: dict[str, float]
    beside_ms: tuple[float, float, float]
    memory_mb: float
    """Most that journey took meanwhile."""

    @property
    def rate_per_s(self) -> float:
        """Events."""
        return self.events / self.wall_s

    @property
    def cpu_s_in_all(self) -> float:
        """Over all processes."""
        return sum(self.cpu_s.values())


async def simulations(field: Field, events: int) -> Simulated:
    """The median of some rounds over so many recorded events."""
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    month = await record_month(field, team, events)
    await field.settled()
    await field.admin.execute("VACUUM ANALYZE segment.fact")
    await field.admin.execute("CHECKPOINT")
    rounds = [await _simulate(field, team, month) for _ in range(ROUNDS)]
    return sorted(rounds, key=lambda each: each.wall_s)[ROUNDS // 2]


async def _simulate(field: Field, team: BenchTeam, month: Month) -> Simulated:
    request = journey.StartSimulationRequest(
        team_id=team.team_id,
        request_id=str(new_id()),
        definition=_definition(team),
        start_time=timestamp(month.start),
        end_time=timestamp(month.end),
    )
    field.usage.peak_bytes.clear()
    async with field.usage.sampling(), _calls_beside(field, team) as took_ms:
        field.usage.start()
        began_s = time.perf_counter()
        started = await call(field.client.journey.StartSimulation, request)
        operation = await ended(field.client, "journey", started.operation)
        wall_s = time.perf_counter() - began_s
        spent = field.usage.spent()
    if operation.state != OPERATION_STATE_SUCCEEDED:
        raise BenchFault(f"the simulation failed: {operation.error.message}")
    wanted = journey.GetSimulationRequest(team_id=team.team_id, operation_id=operation.operation_id)
    found = (await call(field.client.journey.GetSimulation, wanted)).simulation
    counts = found.events_count, found.enrolled_count
    if counts != (month.events, month.large_orders):
        raise BenchFault(f"{counts} events and entries are found of {month.events, month.large_orders}")
    took = sorted(took_ms)
    beside = took[len(took) // 2], took[int(len(took) * 0.99)], took[-1]
    memory_mb = field.usage.peak_bytes["journey"] / 2**20
    return Simulated(found.events_count, found.enrolled_count, wall_s, spent, beside, memory_mb)


@contextlib.asynccontextmanager
async def _calls_beside(field: Field, team: BenchTeam) -> AsyncIterator[list[float]]:
    """Reads a page of journeys now and then while the block runs; how long each took, ms."""
    took_ms: list[float] = []
    request = journey.ListJourneysRequest(team_id=team.team_id, page_size=1)

    async def read() -> None:
        while True:
            began_s = time.perf_counter()
            await field.client.journey.ListJourneys(request, timeout=CALL_TIMEOUT_S)
            took_ms.append((time.perf_counter() - began_s) * 1e3)
            await asyncio.sleep(_BESIDE_EVERY_S)

    await field.client.journey.ListJourneys(request, timeout=CALL_TIMEOUT_S)
    task = asyncio.create_task(read())
    try:
        yield took_ms
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _definition(team: BenchTeam) -> Definition:
    """Large order → message → 1 day → is VIP or has many points? → points, message; messages not by night."""
    large = Money(currency_code="TWD", amount_micros=LARGE * 1_000_000)
    bought = CheckoutCompleted(amount=AmountCondition(at_least=large))
    content = TemplateContent(template_id=team.template_id, parameters=["{{customer.name}}"])
    message = MessageNode(channel=CHANNEL_WHATSAPP, template=content)
    points = PointsPredicate(
        figure=POINTS_FIGURE_CUMULATIVE, operator=COMPARE_OPERATOR_GREATER_OR_EQUAL, value=_RICH
    )
    tags = TagPredicate(operator=TAG_OPERATOR_ANY_OF, tags=[VIP])
    audience = Audience(any_of=AudienceList(items=[Audience(tags=tags), Audience(points=points)]))
    chosen = ConditionNode(audience=audience, yes=Branch(node_id="gift"), no=Branch(end=EndOfJourney()))
    return Definition(
        name="thanks",
        trigger=Trigger(checkout_completed=bought),
        targets=[Target(channel=CHANNEL_WHATSAPP, account_id=team.account_id)],
        do_not_disturb=DoNotDisturb(windows=[QuietWindow(start_minute=_NIGHT[0], end_minute=_NIGHT[1])]),
        nodes=[
            Node(node_id="thanks", next_node_id="day", message=message),
            Node(node_id="day", next_node_id="chosen", delay=DelayNode(delay=duration(timedelta(days=1)))),
            Node(node_id="chosen", condition=chosen),
            Node(node_id="gift", next_node_id="present", points=PointsNode(add=100)),
            Node(node_id="present", message=message),
        ],
    )
