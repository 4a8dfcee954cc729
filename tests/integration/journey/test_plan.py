"""The enrolments of a plan's month: exact over workers, repetitions, crashes and months."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.db.pool import Pool, transaction
from libs.common.feeds.journey_records import RefusalFact, read_record
from libs.common.ids import new_id, partition_of
from libs.testing.mails import TEAM
from omnijourney.journey.v1 import journey_pb2
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.plan import Month, TeamPlan, month_of
from services.journey.domain.turn import RefusalReason
from services.journey.store.places import PlacedEffects, PlaceStore
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import START, Site
from tests.integration.journey.house import House, delay, message, until
from tests.integration.journey.turns_by_hand import epochs, key_of, refused_for

JOURNEY = UUID(int=100)
"""That the site saves."""
CLOSED = d.JourneyStatus.TRIGGER_CLOSED
MARCH = month_of(datetime(2026, 3, 4, 12, tzinfo=UTC), "Asia/Taipei")
APRIL = month_of(datetime(2026, 4, 4, 12, tzinfo=UTC), "Asia/Taipei")


def ask(most: int, number: int = 1, month: Month = MARCH, customer: UUID | None = None) -> fx.TakePlace:
    """A new enrolment's question."""
    return fx.TakePlace(new_id(), TEAM, customer or new_id(), month, most, 1, number)


@pytest.fixture
async def places(site: Site) -> PlaceStore:
    """The store on a database of its own."""
    return PlaceStore(site.pool)


@pytest.mark.rule("J-07j")
async def test_a_month_gives_as_many_places_as_the_plan_has_whoever_asks_at_once(places: PlaceStore) -> None:
    batches = [[ask(100) for _ in range(random.Random(n).randint(1, 40))] for n in range(12)]
    taken = await asyncio.gather(*(places.take(batch) for batch in batches))
    assert sum(map(len, taken)) == 100
    assert await places.take([ask(100)]) == set()
    again = [each for batch, got in zip(batches, taken, strict=True) for each in batch if each.key in got]
    assert await places.take(again) == {each.key for each in again}, "a place stays its enrolment's"
    assert len(await places.take([ask(101), ask(101)])) == 1, "a plan may grow"
    assert await places.take([ask(50)]) == set()
    assert len(await places.take([ask(100, month=APRIL) for _ in range(3)])) == 3, "months count apart"


async def _pass_mail(pool: Pool, asked: fx.TakePlace, *, enrolled: bool, at: datetime = START) -> None:
    """The customer's turn is committed: past the mail, with the enrolment or without."""
    async with transaction(pool, [TEAM]) as connection:
        await connection.execute(
            "INSERT INTO actor (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey,"
            " live_enrolment_id, live_journey_id, live_since, live_wait) VALUES ($1, $2, $3, $4, 0, 0, $5, $6, $7, $8)",
            partition_of(TEAM, asked.customer_id),
            TEAM,
            asked.customer_id,
            asked.number,
            asked.key if enrolled else None,
            JOURNEY if enrolled else None,
            at if enrolled else None,
            1 if enrolled else None,
        )


@pytest.mark.rule("J-07j")
async def test_a_place_that_became_no_enrolment_is_given_back(site: Site, places: PlaceStore) -> None:
    first, second, third = [ask(3) for _ in range(3)]
    assert len(await places.take([first, second, third])) == 3
    await _pass_mail(site.pool, first, enrolled=True)
    await _pass_mail(site.pool, second, enrolled=False)
    late = [ask(3), ask(3)]
    assert await places.take(late) == {late[0].key}, (
        "one was given back, one is used, of one the turn is not over"
    )
    await _pass_mail(site.pool, third, enrolled=True)
    assert await places.take([ask(3)]) == set()


@pytest.mark.rule("J-07j")
async def test_a_limit_that_comes_within_a_month_counts_what_the_month_has(
    site: Site, places: PlaceStore
) -> None:
    assert (await site.save_draft()).journey_id == JOURNEY
    for _ in range(2):
        await _pass_mail(site.pool, ask(1), enrolled=True)
    assert len(await places.take([ask(3) for _ in range(5)])) == 1


