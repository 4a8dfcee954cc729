"""The worker on real PostgreSQL: nothing lost, nothing twice, whatever is repeated, wiped, fenced or killed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import pytest

from libs.common.db.pool import transaction
from libs.common.errors import NotFound
from libs.common.feeds.serving import MailPage
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.errors import Fenced
from libs.common.mailbox.mail import Outcome
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain import model as d
from services.journey.domain.effects import EarnPoints
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.enrolment import WaitReason
from services.journey.domain.views import EnrolmentFilter
from services.journey.store.leases import LeaseStore
from services.journey.usecases.leases import WorkerDraining
from services.journey.usecases.write import OPERATORS, Call
from services.journey.worker import turns
from services.journey.worker.turns import TurnRunner, Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.neighbours import MailArchive
from tests.integration.journey.turns_by_hand import (
    MESSAGE,
    POINTS,
    epochs,
    key_of,
    once_tagged,
    refused_for,
    stop,
)


@pytest.mark.usefixtures("looks_soon")
async def test_a_hundred_customers_walk_to_the_end(site: Site) -> None:
    nodes = (
        d.Node("hello", MESSAGE.action, "wait"),
        d.Node("wait", d.Delay(3600), "ask"),
        d.Node("ask", d.Condition(b"", "points", None)),
        POINTS,
    )
    journey = await site.save_journey(*nodes)
    crowd = list(islice(customers(), 100))
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))
        await site.until(lambda: len(site.effects.sends) == 100)
        await site.deliver(*(site.outcome(n) for n in range(100)))
        await site.until(lambda: _asleep(site, 100))
        site.step(minutes=59)
        await asyncio.sleep(0.1)
        assert await site.states(journey) == {State.LIVE: 100}
        site.step(minutes=1)
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 100))
    assert set(site.effects.points.values()) == {11}


async def _asleep(site: Site, count: int) -> bool:
    timers = await site.turns.look_at_timers(range(PARTITIONS), site.clock.now(), 1)
    return bool(timers.before and count) and await site.pool.fetchval("SELECT count_orphans()") == 0


async def _all_in(site: Site, journey: d.Journey, state: State, count: int) -> bool:
    return await site.states(journey) == {state: count}


async def test_a_turn_that_is_run_again_takes_the_branch_that_it_began(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = await site.save_journey(*once_tagged())
    [customer] = islice(customers(), 1)
    batch, fence = {key_of(customer): Waiting((site.order(customer),))}, await epochs(site)

    async def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(site.turns, "commit", fail)
        with pytest.raises(ConnectionError):
            await site.runner().run(batch, fence)
    # Judged now, the customer would take the other branch, and get its points as well.
    assert site.effects.tagged == {customer}
    await site.runner().run(batch, fence)
    assert site.effects.points == {customer: 11}
    assert await site.states(journey) == {State.COMPLETED: 1}
    async with transaction(site.pool, [TEAM]) as connection:
        assert await connection.fetchval("SELECT count(verdicts) FROM actor") == 0


async def test_a_worker_without_its_lease_begins_no_branch(site: Site) -> None:
    await site.save_journey(*once_tagged())
    [customer] = islice(customers(), 1)
    former = await epochs(site)
    await epochs(site)
    with pytest.raises(Fenced):
        await site.runner().run({key_of(customer): Waiting((site.order(customer),))}, former)
    assert site.effects.points == {customer: 1}
    assert site.effects.tagged == set()


async def test_a_turn_that_died_before_its_trim_takes_effect_once(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    order = site.order(customer)
    # A worker commits the turn and dies before it trims: the mail is still there for the next owner.
    await site.runner().run({key_of(customer): Waiting([order])}, await epochs(site))
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    async with site.worker():
        await site.deliver(order, order)
        await site.until(lambda: _empty(site))
    assert await site.states(journey) == {State.COMPLETED: 1}
    assert site.effects.points[customer] == 11


async def test_a_turn_that_died_before_its_commit_is_run_again_with_the_same_keys(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    order = site.order(customer)
    stale = dict.fromkeys(range(PARTITIONS), 99)
    with pytest.raises(Fenced):
        await site.runner().run({key_of(customer): Waiting([order])}, stale)
    assert site.effects.points[customer] == 11
    assert await site.states(journey) == {}
    async with site.worker():
        await site.deliver(order)
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 1))
    assert site.effects.points[customer] == 11


async def _empty(site: Site) -> bool:
    depths = await site.post.depths(range(PARTITIONS))
    return not any(depth.ready or depth.taken for depth in depths.values())


async def test_a_worker_that_lost_its_lease_writes_nothing(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    old = await epochs(site)
    await epochs(site)
    with pytest.raises(Fenced) as caught:
        await site.runner().run({key_of(customer): Waiting([site.order(customer)])}, old)
    assert caught.value.partitions == [key_of(customer).partition]
    assert await site.states(journey) == {}


async def test_missing_mail_is_fetched_from_its_source(site: Site) -> None:
    await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    orders = [site.order(customer) for _ in range(4)]
    async with site.worker():
        await site.until(lambda: _owned(site))
        await site.deliver(orders[3], orders[0])
        await site.until(lambda: site.effects.points[customer] == 44)
    earned = [effect for effect in site.effects.asked if isinstance(effect, EarnPoints)]
    assert [effect.key for effect in earned] == [order.event_id for order in orders]


async def _owned(site: Site) -> bool:
    return bool(await site.pool.fetchval("SELECT bool_and(owner IS NOT NULL) FROM partition_lease"))


@pytest.mark.usefixtures("looks_soon")
async def test_mailboxes_are_rebuilt_after_a_wipe(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    crowd = list(islice(customers(), 20))
    async with site.worker():
        await site.until(lambda: _owned(site))
        await site.deliver(*(site.order(customer) for customer in crowd[:10]))
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 10))
        for customer in crowd[10:]:
            site.order(customer)  # recorded, and lost before it was worked on
        site.server.wipe()
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 20))
    assert all(site.effects.points[customer] == 11 for customer in crowd)


async def test_one_poisoned_customer_keeps_nobody_else(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    crowd = list(islice(customers(), 10))
    site.effects.poisonous.add(crowd[3])
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 9))
        site.effects.poisonous.clear()
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 10))


async def test_an_outage_delays_and_loses_nothing(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    crowd = list(islice(customers(), 10))
    site.effects.down = True
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))
        await site.until(lambda: site.effects.asked)
        site.effects.down = False
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 10))


@pytest.mark.rule("J-03a", "J-03b")
async def test_a_stop_halts_everybody_and_then_is_over(site: Site) -> None:
    journey = await site.save_journey(d.Node("send", MESSAGE.action, "wait"), d.Node("wait", d.Delay(3600)))
    crowd = list(islice(customers(), 10))
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))
        await site.until(lambda: len(site.effects.sends) == 10)
        await site.deliver(*(site.outcome(n) for n in range(6)))
        await site.until(lambda: _waiting_for(site, WaitReason.DELAY, 6))
        await stop(site, journey)
        await site.until(lambda: _halted(site, journey, 6))
        assert await site.status(journey) is d.JourneyStatus.STOPPING
        # Those whose message is with the gateway are awaited.
        await site.deliver(*(site.outcome(n, Outcome.CANCELLED) for n in range(6, 10)))
        await site.until(lambda: _has_status(site, journey, d.JourneyStatus.STOPPED))
    assert await site.states(journey) == {State.HALTED: 10}


async def _waiting_for(site: Site, reason: WaitReason, count: int) -> bool:
    rows = await site.enrolments.page(TEAM, EnrolmentFilter(UUID(int=100), None), None, 100)
    return sum(row.enrolment.wait is reason for row in rows) == count


async def _halted(site: Site, journey: d.Journey, count: int) -> bool:
    return (await site.states(journey)).get(State.HALTED, 0) == count


async def _has_status(site: Site, journey: d.Journey, status: d.JourneyStatus) -> bool:
    return await site.status(journey) is status


@pytest.mark.rule("J-07i")
async def test_the_first_refused_send_stops_the_journey_by_itself(site: Site) -> None:
    journey = await site.save_journey(MESSAGE)
    crowd = list(islice(customers(), 5))
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd[:3]))
        await site.until(lambda: len(site.effects.sends) == 3)
        site.effects.exhausted = "LINE_CAP_REACHED"
        await site.deliver(site.order(crowd[3]))
        await site.until(lambda: _has_status(site, journey, d.JourneyStatus.STOPPING))
        await site.deliver(site.order(crowd[4]), *(site.outcome(n) for n in range(3)))
        await site.until(lambda: _has_status(site, journey, d.JourneyStatus.STOPPED))
    stopped = await site.journeys.get(TEAM, journey.journey_id)
    assert stopped.reason is d.StatusReason.LINE_CAP_REACHED
    # Sends that had their place are counted and end; the refused one halts; nobody enters after it.
    assert await site.states(journey) == {State.COMPLETED: 3, State.HALTED: 1}


@pytest.mark.rule("J-13a")
async def test_the_limit_holds_over_turns_and_workers(site: Site) -> None:
    journey, refused = (
        await site.save_journey(POINTS, enrolments_per_customer_max=2),
        refused_for("CUSTOMER_LIMIT"),
    )
    [customer] = islice(customers(), 1)
    for _ in range(2):
        async with site.worker():
            await site.deliver(site.order(customer), site.order(customer))
            await site.until(lambda: _empty(site))
    assert await site.states(journey) == {State.COMPLETED: 2}
    assert refused_for("CUSTOMER_LIMIT") == refused + 2


async def test_two_workers_share_the_partitions_and_one_takes_over_when_the_other_goes(site: Site) -> None:
    async with site.worker(lease_s=0.5) as first:
        await site.until(lambda: len(first.owned) == PARTITIONS)
        async with site.worker(lease_s=0.5) as second:
            await site.until(lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2)
            assert not set(first.owned) & set(second.owned)
        await site.until(lambda: len(first.owned) == PARTITIONS)


async def drain(draining: WorkerDraining, worker_id: str) -> int:
    form, request = pb.DrainWorkerResponse, pb.DrainWorkerRequest(request_id=str(new_id()))
    call: Call[int, pb.DrainWorkerResponse] = Call(
        OPERATORS, request, form, lambda held: form(released_partition_count=held)
    )
    return (await draining.drain(call, worker_id)).released_partition_count


def resume_call() -> Call[None, pb.ResumeWorkerResponse]:
    form = pb.ResumeWorkerResponse
    return Call(OPERATORS, pb.ResumeWorkerRequest(request_id=str(new_id())), form, lambda _: form())


async def test_a_drained_worker_hands_over_in_order_and_takes_nothing_until_resumed(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    leases = LeaseStore(site.pool)
    draining = WorkerDraining(site.pool, leases)
    crowd = list(islice(customers(), 40))
    async with site.worker(lease_s=0.6) as first, site.worker(lease_s=0.6) as second:
        await site.until(lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2)
        owners = {lease.owner for lease in (await leases.leases()).values()}
        [drained] = [o for o in owners if (await leases.leases())[min(first.owned)].owner == o]
        await site.deliver(*(site.order(customer) for customer in crowd[:20]))
        assert await drain(draining, drained) == PARTITIONS // 2
        assert not first.owned
        assert await drain(draining, drained) == 0
        assert [row.draining for row in await leases.workers() if row.worker_id == drained] == [True]
        await site.until(lambda: len(second.owned) == PARTITIONS)
        await site.deliver(*(site.order(customer) for customer in crowd[20:]))
        await site.until(lambda: _all_in(site, journey, State.COMPLETED, 40))
        assert not first.owned
        await draining.resume(resume_call(), drained)
        await site.until(lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2)
        with pytest.raises(NotFound):
            await drain(draining, "nobody")
    assert all(site.effects.points[customer] == 11 for customer in crowd)


async def test_a_journey_that_cannot_follow_its_schedule_keeps_no_other_from_it(site: Site) -> None:
    now = site.clock.now()
    starts = d.Schedule(now + timedelta(hours=1), now + timedelta(days=1), d.ExpiryAction.STOP)
    bad, good = [await site.save_journey(POINTS, number=n, schedule=starts) for n in (101, 102)]
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("UPDATE journey SET status = $1", d.JourneyStatus.SCHEDULED)
        await connection.execute(
            "UPDATE journey SET definition = '{\"kind\": 1}' WHERE journey_id = $1", bad.journey_id
        )
    site.step(hours=2)
    async with site.worker():
        await site.until(lambda: _is_active(site, good))
    assert bad.journey_id < good.journey_id


async def _is_active(site: Site, journey: d.Journey) -> bool:
    return await site.status(journey) is d.JourneyStatus.ACTIVE


async def test_missing_mail_is_fetched_a_page_a_turn_and_the_last_of_it_is_worked_like_the_first(
    site: Site,
) -> None:
    journey = await site.save_journey(d.Node("tag", d.Tags(("vip",))))
    other, customer = islice(customers(), 2)

    async def worked(count: int) -> bool:
        return (await site.states(journey)).get(State.COMPLETED) == count

    async with site.worker():
        await site.deliver(site.order(other))
        await site.until(lambda: worked(1))  # the mailboxes are taken over by now
        *_, last = [site.order(customer) for _ in range(7)]
        await site.deliver(last)
        await site.until(lambda: worked(8))
    assert (site.effects.points[customer], site.effects.points[other]) == (7, 1)
    async with transaction(site.pool, [TEAM]) as connection:
        versions = dict(await connection.fetch("SELECT customer_id, version FROM actor"))
    assert versions[other] == 1
    assert versions[customer] == 3, "a page of two each turn"


async def test_missing_mail_of_many_customers_is_fetched_for_as_many_as_a_batch_has_room_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "FETCHED_BYTES_MAX", 1)
    pages, of_batches = [0], list[tuple[int, int]]()
    begin, of_customer = TurnRunner._begin, MailArchive.of_customer

    async def counting(self: MailArchive, *args: Any) -> MailPage:
        pages[0] += 1
        return await of_customer(self, *args)

    async def noting(self: TurnRunner, work: Any, *args: Any, **more: Any) -> Any:
        before = pages[0]
        begun = await begin(self, work, *args, **more)
        of_batches.append((len(work), pages[0] - before))
        return begun

    monkeypatch.setattr(MailArchive, "of_customer", counting)
    monkeypatch.setattr(TurnRunner, "_begin", noting)
    await site.save_journey(POINTS)
    other, *crowd = islice(customers(), 13)
    async with site.worker():
        await site.deliver(site.order(other))
        await site.until(lambda: site.effects.points[other] == 11)  # the mailboxes are taken over by now
        gaps = [[site.order(customer) for _ in range(3)][-1] for customer in crowd]
        await site.deliver(*gaps)
        await site.until(lambda: set(map(site.effects.points.get, crowd)) == {33})
    assert max(size for size, _ in of_batches) > 1, "they came together"
    assert {fetched for _, fetched in of_batches} == {0, 1}
