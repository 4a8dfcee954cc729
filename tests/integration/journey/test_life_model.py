"""The life of journeys against a model: whatever people, schedule, clock and outages do, with customers inside.

Use cases, schedule, turns and the database are the real ones; the gateway is in memory and keeps to its contract (stop
epochs, `not_after`, answers by key). What leaves is counted: nothing after the answer to a stop, nothing at or after an
end that stops. Whoever enters is compared with the model, both ways.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from libs.common.db.pool import transaction
from libs.common.errors import DomainError
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import Mail, SendOutcome
from libs.common.rpc.operations import Progress
from libs.testing.mails import TEAM, customers
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.status import as_it_is
from services.journey.domain.turn import enrolment_id_of
from services.journey.usecases.gate import Gate
from services.journey.usecases.lifecycle import Lifecycle
from services.journey.usecases.schedule import ScheduledChanges
from services.journey.usecases.write import Call
from services.journey.worker import brakes
from services.journey.worker.catalog import JourneyCatalog
from services.journey.worker.halting import Halting
from services.journey.worker.schedule import Scheduler
from services.journey.worker.turns import TurnRunner, Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.life_model import Gateway, LosingStore, Model, S
from tests.integration.journey.neighbours import AllThere, UtcZones
from tests.integration.journey.turns_by_hand import epochs, key_of

SEQUENCES, ACTIONS = 40, 40
MINUTE = timedelta(minutes=1)
HELLO = d.Message(d.Channel.LINE, bot_module_id=UUID(int=4))
NODES = (
    d.Node("hello", HELLO, "wait"),
    d.Node("wait", d.Delay(600), "again"),
    d.Node("again", HELLO, "points"),
    d.Node("points", d.Points(5)),
)


class World:
    """One sequence: three journeys, some customers, and everything that happens to them."""

    def __init__(self, site: Site, seed: int, crowd: Sequence[UUID], fence: dict[int, int]) -> None:
        self.site, self.chance, self.crowd, self.fence = site, random.Random(seed), crowd, fence
        self.gateway = Gateway(site)
        self.store = LosingStore(site.turns)
        self.runner = TurnRunner(
            store=self.store,
            catalog=JourneyCatalog(site.turns, UtcZones()),
            effects=self.gateway,
            readers=dict(site.archives),
            clock=site.clock,
            notifier=CommitNotifier(),
        )
        self.brakes = brakes.Brakes(self.gateway, site.journeys, site.clock, lambda: None)
        self.real = 0.0
        self.halting = Halting(site.turns, lambda: self.real)
        self.scheduler = Scheduler(
            ScheduledChanges(site.journeys), self.brakes, site.clock, Progress(), self._set_stopping
        )
        self.lifecycle = Lifecycle(
            site.journeys, Gate(AllThere(), site.clock), self.brakes, site.clock, lambda: None
        )
        self.models: dict[UUID, Model] = {}
        self.mails: dict[UUID, list[Mail]] = {}
        self.expected: defaultdict[UUID, set[UUID]] = defaultdict(set)
        self.possible: defaultdict[UUID, set[UUID]] = defaultdict(set)
        self.begun: set[UUID] = set()
        self.stopped_with: dict[UUID, int] = {}
        """Messages of a journey that had left when its stop was answered, or it was over."""
        self.log: list[str] = []
        self.numbers: Iterator[int] = count(seed * 1_000)

    def _set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> None:
        self.halting.set_stopping(journeys)

    # -- what happens -----------------------------------------------------------------------------------------------

    async def draft(self) -> None:
        now, chance = self.site.clock.now(), self.chance
        start = now + chance.randint(-10, 4) * MINUTE
        end = start + chance.randint(12, 40) * MINUTE
        expiry = chance.choice(list(d.ExpiryAction))
        schedule = None if chance.random() < 0.3 else d.Schedule(start, end, expiry)
        journey = await self.site.save_draft(*NODES, number=next(self.numbers) + 1_000, schedule=schedule)
        self.models[journey.journey_id] = Model(schedule)

    async def person(self, action: str | None = None, journey_id: UUID | None = None) -> None:
        journey_id = journey_id or self.chance.choice(list(self.models))
        action = action or self.chance.choices(["publish", "close", "stop", "delete"], [4, 2, 4, 2])[0]
        model, now = self.models[journey_id], self.site.clock.now()
        empty = not await self.inside(journey_id)
        over = not model.deleted and (await self.site.journeys.get(TEAM, journey_id)).status is S.STOPPED
        allowed = model.allows(action, now, over=over, empty=empty)
        told = await self._command(action, journey_id)
        self.log.append(f"{action} {journey_id.int} -> {told or 'done'}")
        if told != "DEPENDENCY_UNAVAILABLE":
            assert (told == "") is allowed, self.log
        else:
            assert (self.gateway.away, action) == (True, "stop"), self.log
        if allowed:
            model.does(action, now)
        if action == "stop" and not told:
            self.stopped_with.setdefault(journey_id, self.sent(journey_id))

    async def _command(self, action: str, journey_id: UUID) -> str:
        """Why it was refused; empty if it was done."""
        request = pb.StopJourneyRequest(request_id=f"request {next(self.numbers)}")
        form = pb.StopJourneyResponse
        call: Call[Any, Any] = Call(TEAM, request, form, lambda _: form(), lambda _: form())
        commands = {
            "publish": self.lifecycle.publish,
            "close": self.lifecycle.close_trigger,
            "stop": self.lifecycle.stop,
            "delete": self.lifecycle.delete,
        }
        try:
            await commands[action](call, journey_id, "")
        except DomainError as refused:
            return refused.reason
        return ""

    async def order(self) -> None:
        customer = self.chance.choice(self.crowd)
        now = self.site.clock.now()
        mail = self.site.order(customer, now + self.chance.choice([-30, -5, 0, 0, 0, 3]) * MINUTE)
        self.mails.setdefault(customer, []).append(mail)

    async def turns(self) -> None:
        """Everybody who has something to do, in one batch, which may be lost before its commit."""
        now = self.site.clock.now()
        for mail in self.gateway.outcomes:
            self.mails.setdefault(mail.customer_id, []).append(mail)
        self.gateway.outcomes.clear()
        timers = await self.site.turns.look_at_timers(range(PARTITIONS), now, 500)
        due = [customer for _, customer in timers.found]
        halting = await self.halting.take(500, range(PARTITIONS), set())
        batch = {key: Waiting() for key in (*due, *halting)}
        batch |= {key_of(customer): Waiting(mails) for customer, mails in self.mails.items() if mails}
        self.gateway.taken.clear()
        outcome = await self.runner.run_all(batch, self.fence)
        assert not outcome.parked
        for send in self.gateway.taken:
            if (
                key_of(send.customer_id) not in outcome.committed
            ):  # it was asked for, so who got it has entered
                self.expected[send.journey_id].add(send.enrolment_id)
        for key in outcome.committed:
            for mail in self.mails.pop(key.customer_id, []):
                if not isinstance(mail.body, SendOutcome):
                    for id_, model in self.models.items():
                        if model.enters(mail.occurred_at, now):
                            self.expected[id_].add(enrolment_id_of(id_, key.customer_id, mail.event_id))

    async def lost_turns(self) -> None:
        self.store.loses = True
        await self.turns()
        self.store.loses = False

    async def labels(self) -> None:
        self.real += 10.0
        await self.scheduler.step(self.site.clock.now())
        for journey_id, model in self.models.items():
            if not model.deleted and (await self.site.journeys.get(TEAM, journey_id)).status is S.STOPPED:
                self.stopped_with.setdefault(journey_id, self.sent(journey_id))

    async def outage(self) -> None:
        self.gateway.away = not self.gateway.away

    async def clock(self) -> None:
        self.site.clock.advance(self.chance.choice([1, 3, 7, 11]) * MINUTE)

    async def messages(self) -> None:
        self.gateway.work(self.chance.randint(1, 4))

    async def something(self) -> None:
        happens = {
            self.order: 20,
            self.turns: 22,
            self.lost_turns: 4,
            self.messages: 14,
            self.clock: 10,
            self.person: 14,
            self.labels: 8,
            self.outage: 2 if not self.gateway.away else 8,
            self.draft: 3,
        }
        [what] = self.chance.choices(list(happens), list(happens.values()))
        self.log.append(f"{self.site.clock.now():%H:%M} {what.__name__}")
        await what()

    # -- what must hold ---------------------------------------------------------------------------------------------

    def sent(self, journey_id: UUID) -> int:
        return sum(each == journey_id for each, _ in self.gateway.left)

    async def inside(self, journey_id: UUID) -> bool:
        async with transaction(self.site.pool, [TEAM]) as connection:
            return await self.site.journeys.has_live_enrolments(connection, TEAM, journey_id)

    def after_stops(self) -> int:
        """Messages that left, or were asked for, when none may any more."""
        stopped = sum(self.sent(journey_id) - before for journey_id, before in self.stopped_with.items())
        traffic = [*self.gateway.left, *self.gateway.requested]
        return stopped + sum(self.models[journey_id].sends_nothing(at) for journey_id, at in traffic)

    async def check(self) -> None:
        assert self.after_stops() == 0, self.log
        now = self.site.clock.now()
        for journey_id, model in self.models.items():
            if not model.deleted:
                shown = as_it_is(await self.site.journeys.get(TEAM, journey_id), now).status
                wanted = model.status(now)
                assert shown is wanted or (shown is S.STOPPED and wanted is S.STOPPING), (
                    journey_id,
                    self.log,
                )

    async def come_to_rest(self) -> None:
        """Everything is back: whoever is in a journey that is over halts, and it is over for good."""
        self.gateway.away = False
        for _ in range(60):
            self.gateway.work(100)
            await self.labels()
            await self.turns()
            await brakes_done(self.brakes)
            if not self.gateway.waiting and not self.gateway.outcomes and not await self._unrest():
                break
        await self.check()
        for journey_id, model in self.models.items():
            counts = await self.site.enrolments.count(TEAM, journey_id)
            least, most = self.expected[journey_id], self.expected[journey_id] | self.possible[journey_id]
            assert len(least) <= sum(counts.values()) <= len(most), (journey_id, counts, self.log)
            over = model.published_at and model.status(self.site.clock.now()) is S.STOPPING
            assert over or EnrolmentState.HALTED not in counts, (journey_id, self.log)
            if over:
                assert EnrolmentState.LIVE not in counts, (journey_id, self.log)
                if not model.deleted:
                    assert (await self.site.journeys.get(TEAM, journey_id)).status is S.STOPPED, self.log
        assert await self.site.pool.fetchval("SELECT count(*) FROM parked_customer") == 0

    async def _unrest(self) -> bool:
        now = self.site.clock.now()
        journeys = [
            await self.site.journeys.get(TEAM, id_) for id_, m in self.models.items() if not m.deleted
        ]
        return any(as_it_is(journey, now).status is S.STOPPING for journey in journeys)


async def brakes_done(pulled: brakes.Brakes) -> None:
    """Waits for those under way."""
    for brake in list(pulled._under_way.values()):
        await brake.task


async def run_sequence(site: Site, seed: int, crowd: Sequence[UUID], fence: dict[int, int]) -> World:
    """One sequence, from drafts to rest; afterwards its journeys are gone."""
    world = World(site, seed, crowd, fence)
    try:
        for _ in range(2):
            await world.draft()
        for journey_id in list(world.models):
            await world.person("publish", journey_id)
        for _ in range(ACTIONS):
            await world.something()
            assert world.after_stops() == 0, world.log
        await world.check()
        await world.come_to_rest()
    finally:
        await world.brakes.release()
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute(
            "UPDATE journey SET deleted_at = $1, version = version + 1 WHERE deleted_at IS NULL",
            site.clock.now(),
        )
    return world


@pytest.mark.rule("J-01d", "J-03a", "J-03b", "J-04c", "J-05b", "J-26a")
async def test_no_sequence_lets_a_message_leave_after_a_stop_or_an_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brakes, "ANSWER_FAILED_S", 0.01)
    everybody, fence = customers(), await epochs(site)
    left = entered = stops = 0
    for seed in range(SEQUENCES):
        crowd = [next(everybody) for _ in range(4)]
        world = await run_sequence(site, seed, crowd, fence)
        left += len(world.gateway.left)
        entered += sum(map(len, world.expected.values()))
        stops += len(world.stopped_with)
    with capsys.disabled():
        print(
            f"\n{SEQUENCES} sequences of {ACTIONS}: {entered} entered, {left} messages left, {stops} journeys over;"
            " 0 left after a stop or an end"
        )
    assert min(entered, left, stops) > SEQUENCES / 4, "the sequences do not try what they are for"
