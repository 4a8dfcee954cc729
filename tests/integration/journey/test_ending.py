"""Enrolments that people end: on real PostgreSQL with a worker, and by gRPC and the command line."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import transaction
from libs.common.errors import FailedPrecondition, NotFound, Unavailable
from libs.common.ids import new_id
from libs.common.mailbox.mail import Mail, MailSource, Outcome
from libs.testing.fixtures import Servers
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.clients.calls import ServiceUnavailable
from services.journey.convert.enrolments import enrolment_message
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.enrolment import StepResult
from services.journey.domain.views import EnrolmentFilter, StoredEnrolment
from services.journey.store.mail import JourneyMailStore
from services.journey.usecases.ending import EndedEnrolments
from services.journey.usecases.write import Call
from services.journey.worker.turns import Waiting
from tests.integration.journey.command_line import command
from tests.integration.journey.conftest import Site
from tests.integration.journey.house import House, delay, message
from tests.integration.journey.test_parked import retry
from tests.integration.journey.turns_by_hand import MESSAGE, POINTS, epochs, key_of

HALTED, LIVE = enrolment_pb2.ENROLMENT_STATE_HALTED, enrolment_pb2.ENROLMENT_STATE_LIVE
WAIT = d.Node("wait", d.Delay(3600), "points")
NOTE = "she asked us to"


class Gateway:
    """Takes sends back: each is cancelled, or was on the wire just then."""

    def __init__(self, site: Site, state: Outcome = Outcome.CANCELLED) -> None:
        self._site = site
        self._state = state
        self.asked: list[UUID] = []
        self.away = False

    async def cancel_send(self, team_id: UUID, effect_key: UUID) -> None:
        """See `SendCanceller`."""
        if self.away:
            raise ServiceUnavailable("away")
        first = effect_key not in self.asked
        self.asked.append(effect_key)
        if first:
            await self._site.deliver(self._site.outcome(0, self._state))


class Desk:
    """What ends enrolments at a site, whose own mail reaches the mailboxes."""

    def __init__(self, site: Site, gateway: Gateway | None = None, answer_s: float = 9.0) -> None:
        self.site = site
        self.gateway = gateway or Gateway(site)
        self.mail = JourneyMailStore(site.pool)
        site.archives[MailSource.JOURNEY] = self.mail  # type: ignore[assignment]  # read as an archive is
        self._answer_s = answer_s
        self._delivered: set[asyncio.Task[None]] = set()

    def _deliver(self, mails: list[Mail]) -> None:
        if mails:
            self._delivered.add(asyncio.create_task(self.site.deliver(*mails)))

    async def end(self, enrolment_id: UUID, request_id: str = "") -> enrolment_pb2.Enrolment:
        request = pb.EndEnrolmentRequest(
            request_id=request_id or str(new_id()), enrolment_id=str(enrolment_id), note=NOTE
        )
        call = Call(TEAM, request, pb.EndEnrolmentResponse, _reply)
        ending = EndedEnrolments(
            self.site.pool,
            enrolments=self.site.enrolments,
            mail=self.mail,
            sends=self.gateway,
            clock=self.site.clock,
            check_intake=lambda: None,
            deliver=self._deliver,
            changed=lambda: None,
            answer_s=self._answer_s,
        )
        return (await ending.end(call, enrolment_id, NOTE)).enrolment

    async def inside(self, customer: UUID) -> list[StoredEnrolment]:
        """The customer's enrolments."""
        return await self.site.enrolments.page(TEAM, EnrolmentFilter(None, customer), None, 10)

    async def steps(self, customer: UUID) -> list[tuple[StepResult, str, str]]:
        """What the customer's only enrolment did."""
        [stored] = await self.inside(customer)
        steps = [kept.step for kept in await self.site.enrolments.steps(stored)]
        return [(step.result, step.detail, step.seen) for step in steps]


def _reply(stored: StoredEnrolment) -> pb.EndEnrolmentResponse:
    return pb.EndEnrolmentResponse(enrolment=enrolment_message(stored))