@pytest.mark.rule("J-07j")
async def test_a_limit_that_was_lifted_and_comes_back_in_a_later_month_counts_what_that_month_has(
    site: Site, places: PlaceStore
) -> None:
    await site.save_draft()
    assert len(await places.take([ask(3) for _ in range(5)])) == 3
    for _ in range(2):
        await _pass_mail(site.pool, ask(1), enrolled=True, at=datetime(2026, 4, 2, tzinfo=UTC))
    await _pass_mail(site.pool, ask(1), enrolled=True, at=datetime(2026, 3, 31, 15, 59, tzinfo=UTC))
    assert len(await places.take([ask(3, month=APRIL) for _ in range(5)])) == 1


class FixedPlans:
    """One plan for all."""

    def __init__(self, most: int | None) -> None:
        self.plan = TeamPlan("Asia/Taipei", most)

    async def plans(self, teams: Any) -> dict[UUID, TeamPlan]:
        """See `TeamPlans`."""
        return dict.fromkeys(teams, self.plan)


async def _inside(site: Site) -> int:
    async with transaction(site.pool, [TEAM]) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM actor WHERE live_journey_id IS NOT NULL"))


async def _entered(site: Site, number: int) -> None:
    """So many are inside."""

    async def are_inside() -> bool:
        return await _inside(site) == number

    await site.until(are_inside)


async def _used(site: Site) -> list[int]:
    async with transaction(site.pool, [TEAM]) as connection:
        rows = await connection.fetch("SELECT used FROM plan_month ORDER BY month")
    return [row["used"] for row in rows]


class KnownPlans:
    """What one process knows of the team's plan."""

    def __init__(self) -> None:
        self.most: int | None = 3

    async def plans(self, teams: Any) -> dict[UUID, TeamPlan]:
        """See `TeamPlans`."""
        return {} if self.most is None else dict.fromkeys(teams, TeamPlan("Asia/Taipei", self.most))


@pytest.mark.rule("J-07j")
async def test_what_enters_while_a_limit_is_lifted_counts_when_it_is_set_again_also_by_who_learns_it_late(
    site: Site,
) -> None:
    """Two runners, as two processes have them; the second learns of each change after the first has worked by it."""
    plans, now_s = [KnownPlans(), KnownPlans()], 0.0
    await site.save_journey(d.Node("wait", d.Delay(3600)))
    runners = []
    for each in plans:
        site.plans = each
        runners.append(site.runner(lambda: now_s))
    fence = await epochs(site)

    async def enter(by: int, count: int = 1) -> int:
        """How many of so many customers enter."""
        before = await _inside(site)
        for _ in range(count):
            customer = new_id()
            outcome = await runners[by].run({key_of(customer): Waiting([site.order(customer)])}, fence)
            assert not outcome.failed
        return await _inside(site) - before

    assert await enter(0) == 1
    plans[0].most = plans[1].most = None
    assert await enter(0, 3) + await enter(1, 2) == 5
    plans[0].most = 8
    assert await enter(0) == 1
    assert await _used(site) == [7]
    assert await enter(1) == 1, "it has not heard of the limit"
    plans[1].most = 8
    assert await enter(1) == 0
    assert await _used(site) == [8]
    now_s = 60.0
    site.clock.set(datetime(2026, 3, 31, 15, 59, tzinfo=UTC))
    await site.save_journey(d.Node("wait", d.Delay(3600)), number=101)
    assert await enter(0) == 0
    site.clock.set(datetime(2026, 3, 31, 16, 1, tzinfo=UTC))
    await site.save_journey(d.Node("wait", d.Delay(3600)), number=102)
    assert await enter(0) == 1, "in Taipei it is April"
    assert await _used(site) == [8, 1]


