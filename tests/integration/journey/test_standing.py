"""How many rest where and why, and who they are: live, and the same whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from msgspec.structs import replace

from libs.common.db.pool import transaction
from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from libs.testing.fixtures import Servers
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import enrolment_pb2
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.views import EnrolmentFilter, WaitRow
from services.journey.store.standing import StandingStore
from services.journey.store.visits import VisitStore
from services.journey.usecases import visits as visits_module
from services.journey.usecases.visits import Visits
from services.journey.worker.turns import Waiting
from tests.chaos.actors import Turns
from tests.integration.journey.command_line import command
from tests.integration.journey.conftest import START, Site
from tests.integration.journey.house import House, delay, message, until
from tests.integration.journey.turns_by_hand import epochs, key_of

HOUR = timedelta(hours=1)
WAIT = WaitReason
FIRST = d.Node("pause", d.Delay(3600), "hello")
HELLO = d.Node("hello", d.Message(d.Channel.LINE, UUID(int=9)), "later")
LATER = d.Node("later", d.Delay(7200))


async def counted(site: Site, journey: d.Journey) -> list[WaitRow]:
    """What the columns say, which has to be what each enrolment says by itself."""
    found = await StandingStore(site.pool).waits(TEAM, journey.journey_id)
    rows = await everybody(site, journey)
    alone = Counter((row.node_id, row.wait) for row in rows if row.state is State.LIVE)
    assert {(row.node_id, row.wait): row.number for row in found} == alone
    for row in found:
        wakes = [e.wake_at for e in rows if (e.node_id, e.wait) == (row.node_id, row.wait) and e.wake_at]
        assert row.wake_at == min(wakes, default=None)
    assert found == sorted(found, key=lambda row: (row.node_id or "", row.wait))
    return found


async def everybody(site: Site, journey: d.Journey, **narrowed: object) -> list[Enrolment]:
    """All pages of two, checked to be newest first and without repetition."""
    wanted = EnrolmentFilter(journey.journey_id, None, **narrowed)  # type: ignore[arg-type]
    found: list[Enrolment] = []
    after: tuple[datetime, UUID] | None = None
    while page := [row.enrolment for row in await site.enrolments.page(TEAM, wanted, after, 2)]:
        found += page
        after = (page[-1].created_at, page[-1].enrolment_id)
    keys = [(each.created_at, each.enrolment_id) for each in found]
    assert keys == sorted(set(keys), reverse=True)
    return found


def ids(rows: list[Enrolment]) -> set[UUID]:
    return {row.customer_id for row in rows}


@pytest.mark.rule("T-04")
async def test_who_rests_where_and_why_is_told_at_every_moment(site: Site) -> None:
    crowd = list(islice(customers(), 5))
    journey = await site.save_journey(FIRST, HELLO, LATER, enrolments_per_customer_max=None)
    fence = await epochs(site)
    assert await counted(site, journey) == []
    await site.runner().run({key_of(each): Waiting((site.order(each),)) for each in crowd[:3]}, fence)
    assert await counted(site, journey) == [WaitRow("pause", WAIT.DELAY, 3, START + HOUR)]

    site.step(minutes=30)
    both = [crowd[0], crowd[3]]  # one has two enrolments now: the second has a row of its own
    await site.runner().run({key_of(each): Waiting((site.order(each),)) for each in both}, fence)
    assert await counted(site, journey) == [WaitRow("pause", WAIT.DELAY, 5, START + HOUR)]

    site.step(minutes=30)
    await site.runner().run({key_of(each): Waiting(()) for each in crowd[:3]}, fence)
    assert await counted(site, journey) == [
        WaitRow("hello", WAIT.SEND, 3, None),
        WaitRow("pause", WAIT.DELAY, 2, START + HOUR * 1.5),
    ]
    await site.runner().run({key_of(crowd[0]): Waiting((site.outcome(0),))}, fence)
    assert [row.number for row in await counted(site, journey)] == [2, 1, 2]
    assert ids(await everybody(site, journey, node_id="hello")) == set(crowd[1:3])
    assert ids(await everybody(site, journey, node_id="pause")) == {crowd[0], crowd[3]}
    assert ids(await everybody(site, journey, node_id="pause", wait=WAIT.SEND)) == set()
    assert ids(await everybody(site, journey, wait=WAIT.DELAY)) == {crowd[0], crowd[3]}
    assert len(await everybody(site, journey, wait=WAIT.DELAY)) == 3
    assert await everybody(site, journey, node_id="later", states=(State.COMPLETED,)) == []
    of_one = EnrolmentFilter(None, crowd[0], (), "later")
    assert len(await site.enrolments.page(TEAM, of_one, None, 10)) == 1
    of_one = of_one._replace(node_id="", wait=WAIT.SEND)
    assert await site.enrolments.page(TEAM, of_one, None, 10) == []

    site.step(hours=2)
    for number in (1, 2):
        mail = site.outcome(number, Outcome.SENT)
        await site.runner().run({key_of(mail.customer_id): Waiting((mail,))}, fence)
    site.step(hours=3)
    await site.runner().run({key_of(each): Waiting(()) for each in crowd}, fence)
    for number in (3, 4):
        mail = site.outcome(number, Outcome.SENT)
        await site.runner().run({key_of(mail.customer_id): Waiting((mail,))}, fence)
    site.step(hours=3)
    await site.runner().run({key_of(each): Waiting(()) for each in crowd}, fence)
    assert await counted(site, journey) == []
    assert await everybody(site, journey, node_id="later") == [], "they have ended there"
    assert await site.states(journey) == {State.COMPLETED: 5}


async def test_those_set_aside_are_listed_and_counted_apart(site: Site) -> None:
    ann, bob = islice(customers(), 2)
    journey = await site.save_journey(FIRST, HELLO, LATER)
    fence = await epochs(site)
    await site.runner().run({key_of(each): Waiting((site.order(each),)) for each in (ann, bob)}, fence)
    assert await site.enrolments.count(TEAM, journey.journey_id) == {State.LIVE: 2}
    await site.turns.park(key_of(ann), "fault", 3, fence)
    counts = await site.enrolments.count(TEAM, journey.journey_id)
    assert {state: count for state, count in counts.items() if count} == {State.LIVE: 1, State.PARKED: 1}
    assert await counted(site, journey) == [WaitRow("pause", WAIT.DELAY, 1, START + HOUR)]
    assert ids(await everybody(site, journey, node_id="pause")) == {ann, bob}
    assert ids(await everybody(site, journey, node_id="pause", states=(State.PARKED,))) == {ann}


async def test_rows_that_do_not_say_where_they_stand_are_read_once(site: Site) -> None:
    crowd = list(islice(customers(), 3))
    journey = await site.save_journey(FIRST, HELLO, LATER)
    fence = await epochs(site)
    await site.runner().run({key_of(each): Waiting((site.order(each),)) for each in crowd}, fence)
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("UPDATE actor SET live_node = NULL, live_wake_at = NULL")
    assert ids(await everybody(site, journey, node_id="pause")) == set(crowd)
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("UPDATE actor SET live_node = NULL, live_wake_at = NULL")
    assert await counted(site, journey) == [WaitRow("pause", WAIT.DELAY, 3, START + HOUR)]
    async with transaction(site.pool, [TEAM]) as connection:
        assert list((await Turns.read(connection, TEAM)).faults()) == []
    of_nobody = replace(journey, journey_id=UUID(int=5))
    assert await counted(site, of_nobody) == []


@pytest.mark.rule("X-07")
async def test_who_was_at_a_node_is_found_in_their_steps(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = list(islice(customers(), 3))
    choice = d.Node("choice", d.Split((d.Way(50, "left"), d.Way(50, "right"))))
    left, right = d.Node("left", d.Delay(3600)), d.Node("right", d.Delay(7200))
    journey = await site.save_journey(FIRST, replace(HELLO, next="choice"), choice, left, right)
    fence = await epochs(site)
    found = Visits(site.journeys, VisitStore(site.pool))

    async def at(node_id: str, *states: State, size: int = 10) -> dict[UUID, datetime]:
        """Of all pages, each as large as may be."""
        visits: dict[UUID, datetime] = {}
        after = None
        while True:
            page = await found.page(TEAM, journey.journey_id, node_id, states, after=after, size=size)
            assert len(page.visitors) <= size
            visits |= {each.stored.enrolment.customer_id: each.at for each in page.visitors}
            if (after := page.after) is None:
                return visits

    await site.runner().run({key_of(each): Waiting((site.order(each),)) for each in crowd}, fence)
    assert await at("pause") == dict.fromkeys(crowd, START)
    assert await at("hello") == {}, "nobody is so far"
    site.step(hours=1)
    await site.runner().run({key_of(each): Waiting(()) for each in crowd}, fence)
    for number in range(2):
        mail = site.outcome(number, Outcome.SENT)
        await site.runner().run({key_of(mail.customer_id): Waiting((mail,))}, fence)
    assert await at("pause", size=1) == dict.fromkeys(crowd, START), "who went on, too, page by page"
    assert await at("hello") == dict.fromkeys(crowd, START + HOUR)
    assert len(await at("choice")) == 2
    site.step(hours=3)
    await site.runner().run({key_of(each): Waiting(()) for each in crowd}, fence)
    assert len(await at("choice", State.COMPLETED)) == 2
    assert len(await at("choice", State.LIVE)) == 0, "one is at the message yet"
    both = await at("left"), await at("right")
    assert both[0].keys().isdisjoint(both[1]), "who took the other way ended, too, and was not here"
    assert len(both[0]) + len(both[1]) == 2
    assert await at("nowhere") == {}
    monkeypatch.setattr(visits_module, "LOOKED_AT_MAX", 1)
    monkeypatch.setattr(visits_module, "_AT_ONCE", 1)
    page = await found.page(TEAM, journey.journey_id, "hello", (), after=None, size=10)
    assert len(page.visitors) == 1
    assert page.after is not None, "a bound is no end"
    assert await at("hello") == dict.fromkeys(crowd, START + HOUR)


@pytest.mark.rule("T-04")
async def test_by_grpc_and_from_the_command_line(house: House, servers: Servers, tmp_path: Path) -> None:
    journey_id = await house.publish(delay(), message("hello", bot_module_id=await house.module()))
    customers_ = set(await house.trigger(journey_id, 2))

    async def both_wait() -> bool:
        counted = (await house.call("journey", "CountWaits", journey_id=journey_id)).waits
        return [(each.node_id, each.enrolment_count) for each in counted] == [("wait", 2)]

    await until(both_wait)
    done = await command(house, servers, tmp_path, "waits", journey_id)
    assert (done.code, done.err, done.out.split()[:3]) == (0, "", ["wait", "DELAY", "2"])
    reason = enrolment_pb2.WAIT_REASON_DELAY
    asked = {"journey_id": journey_id, "node_id": "wait", "wait_reason": reason, "page_size": 1}
    first = await house.call("journey", "ListEnrolments", **asked)
    second = await house.call("journey", "ListEnrolments", **asked, page_token=first.next_page_token)
    assert not second.next_page_token
    assert {each.customer_id for each in (*first.enrolments, *second.enrolments)} == customers_
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.call(
            "journey", "ListEnrolments", **{**asked, "node_id": "x", "page_token": first.next_page_token}
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, "a token is bound to what is asked"
    visited = {"journey_id": journey_id, "visited_node_id": "wait"}
    one = await house.call("journey", "ListEnrolments", **visited, page_size=1)
    two = await house.call("journey", "ListEnrolments", **visited, page_token=one.next_page_token)
    assert {each.customer_id for each in (*one.enrolments, *two.enrolments)} == customers_
    assert all(each.HasField("visit_time") for each in (*one.enrolments, *two.enrolments))
    for other in ({"node_id": "wait"}, {"wait_reason": reason}, {"page_token": first.next_page_token}):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await house.call("journey", "ListEnrolments", **visited, **other)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for field, value in (("node_id", "No Node"), ("wait_reason", 99)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await house.call("journey", "ListEnrolments", **{**asked, field: value})
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.call("journey", "CountWaits", journey_id=journey_id, team_id=str(new_id()))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
