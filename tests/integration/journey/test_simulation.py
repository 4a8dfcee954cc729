"""Simulations on their whole path: a month that four services lived through, and the same month simulated."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.common.rpc.errors import reason_named
from libs.common.rpc.values import datetime_of, duration, timestamp
from libs.demo.conductor import Conductor, Lag
from libs.testing.fixtures import Databases, Servers
from omnijourney.common.v1 import money_pb2, operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest, SetClockRequest
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1 import enrolment_pb2, journey_pb2, node_pb2, simulation_pb2, trigger_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2, event_pb2
from tests.integration.journey.conftest import START
from tests.integration.journey.whole_site import (
    ALL,
    LINE,
    TIMEOUT_S,
    Site,
    ask,
    definition_of,
    refusal,
    say,
    serving_site,
    target,
    text,
    wait,
)

DAYS: Final = 30
HOUR: Final = timedelta(hours=1)
SECOND: Final = timedelta(seconds=1)
POINTS: Final = 5
POINTS_NODE: Final = "n3"
PRICE_MICROS: Final = 200_000
"""Of a message on LINE, where the team has set none."""
LIMIT: Final = 2
COLLECTED: Final = 45
"""Points that some have collected by the middle of the month, and most at its end."""
LEAST: Final = 100
CAP: Final = 7


@pytest_asyncio.fixture
async def site(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services and a team that has all modules."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        await site.team(ALL)
        yield site


class _Clock:
    """See `libs.demo.conductor.Instruments`."""

    def __init__(self, site: Site) -> None:
        names = {"channel_gateway": "gateway", "segment": "segment", "journey": "journey"}
        self._stubs: dict[str, Any] = {
            service: InstallationServiceStub(site.channels[name]) for service, name in names.items()
        }

    async def now(self) -> datetime:
        return datetime_of((await self._stubs["journey"].GetClock(GetClockRequest(), timeout=TIMEOUT_S)).now)

    async def set_clock(self, at: datetime) -> int:
        request = SetClockRequest(rate=0.0, domain_time=timestamp(at))
        version = int((await self._stubs["segment"].SetClock(request, timeout=TIMEOUT_S)).version)
        for stub in self._stubs.values():
            while (await stub.GetClock(GetClockRequest(), timeout=TIMEOUT_S)).version < version:
                await asyncio.sleep(0.001)
        return version

    async def lag(self, service: str, version: int, wait_s: float = 0.0) -> Lag:
        request = GetLagRequest(min_clock_version=version, wait=duration(timedelta(seconds=wait_s)))
        answer = await self._stubs[service].GetLag(request, timeout=TIMEOUT_S)
        timer = datetime_of(answer.next_timer_time) if answer.HasField("next_timer_time") else None
        return Lag(answer.pending, answer.progress, timer)


class Month:
    """A month of a team's customers, one step of the clock after the other."""

    def __init__(self, site: Site, clock: _Clock, now: datetime) -> None:
        self.site = site
        self.start = now.replace(minute=0, second=0, microsecond=0) + 2 * HOUR
        self.end = self.start + timedelta(days=DAYS)
        self._conductor = Conductor(clock, now, None)
        self.amounts: list[int] = []
        """Of the orders so far."""

    async def until(self, at: datetime) -> None:
        """Lets everything happen that is due by then, each at its own time."""
        while (timer := self._conductor.next_timer) is not None and timer <= at:
            await self._conductor.advance(timer)
            await self._conductor.settle()
        await self._conductor.advance(at)

    async def order(self, customer_id: str, at: datetime, amount: int) -> None:
        """An order of a customer."""
        self.amounts.append(amount)
        number = len(self.amounts)
        order = event_pb2.OrderCompleted(shop_id="shop", order_id=str(number), signed=True)
        order.amount.CopyFrom(money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000))
        event = event_pb2.CustomerEvent(
            team_id=self.site.team_id,
            event_key=f"order {number}",
            customer=customer_pb2.CustomerSelector(customer_id=customer_id),
            occur_time=timestamp(at),
            order_completed=order,
        )
        (result,) = (await self.site.call("RecordEvents", events=[event])).results
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED
        await self._conductor.settle()

    async def tag(self, customer_id: str, **tags: list[str]) -> None:
        """Gives a customer tags, or takes them."""
        await self.site.call("ChangeCustomerTags", customer_id=customer_id, **tags)
        await self._conductor.settle()


async def customers(site: Site, account_id: str, count: int) -> list[str]:
    """Customers of whom every third is not on the account, and every second is tagged."""
    found = []
    for number in range(count):
        given = customer_pb2.Customer(
            name=f"C{number}", phone=f"+8869120000{number:02d}", tags=["vip"] if number % 2 else []
        )
        if number % 3:
            key = customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id=f"U{number:032d}")
            given.identities.add(key=key)
        found.append((await site.call("CreateCustomer", customer=given)).customer.customer_id)
    return found


