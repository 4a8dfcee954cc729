"""What a journey is at an instant, through the API: what is shown, what is listed, what is allowed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.db.pool import transaction
from libs.common.errors import FailedPrecondition
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.status import status_at
from services.journey.usecases.gate import Gate
from services.journey.usecases.lifecycle import Lifecycle
from services.journey.usecases.write import Call
from services.journey.worker.brakes import Brakes
from services.journey.worker.schedule import Scheduler
from tests.integration.journey.conftest import Site
from tests.integration.journey.desk import START, Desk, refusal, schedule_of, serving_desk
from tests.integration.journey.neighbours import NothingAsked

HOUR = timedelta(hours=1)
S = d.JourneyStatus


@pytest.fixture
async def desk(
    servers: Servers, databases: Databases, redis: object, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """The service with a schedule that never looks: no label follows."""

    async def never(self: Scheduler, stopping: asyncio.Event) -> None:
        await stopping.wait()

    monkeypatch.setattr(Scheduler, "run", never)
    async with serving_desk(servers, databases) as desk:
        yield desk


async def planned(desk: Desk, action: int) -> journey_pb2.Journey:
    return await desk.publish(await desk.create(schedule=schedule_of(START + HOUR, START + 2 * HOUR, action)))


@pytest.mark.rule("J-01d")
@pytest.mark.parametrize(
    ("action", "end"),
    [
        (journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER, journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED),
        (journey_pb2.EXPIRY_ACTION_STOP, journey_pb2.JOURNEY_STATUS_STOPPING),
    ],
)
async def test_what_is_shown_and_listed_does_not_wait_for_the_label(
    desk: Desk, action: int, end: int
) -> None:
    journey = await planned(desk, action)

    async def seen() -> int:
        status = await desk.status(journey)
        for wanted in journey_pb2.JourneyStatus.values()[1:]:
            found = (await desk.call("ListJourneys", statuses=[wanted])).journeys
            assert [j.status for j in found] == ([status] if wanted == status else [])
        return status

    assert await seen() == journey_pb2.JOURNEY_STATUS_SCHEDULED
    desk.clock.advance(HOUR)
    assert await seen() == journey_pb2.JOURNEY_STATUS_ACTIVE
    desk.clock.advance(HOUR)
    assert await seen() == end


async def test_what_is_allowed_does_not_wait_for_the_label(desk: Desk) -> None:
    close = journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER
    [kept, other] = [await planned(desk, close) for _ in range(2)]
    assert (await refusal(desk.call("CloseTrigger", journey_id=kept.journey_id))).metadata[
        "status"
    ] == "SCHEDULED"
    desk.clock.advance(HOUR)
    told = await refusal(desk.call("DeleteJourney", journey_id=kept.journey_id))
    assert (told.reason, told.metadata["status"]) == ("STATUS_FORBIDS_ACTION", "ACTIVE")
    closed = (await desk.call("CloseTrigger", journey_id=kept.journey_id)).journey
    assert closed.status == journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED
    desk.clock.advance(HOUR)
    told = await refusal(desk.call("CloseTrigger", journey_id=other.journey_id))
    assert told.metadata["status"] == "TRIGGER_CLOSED"


@pytest.mark.rule("J-05b")
async def test_a_journey_with_somebody_inside_is_not_deleted(site: Site) -> None:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600)))
    customer = next(customers())
    async with site.worker():
        await site.deliver(site.order(customer))
        await site.until(lambda: _live(site, journey))
    # As where the clock of the process that is asked is behind: to it the start lies ahead.
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("UPDATE journey SET status = $1", S.SCHEDULED)
    gate, brakes = (
        Gate(NothingAsked(), site.clock),
        Brakes(site.stopper, site.journeys, site.clock, lambda: None),
    )
    lifecycle = Lifecycle(site.journeys, gate, brakes, site.clock, lambda: None)
    request = pb.DeleteJourneyRequest(request_id="delete", journey_id=str(journey.journey_id))
    form = pb.DeleteJourneyResponse
    call: Call[d.Journey, pb.DeleteJourneyResponse] = Call(
        TEAM, request, form, lambda _: form(), lambda _: request
    )
    with pytest.raises(FailedPrecondition, match="customers are inside"):
        await lifecycle.delete(call, journey.journey_id, "")
    async with transaction(site.pool, [TEAM]) as connection:
        await site.journeys.delete(connection, journey, site.clock.now())
    # What no command does any more: the customer halts, and is worked on as ever.
    site.step(hours=2)
    async with site.worker():
        await site.until(lambda: _halted(site, journey))
        await site.deliver(site.order(customer))
        await site.until(lambda: site.effects.points[customer] == 2)


async def _live(site: Site, journey: d.Journey) -> bool:
    return await site.states(journey) == {EnrolmentState.LIVE: 1}


async def _halted(site: Site, journey: d.Journey) -> bool:
    return await site.states(journey) == {EnrolmentState.HALTED: 1}


@pytest.mark.rule("J-01d")
async def test_the_database_reckons_the_status_as_the_service_does(site: Site) -> None:
    schedules = [None, *(d.Schedule(START, START + HOUR, action) for action in d.ExpiryAction)]
    instants = [START + timedelta(minutes=minutes) for minutes in (-1, 0, 1, 59, 60, 61)]
    for stored, schedule, at in itertools.product(S, schedules, instants):
        found = await site.pool.fetchval(
            "SELECT journey_status_at($1, $2, $3, $4, $5)",
            stored,
            schedule and schedule.start,
            schedule and schedule.end,
            schedule and schedule.expiry,
            at,
        )
        assert found == status_at(stored, schedule, at), (stored, schedule, at)