ENDED = (StepResult.HALTED, "ENROLMENT_ENDED", NOTE)


async def entered(site: Site, customer: UUID) -> UUID:
    """The enrolment of a customer who orders; the site's workers come after it."""
    await site.runner().run({key_of(customer): Waiting([site.order(customer)])}, await epochs(site))
    await release(site)
    [stored] = await Desk(site).inside(customer)
    return stored.enrolment.enrolment_id


async def release(site: Site) -> None:
    """The test's own worker is gone: whoever comes gets all partitions, and not its share."""
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    await site.pool.execute("DELETE FROM lease_worker")


async def test_who_waits_is_ended_once_with_the_reason_and_nothing_follows(site: Site) -> None:
    journey = await site.save_journey(WAIT, POINTS)
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    desk = Desk(site)
    async with site.worker():
        first = await desk.end(enrolment_id, "one")
        assert (first.state, first.node_id) == (HALTED, "wait")
        assert await desk.end(enrolment_id, "one") == first
        with pytest.raises(FailedPrecondition, match="HALTED"):
            await desk.end(enrolment_id, "two")
        site.step(hours=2)
        other = site.order(customer)
        await site.deliver(other)
        await site.until(lambda: _has_taken(site, other))
    assert site.effects.points[customer] == 2, "of the orders"
    assert await site.states(journey) == {State.HALTED: 1, State.LIVE: 1}


async def _has_taken(site: Site, mail: Mail) -> bool:
    key = key_of(mail.customer_id)
    return (await site.turns.load([key])).actors[key].taken[MailSource.SEGMENT] == mail.number


@pytest.mark.parametrize(
    ("state", "last"),
    [(Outcome.CANCELLED, StepResult.CANCELLED), (Outcome.SENT, StepResult.SENT)],
    ids=["waits", "on the wire"],
)
async def test_a_message_that_is_with_the_gateway_is_taken_back_or_is_the_last(
    site: Site, state: Outcome, last: StepResult
) -> None:
    await site.save_journey(d.Node("send", MESSAGE.action, "points"), POINTS)
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    desk = Desk(site, Gateway(site, state))
    async with site.worker():
        desk.gateway.away = True
        with pytest.raises(Unavailable, match="channel_gateway"):
            await desk.end(enrolment_id, "one")
        desk.gateway.away = False
        assert (await desk.end(enrolment_id, "one")).state == HALTED
    assert set(desk.gateway.asked) == {site.effects.sends[0].key}
    assert site.effects.points[customer] == 1, "of the order"
    assert await desk.steps(customer) == [(StepResult.SEND_REQUESTED, "", ""), ENDED, (last, "", "")]


async def test_nobody_is_told_that_it_has_ended_before_the_actor_knows(site: Site) -> None:
    await site.save_journey(WAIT, POINTS)
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    desk = Desk(site, answer_s=0.1)
    with pytest.raises(Unavailable, match="actor"):
        await desk.end(enrolment_id, "one")
    async with site.worker():
        await site.until(lambda: _is_halted(desk, customer))
        assert (await desk.end(enrolment_id, "one")).state == HALTED
        assert await desk.steps(customer) == [(StepResult.DELAY_STARTED, "", ""), ENDED]


async def _is_halted(desk: Desk, customer: UUID) -> bool:
    [stored] = await desk.inside(customer)
    return stored.enrolment.state is State.HALTED


async def test_one_that_has_ended_otherwise_or_never_was_is_told(site: Site) -> None:
    await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    with pytest.raises(FailedPrecondition, match="COMPLETED") as refused:
        await Desk(site).end(enrolment_id)
    assert (refused.value.reason, refused.value.metadata) == ("ENROLMENT_ENDED", {"state": "COMPLETED"})
    with pytest.raises(NotFound):
        await Desk(site).end(new_id())