async def run_of(site: Site, **fields: Any) -> operation_pb2.Operation:
    """A simulation that has ended."""
    started = (await site.call("StartSimulation", **fields)).operation
    assert started.state == operation_pb2.OPERATION_STATE_PENDING
    stub: Any = OperationsServiceStub(site.channels["journey"])
    request = operations.WaitOperationRequest(
        team_id=site.team_id, operation_id=started.operation_id, wait=duration(timedelta(seconds=25))
    )
    answer = await stub.WaitOperation(request, timeout=TIMEOUT_S)
    shown: operation_pb2.Operation = answer.operation
    return shown


async def findings(site: Site, **fields: Any) -> simulation_pb2.Simulation:
    """What a simulation found."""
    ended = await run_of(site, **fields)
    assert ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED, ended
    assert ended.done_count == ended.total_count
    answer = await site.call("GetSimulation", operation_id=ended.operation_id)
    found: simulation_pb2.Simulation = answer.simulation
    return found


class Lived:
    """What a live journey did, node by node."""

    def __init__(self) -> None:
        self.states: Counter[int] = Counter()
        self.entered: Counter[str] = Counter()
        self.deferred: Counter[str] = Counter()
        self.edges: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[datetime] = Counter()
        """By hour."""
        self.points = 0
        self.exhausted_at: list[datetime] = []

    @classmethod
    async def of(cls, site: Site, journey_id: str) -> Lived:
        """Read from its enrolments."""
        lived, token = cls(), ""
        while True:
            page = await site.call("ListEnrolments", journey_id=journey_id, page_token=token, page_size=500)
            for each in page.enrolments:
                told = await site.call("ExplainEnrolment", enrolment_id=each.enrolment_id)
                lived._add(told)
            token = page.next_page_token
            if not token:
                return lived

    def _add(self, told: Any) -> None:
        state = told.enrolment.state
        self.states[state] += 1
        visits = [step.node_id for step in told.steps if step.entered]
        self.entered.update(visits)
        self.edges.update(itertools.pairwise(visits))
        if state == enrolment_pb2.ENROLMENT_STATE_COMPLETED:
            self.edges[visits[-1], ""] += 1
        self.deferred.update(s.node_id for s in told.steps if s.result == enrolment_pb2.STEP_RESULT_DEFERRED)
        for step in told.steps:
            at = datetime_of(step.occur_time)
            if step.result == enrolment_pb2.STEP_RESULT_SENT:
                self.sent[at.replace(minute=0, second=0)] += 1
            elif step.result == enrolment_pb2.STEP_RESULT_EXHAUSTED:
                self.exhausted_at.append(at)
            elif step.result == enrolment_pb2.STEP_RESULT_APPLIED and step.node_id == POINTS_NODE:
                self.points += POINTS


def assert_same(found: simulation_pb2.Simulation, lived: Lived) -> None:
    """Node by node."""
    assert {n.node_id: n.entered_count for n in found.nodes} == dict(lived.entered)
    assert {n.node_id: n.deferred_count for n in found.nodes if n.deferred_count} == dict(lived.deferred)
    assert {(e.node_id, e.next_node_id): e.taken_count for e in found.edges} == dict(lived.edges)
    assert found.enrolled_count == lived.states.total()
    ended = found.completed_count, found.halted_count, found.live_count
    state = enrolment_pb2.EnrolmentState
    assert ended == tuple(
        lived.states[state.Value(f"ENROLMENT_STATE_{name}")] for name in ("COMPLETED", "HALTED", "LIVE")
    )
    assert {datetime_of(each.start_time): each.message_count for each in found.sends} == dict(lived.sent)
    assert sum(each.cost.amount_micros for each in found.sends) == PRICE_MICROS * lived.sent.total()
    assert (found.points_added, found.points_deducted) == (lived.points, 0)
    assert [datetime_of(limit.reach_time) for limit in found.limits] == lived.exhausted_at


def vip() -> audience_pb2.Audience:
    predicate = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["vip"])
    return audience_pb2.Audience(tags=predicate)


def collected(points: int) -> audience_pb2.Audience:
    predicate = audience_pb2.PointsPredicate(
        figure=audience_pb2.POINTS_FIGURE_CUMULATIVE,
        operator=audience_pb2.COMPARE_OPERATOR_GREATER_OR_EQUAL,
        value=points,
    )
    return audience_pb2.Audience(points=predicate)


def after(hours: int) -> node_pb2.Node:
    node = wait()
    node.delay.delay.FromSeconds(hours * 3600)
    return node


def over(amount: int) -> trigger_pb2.Trigger:
    checkout = trigger_pb2.CheckoutCompleted()
    checkout.amount.at_least.CopyFrom(money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000))
    return trigger_pb2.Trigger(checkout_completed=checkout)


