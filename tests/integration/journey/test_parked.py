"""Parked customers on real PostgreSQL: mail dropped under the fence, and whom that halts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from uuid import UUID

import pytest
from msgspec.structs import replace

from libs.common.errors import InvalidArgument, NotFound
from libs.common.ids import new_id
from libs.common.mailbox.errors import Fenced
from libs.common.mailbox.mail import MailSource, Unreadable
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.enrolment import StepResult
from services.journey.domain.parked import Drop, Dropped
from services.journey.usecases.parked import ParkedCustomers
from services.journey.usecases.write import Call
from services.journey.worker import timers
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.turns_by_hand import MESSAGE, POINTS, epochs, key_of


def parked_of(site: Site, unparked: Callable[[], None] = lambda: None) -> ParkedCustomers:
    return ParkedCustomers(
        site.pool, site.post, dict(site.archives), site.clock, changed=lambda: None, unparked=unparked
    )


async def drop(site: Site, customer: UUID, source: MailSource, number: int, event: UUID) -> Dropped:
    results: list[Dropped] = []

    def reply(dropped: Dropped) -> pb.DropParkedMailResponse:
        results.append(dropped)
        return pb.DropParkedMailResponse()

    request = pb.DropParkedMailRequest(request_id=str(new_id()))
    call = Call(TEAM, request, pb.DropParkedMailResponse, reply)
    await parked_of(site).drop(call, Drop(TEAM, customer, source, number, event, "test"))
    return results[0]


async def retry(site: Site, customer: UUID, unparked: Callable[[], None] = lambda: None) -> None:
    request = pb.RetryParkedCustomerRequest(request_id=str(new_id()))
    form = pb.RetryParkedCustomerResponse
    call: Call[None, pb.RetryParkedCustomerResponse] = Call(TEAM, request, form, lambda _: form())
    await parked_of(site, unparked).retry(call, customer)


@pytest.mark.usefixtures("looks_soon")
@pytest.mark.parametrize("here", [True, False], ids=["asked the owner's process", "asked another process"])
async def test_a_timer_of_a_customer_who_was_tried_again_fires_without_mail(
    site: Site, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    monkeypatch.setattr(timers, "LOOK_S", 3600.0 if here else 0.05)
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), POINTS)
    [customer] = islice(customers(), 1)
    fence = await epochs(site)
    await site.runner().run({key_of(customer): Waiting([site.order(customer)])}, fence)
    await site.turns.park(key_of(customer), "poison", 8, fence)
    site.step(hours=2)
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    async with site.worker() as worker:
        await site.until(lambda: worker.owned)
        # Once the owner has looked, nothing tells it of the timer that it passed over.
        await asyncio.sleep(0.2)
        await retry(site, customer, worker.wake if here else lambda: None)
        await site.until(lambda: site.effects.points[customer] == 11)
    assert await site.states(journey) == {State.COMPLETED: 1}


async def test_dropped_mail_is_never_acted_on_and_what_follows_it_is(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    orders = [site.order(customer) for _ in range(3)]
    site.effects.poisonous.add(customer)
    await site.turns.park(key_of(customer), "poison", 8, await epochs(site))
    dropped = await drop(site, customer, MailSource.SEGMENT, 2, orders[1].event_id)
    assert [mail.number for mail in dropped.mails] == [1, 2]
    assert (list(dropped.halted), dropped.remaining) == ([], 1)
    [shown] = await parked_of(site).mail_of(TEAM, [customer], 20)
    assert ([mail.number for mail in shown.mails], list(shown.silent)) == ([3], [])
    site.effects.poisonous.clear()
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    async with site.worker():
        await retry(site, customer)
        await site.deliver(*orders)
        await site.until(lambda: site.effects.points[customer] == 11)
        with pytest.raises(NotFound):
            await retry(site, customer)
    assert await site.states(journey) == {State.COMPLETED: 1}


async def test_who_waits_for_a_dropped_outcome_is_halted(site: Site) -> None:
    journey = await site.save_journey(d.Node("send", MESSAGE.action, "points"), POINTS)
    [customer] = islice(customers(), 1)
    fence = await epochs(site)
    await site.runner().run({key_of(customer): Waiting([site.order(customer)])}, fence)
    outcome = site.outcome(0)
    await site.turns.park(key_of(customer), "poison", 8, fence)
    dropped = await drop(site, customer, MailSource.GATEWAY, 1, outcome.event_id)
    assert len(dropped.halted) == 1
    assert await site.states(journey) == {State.HALTED: 1}
    stored = await site.enrolments.get(TEAM, dropped.halted[0].enrolment_id)
    steps = await site.enrolments.steps(stored)
    assert [(told.step.result, told.step.detail) for told in steps] == [
        (StepResult.SEND_REQUESTED, ""),
        (StepResult.HALTED, "OUTCOME_DROPPED"),
    ]
    # A second time there is nothing left to drop.
    with pytest.raises(NotFound):
        await drop(site, customer, MailSource.GATEWAY, 1, outcome.event_id)


async def test_a_turn_that_began_before_the_drop_writes_nothing(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    order, fence = site.order(customer), await epochs(site)
    original = site.effects.answer
    once = iter([True])

    async def drop_meanwhile(effects: object) -> object:
        if next(once, False):
            await site.turns.park(key_of(customer), "poison", 8, fence)
            await drop(site, customer, MailSource.SEGMENT, 1, order.event_id)
            await retry(site, customer)
        return await original(effects)  # type: ignore[arg-type]

    site.effects.answer = drop_meanwhile  # type: ignore[method-assign, assignment]
    with pytest.raises(Fenced):
        await site.runner().run({key_of(customer): Waiting([order])}, fence)
    assert await site.states(journey) == {}
    await site.runner().run({key_of(customer): Waiting([order])}, await epochs(site))
    assert await site.states(journey) == {}


async def test_only_mail_that_waits_for_a_parked_customer_can_be_dropped(site: Site) -> None:
    [customer] = islice(customers(), 1)
    order = site.order(customer)
    with pytest.raises(NotFound, match="parked customer"):
        await drop(site, customer, MailSource.SEGMENT, 1, order.event_id)
    await site.turns.park(key_of(customer), "poison", 8, await epochs(site))
    with pytest.raises(NotFound, match="mail"):
        await drop(site, customer, MailSource.SEGMENT, 2, order.event_id)
    with pytest.raises(InvalidArgument):
        await drop(site, customer, MailSource.SEGMENT, 1, TEAM)


async def test_parked_customers_keep_nobody_else_from_being_halted(site: Site) -> None:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), POINTS)
    crowd, fence = [key_of(customer) for customer in islice(customers(), 3)], await epochs(site)
    await site.runner().run({key: Waiting([site.order(key.customer_id)]) for key in crowd}, fence)
    for key in crowd[:2]:
        await site.turns.park(key, "poison", 8, fence)
    for limit in (1, 3):
        found = await site.turns.halting_customers(TEAM, journey.journey_id, fence, limit)
        assert found == crowd[2:]


@pytest.mark.rule("C-20d")
async def test_mail_that_its_source_cannot_read_parks_its_customer_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.journey.worker.actors.PARK_FAULTS", 2)
    journey = await site.save_journey(POINTS)
    ann, bob = islice(customers(), 2)
    spoilt = replace(site.order(ann), body=Unreadable("of a later release"))
    site.archives[MailSource.SEGMENT].mails[-1] = spoilt
    following, other = site.order(ann), site.order(bob)
    async with site.worker():
        await site.deliver(spoilt, following, other)
        await site.until(lambda: site.effects.points[bob] == 11)
        await site.until(lambda: parked_of(site).find(TEAM, ann))
    [parked] = await parked_of(site).find(TEAM, ann)
    assert "of a later release" in parked.error
    await drop(site, ann, MailSource.SEGMENT, 1, spoilt.event_id)
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    async with site.worker():
        await retry(site, ann)
        await site.until(lambda: site.effects.points[ann] == 11)
    assert await site.states(journey) == {State.COMPLETED: 2}