@pytest.mark.parametrize("sends", [False, True], ids=["a delay", "a message"])
async def test_of_a_customer_who_is_set_aside_nothing_leaves_either(site: Site, sends: bool) -> None:
    first = d.Node("send", MESSAGE.action, "points") if sends else WAIT
    journey = await site.save_journey(first, POINTS)
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    await site.turns.park(key_of(customer), "poison", 8, await epochs(site))
    await release(site)
    desk = Desk(site)
    async with site.worker():
        ended = await desk.end(enrolment_id)
        assert ended.state == (enrolment_pb2.ENROLMENT_STATE_PARKED if sends else HALTED)
        assert ENDED in await desk.steps(customer)
        await retry(site, customer)
        site.step(hours=2)
        await site.until(lambda: _is_halted(desk, customer))
    assert await site.states(journey) == {State.HALTED: 1}
    assert site.effects.points[customer] == 1, "of the order"
    assert len(set(desk.gateway.asked)) == sends


async def test_a_turn_that_was_under_way_tells_what_it_did_and_goes_no_further(site: Site) -> None:
    """The wish comes while a turn has asked for points and is not committed."""
    await site.save_journey(WAIT, d.Node("points", POINTS.action, "more"), d.Node("more", d.Delay(60), "end"))
    [customer] = islice(customers(), 1)
    enrolment_id = await entered(site, customer)
    desk, original = Desk(site), site.effects.answer
    begun: list[asyncio.Task[enrolment_pb2.Enrolment]] = []

    async def meanwhile(effects: object) -> object:
        if not begun:
            begun.append(asyncio.create_task(desk.end(enrolment_id)))
            await site.until(lambda: _mails(site))
        return await original(effects)  # type: ignore[arg-type]

    site.effects.answer = meanwhile  # type: ignore[method-assign, assignment]
    site.step(hours=2)
    async with site.worker():
        await site.until(lambda: begun)
        assert (await begun[0]).state == HALTED
    assert site.effects.points[customer] == 11
    assert [result.name for result, *_ in await desk.steps(customer)] == [
        *("DELAY_STARTED", "DELAY_ENDED", "APPLIED", "DELAY_STARTED", "HALTED")
    ]


async def _mails(site: Site) -> bool:
    async with transaction(site.pool, [TEAM]) as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM mail"))


async def test_by_grpc_and_from_the_command_line(house: House, servers: Servers, tmp_path: Path) -> None:
    journey_id = await house.publish(delay(), message("hello", bot_module_id=await house.module()))
    customers_ = [await house.enter(journey_id)]
    listed = await house.call("journey", "ListEnrolments", journey_id=journey_id)
    ended = await house.call(
        "journey", "EndEnrolment", enrolment_id=listed.enrolments[0].enrolment_id, note=NOTE
    )
    assert ended.enrolment.state == HALTED
    customers_.append(await house.enter(journey_id))
    done = await command(house, servers, tmp_path, "end", journey_id, customers_[1], "--note", "not wanted")
    assert (done.code, done.err) == (0, "")
    assert done.out.split(maxsplit=1)[1].strip() == "HALTED at wait"
    for customer_id, note in zip(customers_, (NOTE, "not wanted"), strict=True):
        entries = await house.call(
            "journey", "ExplainCustomer", journey_id=journey_id, customer_id=customer_id
        )
        [entry] = entries.entries
        told = await house.call(
            "journey",
            "ExplainCustomer",
            journey_id=journey_id,
            customer_id=customer_id,
            event_id=entry.event_id,
        )
        last = told.entries[0].steps[-1]
        assert (last.detail, last.seen) == ("ENROLMENT_ENDED", note)
    owner = await asyncpg.connect(house.database.admin_dsn)
    query = "SELECT resource_id FROM platform.audit_entry WHERE method LIKE '%/EndEnrolment'"
    written = {row["resource_id"] for row in await owner.fetch(query)}
    await owner.close()
    inside = await house.call("journey", "ListEnrolments", journey_id=journey_id)
    assert written == {each.enrolment_id for each in inside.enrolments}