def journeys(account_id: str, module_id: str) -> Iterator[journey_pb2.Definition]:
    """One with everything that waits and branches; one whose cap stops it within the month; one that asks points."""
    night = journey_pb2.DoNotDisturb()
    night.windows.add(start_minute=22 * 60, end_minute=9 * 60)
    yield definition_of(
        after(3),
        ask(vip()),
        say(LINE, module_id),
        node_pb2.Node(points=node_pb2.PointsNode(add=POINTS)),
        node_pb2.Node(tags=node_pb2.TagsNode(remove=["vip"])),
        after(50),
        say(LINE, module_id),
        name="all",
        trigger=over(LEAST),
        targets=[target(LINE, account_id)],
        do_not_disturb=night,
        enrolments_per_customer_max=LIMIT,
    )
    capped = target(LINE, account_id)
    capped.message_cap = CAP
    yield definition_of(
        say(LINE, module_id),
        after(40),
        say(LINE, module_id),
        name="capped",
        trigger=over(0),
        targets=[capped],
    )
    yield definition_of(
        after(30),
        ask(collected(COLLECTED)),
        say(LINE, module_id),
        name="collected",
        trigger=over(0),
        targets=[target(LINE, account_id)],
    )


def happenings(month: Month, people: list[str]) -> Iterator[tuple[datetime, Callable[[], Awaitable[None]]]]:
    """Orders and changes of tags, in the order of time, all at different seconds."""
    chance = random.Random(7)
    seconds = sorted(chance.sample(range(60, DAYS * 86_400 - 60), 45))
    for second in seconds:
        at, person = month.start + second * SECOND, chance.choice(people)
        if chance.random() < 0.7:
            amount = chance.choice([50, 100, 400])
            yield at, lambda p=person, t=at, a=amount: month.order(p, t, a)  # type: ignore[misc]
        else:
            change = {chance.choice(["add", "remove"]): ["vip"]}
            yield at, lambda p=person, c=change: month.tag(p, **c)  # type: ignore[misc]


@pytest.mark.rule("J-40a", "J-40b", "J-40c")
async def test_a_month_simulated_counts_what_the_month_lived_counted(site: Site) -> None:
    account_id, module_id = await site.account(LINE), await site.module(text("Hi"))
    await site.call("SetEarningFormula", amount="10", points="1")
    people = await customers(site, account_id, 9)
    clock = _Clock(site)
    month = Month(site, clock, await clock.now())
    await month.until(month.start)
    ids = []
    for definition in journeys(account_id, module_id):
        journey_id = (await site.call("CreateJourney", definition=definition)).journey.journey_id
        await site.call("PublishJourney", journey_id=journey_id)
        ids.append(journey_id)
    for at, happen in happenings(month, people):
        await month.until(at)
        await happen()
    await month.until(month.end - SECOND)

    span = {"start_time": timestamp(month.start), "end_time": timestamp(month.end)}
    facts = await site.call("ListFacts", page_size=500)
    seen = []
    for journey_id in ids:
        lived = await Lived.of(site, journey_id)
        found = await findings(site, journey_id=journey_id, **span)
        assert_same(found, lived)
        definition = (await site.call("GetJourney", journey_id=journey_id)).journey.definition
        assert await findings(site, definition=definition, **span) == found, "saved or not"
        seen.append((found, lived))
    (whole, lived), (capped, stopped), (_, asked) = seen
    assert {edge for edge in asked.edges if edge[0] == "n1"} == {("n1", "n2"), ("n1", "")}
    assert lived.deferred
    assert lived.points > 0
    refused = sum(amount >= LEAST for amount in month.amounts) - whole.enrolled_count
    assert refused > 0
    assert [(r.reason, r.refused_count) for r in whole.refusals] == [
        (reason_named("CUSTOMER_LIMIT"), refused)
    ]
    assert [limit.reason for limit in capped.limits] == [reason_named("LINE_CAP_REACHED")]
    assert stopped.sent.total() == CAP
    assert await site.call("ListFacts", page_size=500) == facts, "nothing was changed"


async def test_what_cannot_be_simulated_is_refused_with_all_its_faults(site: Site) -> None:
    span = {"start_time": timestamp(START), "end_time": timestamp(START + HOUR)}
    targets = [target(LINE, await site.account(LINE))]
    by_calls = definition_of(
        wait(), trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()), targets=targets
    )
    told = await refusal(site.call("StartSimulation", definition=by_calls, **span))
    assert (told.code, [each.field for each in told.violations]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["trigger"],
    )
    unknown = definition_of(say(LINE, str(new_id())), targets=targets)
    told = await refusal(site.call("StartSimulation", definition=unknown, **span))
    assert [each.field for each in told.violations] == ["nodes[0].message.bot_module_id"]
    backwards = {"start_time": span["end_time"], "end_time": span["start_time"]}
    told = await refusal(site.call("StartSimulation", definition=by_calls, **backwards))
    assert [each.field for each in told.violations] == ["end_time"]
    told = await refusal(site.call("StartSimulation", journey_id=str(new_id()), **span))
    assert told.code is grpc.StatusCode.NOT_FOUND