async def _refused(site: Site) -> list[tuple[UUID, int]]:
    """Journeys and reasons of triggers that were refused."""
    async with transaction(site.pool, [TEAM]) as connection:
        rows = await connection.fetch("SELECT body FROM history_record")
    return [
        (UUID(bytes=record.journeys[fact.journey]), fact.reason)
        for record in (read_record(row["body"]) for row in rows)
        for fact in record.facts
        if isinstance(fact, RefusalFact)
    ]


@pytest.mark.rule("J-07h", "J-07j", "J-13b")
async def test_the_first_refused_trigger_closes_its_journey_and_all_of_the_burst_are_counted(
    site: Site,
) -> None:
    site.plans, refused = FixedPlans(1), refused_for("PLAN_LIMIT")
    journey = await site.save_journey(d.Node("wait", d.Delay(3600)))
    other = await site.save_journey(d.Node("wait", d.Delay(3600)), number=101, trigger=d.TagTrigger(("VIP",)))
    async with site.worker():
        await site.deliver(site.order(new_id()))
        await site.until(lambda: _inside(site))
        await site.deliver(site.order(new_id()))

        async def closed() -> bool:
            return (await site.journeys.get(TEAM, journey.journey_id)).status is CLOSED

        await site.until(closed)
        await site.deliver(*[site.order(new_id()) for _ in range(4)])  # of the moment of the close

        async def counted() -> bool:
            return len(await _refused(site)) == 5

        await site.until(counted)
    shown = await site.journeys.get(TEAM, journey.journey_id)
    assert (shown.status, shown.reason) == (CLOSED, d.StatusReason.PLAN_TRIGGER_LIMIT)
    assert (await site.journeys.get(TEAM, other.journey_id)).status is d.JourneyStatus.ACTIVE
    assert set(await _refused(site)) == {(journey.journey_id, RefusalReason.PLAN_LIMIT)}
    assert refused_for("PLAN_LIMIT") == refused + 5
    assert await _inside(site) == 1


@pytest.mark.rule("J-07j")
async def test_nobody_enters_while_nobody_knows_the_plan_and_nobody_is_lost(site: Site) -> None:
    site.plans = FixedPlans(None)
    await site.save_journey(d.Node("wait", d.Delay(3600)))
    mail = site.order(new_id())

    effects = PlacedEffects(site.effects, PlaceStore(site.pool))
    unknown = msgspec.structs.replace(ask(1), most=None)
    assert [type(each) for each in await effects.answer([unknown])] == [ServiceUnavailable]
    async with site.worker():
        await site.deliver(mail)
        await asyncio.sleep(0.3)
        assert not await _inside(site)
        site.plans.plan = TeamPlan("Asia/Taipei", 1)
        await site.until(lambda: _inside(site))


@pytest.mark.rule("J-07h", "J-07j")
async def test_a_plan_closes_the_journey_that_it_has_no_place_for(houses: Any) -> None:
    house = await houses(monthly_enrolments_max=2)
    journey_id, other = [
        await house.publish(delay(), message("a", bot_module_id=await house.module())) for _ in "ab"
    ]
    await house.trigger(journey_id, 6)
    await until(lambda: _has_status(house, journey_id, journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED))
    shown = (await house.call("journey", "GetJourney", journey_id=journey_id, language_code="zh-TW")).journey
    assert (shown.status_reason, shown.status_message) == (
        journey_pb2.STATUS_REASON_PLAN_TRIGGER_LIMIT,
        "旅程觸發次數已達方案上限",
    )
    counts = await house.call("journey", "CountEnrolments", journey_id=journey_id)
    assert counts.live_count == 2
    assert (await house.seen(other))[0] == journey_pb2.JOURNEY_STATUS_ACTIVE
    await house.trigger(other, 1)
    await until(lambda: _has_status(house, other, journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED))


async def _has_status(house: House, journey_id: str, status: int) -> bool:
    return (await house.seen(journey_id))[0] == status
