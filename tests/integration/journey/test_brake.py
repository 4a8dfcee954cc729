"""The brake: asked for until the gateway has acknowledged, by whoever is there, for each journey by itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from uuid import UUID

import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import transaction
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import journey_pb2
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.usecases.schedule import ScheduledChanges
from services.journey.worker import brakes
from services.journey.worker.schedule import LOOK_EVERY_S
from tests.integration.journey.conftest import Site
from tests.integration.journey.desk import (
    START,
    Desk,
    desk_on,
    refusal,
    schedule_of,
    serving_desk,
)
from tests.integration.journey.test_parked import retry

STOPPING, STOPPED = journey_pb2.JOURNEY_STATUS_STOPPING, journey_pb2.JOURNEY_STATUS_STOPPED
ENDS = schedule_of(START, START + timedelta(hours=1), journey_pb2.EXPIRY_ACTION_STOP)


async def until(desk: Desk, asked: int) -> None:
    async with asyncio.timeout(60):
        while len(desk.gateway.asked) < asked:
            await asyncio.sleep(0.02)


@pytest.mark.rule("J-03d")
@pytest.mark.parametrize("by", ["expiry", "a person"])
async def test_the_gateway_is_asked_until_it_acknowledges_and_the_journey_is_not_over_before(
    servers: Servers, databases: Databases, redis: object, by: str
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.publish(await desk.create(schedule=ENDS))
        desk.gateway.away = True
        if by == "expiry":
            desk.clock.advance(timedelta(hours=1))
        else:
            told = await refusal(desk.call("StopJourney", journey_id=journey.journey_id))
            assert (told.reason, told.metadata["status"]) == ("DEPENDENCY_UNAVAILABLE", "STOPPING")
        await until(desk, 4)
        assert (await desk.status(journey), desk.gateway.acknowledged) == (STOPPING, [])
        desk.gateway.away = False
        await desk.until_status(journey, STOPPED)
        assert set(desk.gateway.acknowledged) == {(journey.journey_id, 1)}
        # Whoever read the journey before the acknowledgement was kept may ask once more; nobody goes on asking.
        async with asyncio.timeout(60):
            asked = -1
            while asked != (asked := len(desk.gateway.asked)):
                await asyncio.sleep(2 * LOOK_EVERY_S)


@pytest.mark.rule("J-03d")
async def test_a_process_that_died_before_the_gateway_acknowledged_is_made_up_for(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with databases.fresh({"journey": "services.journey"}) as database:
        async with desk_on(servers, database, clock := SteppedClock(START)) as desk:
            journey = await desk.publish(await desk.create(schedule=ENDS))
            desk.gateway.away = True
            clock.advance(timedelta(hours=1))
            await until(desk, 1)
        async with desk_on(servers, database, clock) as desk:
            await desk.until_status(journey, STOPPED)
            assert set(desk.gateway.acknowledged) == {(journey.journey_id, 1)}


@pytest.mark.rule("J-03d", "J-03e")
async def test_a_second_person_waits_for_the_same_brake(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.publish(await desk.create())
        desk.gateway.away = True
        await refusal(desk.call("StopJourney", journey_id=journey.journey_id))
        second = asyncio.ensure_future(desk.call("StopJourney", journey_id=journey.journey_id))
        await asyncio.sleep(0.1)
        assert not second.done()
        desk.gateway.away = False
        assert (await second).journey.status == STOPPING
        assert set(desk.gateway.acknowledged) == {(journey.journey_id, 1)}


@pytest.mark.rule("J-03g")
async def test_a_stop_that_hangs_holds_back_no_other_start_end_or_stop(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        hangs, ends = [await desk.publish(await desk.create(schedule=ENDS)) for _ in range(2)]
        starts = await desk.publish(
            await desk.create(
                schedule=schedule_of(
                    START + timedelta(hours=1),
                    START + timedelta(hours=2),
                    journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER,
                )
            )
        )
        other = await desk.publish(await desk.create())
        desk.gateway.hanging.add(hangs.journey_id)
        desk.clock.advance(timedelta(hours=1))
        await desk.until_status(ends, STOPPED)
        await desk.until_status(starts, journey_pb2.JOURNEY_STATUS_ACTIVE)
        await desk.call("StopJourney", journey_id=other.journey_id)
        await desk.until_status(other, STOPPED)
        assert await desk.status(hangs) == STOPPING


class OneHangs:
    """Acknowledges, but for one journey."""

    def __init__(self, hanging: UUID) -> None:
        self.hanging = hanging
        self.stopped: list[UUID] = []

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        if journey_id == self.hanging:
            await asyncio.Event().wait()
        self.stopped.append(journey_id)

    async def recall_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        raise AssertionError("no windows are drawn otherwise here")


async def test_a_brake_is_pulled_once_for_all_who_ask_and_ends_with_its_process(site: Site) -> None:
    first, second = [await _stopping(site, number) for number in (101, 102)]
    stopper = OneHangs(first.journey_id)
    pulled = brakes.Brakes(stopper, site.journeys, site.clock, lambda: None)
    for _ in range(3):
        pulled.pull(first)
    assert await pulled.pull_and_wait(second)
    assert (await site.journeys.get(TEAM, second.journey_id)).is_braked
    waiting = asyncio.ensure_future(pulled.pull_and_wait(first))
    await asyncio.sleep(0)
    await pulled.release()
    assert await waiting is False
    assert not (await site.journeys.get(TEAM, first.journey_id)).is_braked
    assert stopper.stopped == [second.journey_id]


async def _stopping(site: Site, number: int) -> d.Journey:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600)), number=number)
    async with transaction(site.pool, [TEAM]) as connection:
        present = await site.journeys.get_for_change(connection, TEAM, journey.journey_id)
        now = site.clock.now()
        return await site.journeys.change_status(
            connection, present, d.JourneyStatus.STOPPING, now, stops_sends=True
        )


@pytest.mark.rule("J-03b")
@pytest.mark.usefixtures("looks_soon")
async def test_a_parked_customer_inside_does_not_keep_a_journey_from_being_over(site: Site) -> None:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), d.Node("points", d.Points(5)))
    crowd = list(islice(customers(), 3))
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))
        await site.until(lambda: _counts(site, journey, {EnrolmentState.LIVE: 3}))
        async with transaction(site.pool, [TEAM]) as connection:
            await connection.execute(
                "INSERT INTO parked_customer SELECT partition, team_id, customer_id, 'poison', 8, now() FROM actor"
                " WHERE customer_id = $1",
                crowd[0],
            )
        assert await site.states(journey) == {EnrolmentState.LIVE: 2, EnrolmentState.PARKED: 1}
        async with transaction(site.pool, [TEAM]) as connection:
            present = await site.journeys.get_for_change(connection, TEAM, journey.journey_id)
            await site.journeys.change_status(
                connection, present, d.JourneyStatus.STOPPING, site.clock.now(), stops_sends=True
            )
        await site.until(lambda: _is(site, journey, d.JourneyStatus.STOPPED))
        assert await site.states(journey) == {EnrolmentState.HALTED: 2, EnrolmentState.PARKED: 1}
        await retry(site, crowd[0])
        await site.until(lambda: _counts(site, journey, {EnrolmentState.HALTED: 3}))
    assert not any(delta > 1 for delta in site.effects.points.values())


async def _counts(site: Site, journey: d.Journey, wanted: dict[EnrolmentState, int]) -> bool:
    return await site.states(journey) == wanted


async def _is(site: Site, journey: d.Journey, status: d.JourneyStatus) -> bool:
    return await site.status(journey) is status


async def test_a_journey_without_its_acknowledgement_is_not_over(site: Site) -> None:
    journey = await _stopping(site, 101)
    changes = ScheduledChanges(site.journeys)
    now = site.clock.now()
    assert not await changes.settle_stop(TEAM, journey.journey_id, now)
    await site.journeys.acknowledge(TEAM, journey.journey_id, 1)
    assert await changes.settle_stop(TEAM, journey.journey_id, now)
    assert (await site.journeys.get(TEAM, journey.journey_id)).status is d.JourneyStatus.STOPPED
