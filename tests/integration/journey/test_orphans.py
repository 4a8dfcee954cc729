"""Orphans made by hand on real PostgreSQL: found, counted, and healed by turns, with every effect once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from uuid import UUID

import pytest

from libs.common.db.pool import transaction
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import MailSource
from libs.testing.mails import TEAM, customers
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.model import ActorKey
from services.journey.store.orphans import OrphanStore
from services.journey.worker.orphans import OrphanChecker
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.neighbours import LostSends
from tests.integration.journey.turns_by_hand import MESSAGE, POINTS, epochs, key_of


def gateway_of(site: Site) -> LostSends:
    return LostSends(site.effects, site.archives[MailSource.GATEWAY])


def checker_of(
    site: Site,
    heal: list[ActorKey] | None = None,
    owned: dict[int, int] | None = None,
    *,
    gateway: LostSends | None = None,
    age_s: float = 0,
    real_time: Callable[[], float] = time.monotonic,
) -> OrphanChecker:
    """A checker that owns everything and heals nothing but by hand."""
    return OrphanChecker(
        store=OrphanStore(site.pool),
        probe=gateway or gateway_of(site),
        mailbox=site.post,
        clock=site.clock,
        owned=lambda: owned or dict.fromkeys(range(PARTITIONS), 1),
        heal=(heal if heal is not None else []).extend,
        every_s=0.05,
        age_s=age_s,
        real_time=real_time,
    )


@contextlib.asynccontextmanager
async def healing(site: Site) -> AsyncIterator[None]:
    """A worker with a checker beside it."""
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    await site.pool.execute("DELETE FROM lease_worker")
    async with site.worker() as worker:
        checker = OrphanChecker(
            store=OrphanStore(site.pool),
            probe=gateway_of(site),
            mailbox=site.post,
            clock=site.clock,
            owned=lambda: worker.owned,
            heal=worker.ask_again,
            every_s=0.05,
            age_s=0,
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(checker.run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await task


async def in_flight(site: Site, count: int = 1) -> tuple[d.Journey, list[UUID], dict[int, int]]:
    """Customers who wait for a message, since two minutes, and the leases under which they got there."""
    journey = await site.save_journey(d.Node("send", MESSAGE.action, "points"), POINTS)
    crowd, fence = list(islice(customers(), count)), await epochs(site)
    await site.runner().run({key_of(c): Waiting([site.order(c)]) for c in crowd}, fence)
    site.step(minutes=2)
    return journey, crowd, fence


async def execute(site: Site, query: str, *arguments: object) -> None:
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute(query, *arguments)


async def counted(site: Site) -> int:
    return int(await site.pool.fetchval("SELECT count_orphans()"))


async def _is_over(site: Site, journey: d.Journey, count: int) -> bool:
    return await site.states(journey) == {State.COMPLETED: count} and await counted(site) == 0


async def test_an_outcome_that_was_taken_and_lost_is_asked_for_again(site: Site) -> None:
    journey, [customer, other], _ = await in_flight(site, 2)
    site.outcome(0)
    site.effects.settle(0, fx.SendState.SENT)
    await execute(site, "UPDATE actor SET taken_gateway = 1 WHERE customer_id = $1", customer)
    heal: list[ActorKey] = []
    await checker_of(site, heal).step()
    assert (heal, await counted(site)) == ([key_of(customer)], 1)
    async with healing(site):
        await site.until(lambda: _has(site, journey, State.COMPLETED, 1))
        await site.until(lambda: _none_left(site))
        # The other one was in flight all the time.
        await site.deliver(site.outcome(1))
        await site.until(lambda: _is_over(site, journey, 2))
    assert site.effects.points == {customer: 11, other: 11}
    assert len(site.effects.sends) == 2


async def _has(site: Site, journey: d.Journey, state: State, count: int) -> bool:
    return (await site.states(journey)).get(state, 0) == count


async def _none_left(site: Site) -> bool:
    return await counted(site) == 0


async def test_a_send_that_the_gateway_lost_is_made_again(site: Site) -> None:
    journey, [customer], _ = await in_flight(site)
    site.effects.settle(0, None)
    await checker_of(site).step()
    assert await counted(site) == 1
    async with healing(site):
        await site.until(lambda: len(site.effects.sends) == 2)
        await site.until(lambda: _none_left(site))
        assert await site.states(journey) == {State.LIVE: 1}
        await site.deliver(site.outcome(1))
        await site.until(lambda: _is_over(site, journey, 1))
    first, second = site.effects.sends
    assert first.key == second.key
    assert site.effects.points == {customer: 11}


async def test_a_stopped_journey_sends_nothing_that_was_lost(site: Site) -> None:
    journey, _, _ = await in_flight(site)
    site.effects.settle(0, None)
    async with transaction(site.pool, [TEAM]) as connection:
        present = await site.journeys.get_for_change(connection, TEAM, journey.journey_id)
        await site.journeys.change_status(connection, present, d.JourneyStatus.STOPPING, site.clock.now())
    heal: list[ActorKey] = []
    await checker_of(site, heal).step()
    await site.runner().run({key: Waiting(again=True) for key in heal}, await epochs(site))
    assert site.effects.sends[-1].not_after == site.clock.now()


async def _in_flight(site: Site, customer: UUID, fence: dict[int, int]) -> None:
    """Nothing is wrong."""


async def _settled_and_mailed(site: Site, customer: UUID, fence: dict[int, int]) -> None:
    site.outcome(0)
    site.effects.settle(0, fx.SendState.SENT)


async def _parked(site: Site, customer: UUID, fence: dict[int, int]) -> None:
    site.effects.settle(0, None)
    await site.turns.park(key_of(customer), "poison", 8, fence)


@pytest.mark.parametrize("reason", [_in_flight, _settled_and_mailed, _parked])
async def test_who_has_a_reason_to_rest_is_left_alone(site: Site, reason: object) -> None:
    _, [customer], fence = await in_flight(site)
    await reason(site, customer, fence)  # type: ignore[operator]
    heal: list[ActorKey] = []
    await checker_of(site, heal).step()
    assert (heal, await counted(site)) == ([], 0)


async def test_the_age_of_a_send_is_real_time(site: Site) -> None:
    heal: list[ActorKey] = []
    times_s = iter([1_000.0, 1_001.0, 1_030.0, 1_060.0, 1_061.0])
    checker = checker_of(site, heal, age_s=60, real_time=lambda: next(times_s))
    await checker.step()
    _, [customer], _ = await in_flight(site)
    site.effects.settle(0, None)
    # However far domain time goes meanwhile.
    for _ in range(3):
        site.step(minutes=60)
        await checker.step()
        assert not heal
    await checker.step()
    assert heal == [key_of(customer)]


async def test_nobody_is_asked_about_while_mail_of_the_partition_waits(site: Site) -> None:
    _, [customer], _ = await in_flight(site)
    site.effects.settle(0, None)
    neighbour = next(c for c in customers() if c != customer and key_of(c)[0] == key_of(customer)[0])
    await site.deliver(site.order(neighbour))
    heal: list[ActorKey] = []
    gateway = gateway_of(site)
    checker = checker_of(site, heal, gateway=gateway)
    await checker.step()
    assert (heal, gateway.questions) == ([], [])
    site.server.wipe()
    await checker.step()
    assert heal == [key_of(customer)]


async def test_a_page_is_one_question(site: Site) -> None:
    _, crowd, _ = await in_flight(site, 7)
    gateway = gateway_of(site)
    await checker_of(site, gateway=gateway).step()
    (question,) = gateway.questions
    assert {send.customer_id for send in question} == set(crowd)


async def test_the_search_goes_on_behind_a_full_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.journey.worker.orphans.PAGE", 2)
    _, crowd, _ = await in_flight(site, 5)
    for number in range(5):
        site.effects.settle(number, None)
    heal: list[ActorKey] = []
    checker = checker_of(site, heal)
    for expected in (2, 4, 5):
        await checker.step()
        assert await counted(site) == expected
    # Another owner's partitions are no concern of this one.
    heal.clear()
    lone = key_of(crowd[0])
    await checker_of(site, heal, {lone.partition: 1}).step()
    assert set(_customers(heal)) <= {c for c in crowd if key_of(c).partition == lone.partition}


def _customers(keys: Iterable[ActorKey]) -> list[UUID]:
    return [key.customer_id for key in keys]
