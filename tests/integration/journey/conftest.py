"""A worker on a database of its own, with mailboxes and neighbours in memory and a stepped clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from libs.common.clock import SteppedClock
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.feeds.notifier import CommitNotifier
from libs.common.leases import LeaseKeeper
from libs.common.mailbox.mail import Checkout, Mail, MailSource, Outcome, SendOutcome
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.common.rpc.operations import Progress
from libs.common.tasks import running
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM, Numberer
from services.journey.clients.plans import NoPlans, TeamPlans
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.journeys import JourneyStore
from services.journey.store.places import CountedPlans, PlacedEffects, PlaceStore
from services.journey.store.turns import TurnStore
from services.journey.usecases.schedule import ScheduledChanges
from services.journey.worker import actors, pacing, timers
from services.journey.worker.actors import Worker
from services.journey.worker.brakes import Brakes
from services.journey.worker.catalog import JourneyCatalog
from services.journey.worker.schedule import Scheduler
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.turns import TurnRunner
from tests.integration.journey.house import House
from tests.integration.journey.neighbours import KeyedEffects, MailArchive, RecordingStopper, UtcZones

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
QUIET_S = 60.0


@dataclass
class Site:
    """Everything around the workers of one test, which survives them."""

    pool: Pool
    clock: SteppedClock = field(default_factory=lambda: SteppedClock(START))
    server: MemoryServer = field(default_factory=MemoryServer)
    effects: KeyedEffects = field(default_factory=KeyedEffects)
    stopper: RecordingStopper = field(default_factory=RecordingStopper)
    plans: TeamPlans = field(default_factory=NoPlans)
    archives: dict[int, MailArchive] = field(
        default_factory=lambda: {source: MailArchive() for source in MailSource}
    )
    segment: Numberer = field(default_factory=Numberer)
    gateway: Numberer = field(default_factory=lambda: Numberer(MailSource.GATEWAY))

    def __post_init__(self) -> None:
        self.turns = TurnStore(self.pool)
        self.journeys = JourneyStore(self.pool)
        self.enrolments = EnrolmentStore(self.pool)
        self.post = InMemoryMailbox(self.server)

    async def save_journey(self, *nodes: d.Node, number: int = 100, **definition: object) -> d.Journey:
        """A live journey of these nodes on one LINE account, started by any checkout."""
        journey = await self.save_draft(*nodes, number=number, **definition)
        async with transaction(self.pool, [TEAM]) as connection:
            return await self.journeys.change_status(connection, journey, d.JourneyStatus.ACTIVE, START)

    async def save_draft(self, *nodes: d.Node, number: int = 100, **definition: object) -> d.Journey:
        """The same, not published."""
        given: dict[str, object] = {
            "trigger": d.CheckoutTrigger(),
            "targets": (d.Target(d.Channel.LINE, UUID(int=3)),),
        }
        journey = d.Journey(
            journey_id=UUID(int=number),
            team_id=TEAM,
            status=d.JourneyStatus.DRAFT,
            reason=d.StatusReason.NONE,
            revision=1,
            version=1,
            stop_epoch=0,
            definition=d.Definition(f"journey {number}", nodes=nodes, **(given | definition)),  # type: ignore[arg-type]
            zone="UTC",
            created_at=START,
            updated_at=START,
        )
        async with transaction(self.pool, [TEAM]) as connection:
            await self.journeys.create(connection, journey, "test")
        return journey

    def order(self, customer_id: UUID, at: datetime | None = None) -> Mail:
        """The next order of a customer, by default of now, recorded by its source but not delivered."""
        mail = self.segment.mail(customer_id, _checkout(customer_id))
        mail = _at(mail, at or self.clock.now())
        self.archives[MailSource.SEGMENT].mails.append(mail)
        return mail

    def outcome(self, send_number: int, state: Outcome = Outcome.SENT) -> Mail:
        """The outcome of a send that was handed over, recorded but not delivered."""
        send = self.effects.sends[send_number]
        body = SendOutcome(send.key, send.enrolment_id, state, "", self.clock.now(), 1)
        mail = _at(self.gateway.mail(send.customer_id, body), self.clock.now())
        self.archives[MailSource.GATEWAY].mails.append(mail)
        return mail

    async def deliver(self, *mails: Mail) -> None:
        """Puts mail into the mailboxes."""
        await self.post.deliver(mails)

    def runner(self, real_time: Callable[[], float] = time.monotonic) -> TurnRunner:
        """Runs batches of turns; `real_time` is that of plans."""
        plans = CountedPlans(self.plans, PlaceStore(self.pool), real_time=real_time)
        return TurnRunner(
            store=self.turns,
            catalog=JourneyCatalog(self.turns, UtcZones(), plans),
            effects=PlacedEffects(self.effects, PlaceStore(self.pool)),
            readers=dict(self.archives),
            clock=self.clock,
            notifier=CommitNotifier(),
        )

    @contextlib.asynccontextmanager
    async def worker(
        self, *, lease_s: float = 1.0, runner: TurnRunner | None = None
    ) -> AsyncIterator[Worker]:
        """A worker with leases and a schedule, running."""
        mailbox = InMemoryMailbox(self.server)
        worker = Worker(
            mailbox=mailbox,
            store=self.turns,
            runner=runner or self.runner(),
            repair=MailboxRepair(mailbox, self.turns, dict(self.archives)),
            clock=self.clock,
            progress=Progress(),
        )
        schedule = Scheduler(
            ScheduledChanges(self.journeys),
            Brakes(self.stopper, self.journeys, self.clock, worker.wake),
            self.clock,
            Progress(),
            worker.set_stopping,
        )
        keeper = LeaseKeeper(self.pool, worker.set_leases, lease_s=lease_s, hand_over=worker.hand_over)
        async with running(keeper, name="leases"):
            stopping = asyncio.Event()
            tasks = [asyncio.create_task(loop.run(stopping)) for loop in (worker, schedule)]
            try:
                yield worker
            finally:
                stopping.set()
                await asyncio.gather(*tasks)

    async def until(self, done: Callable[[], object]) -> None:
        """Waits until `done` (a function or coroutine function) says so."""
        deadline = asyncio.get_running_loop().time() + QUIET_S
        while True:
            answer = done()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return
            assert asyncio.get_running_loop().time() < deadline, "waited in vain"
            await asyncio.sleep(0.01)

    async def states(self, journey: d.Journey) -> dict[EnrolmentState, int]:
        """Enrolments of a journey by state."""
        return await self.enrolments.count(TEAM, journey.journey_id)

    async def status(self, journey: d.Journey) -> d.JourneyStatus:
        """The journey's status now."""
        return (await self.journeys.get(TEAM, journey.journey_id)).status

    def step(self, **by: float) -> None:
        """Moves the clock on."""
        self.clock.advance(timedelta(**by))


def _checkout(customer_id: UUID) -> Checkout:
    return Checkout(customer_id, "shop", "1", 25_000_000, "USD", [], earns=True, has_phone=True, test=False)


def _at(mail: Mail, at: datetime) -> Mail:
    body = mail.body
    if isinstance(body, Checkout):
        body = replace(body, order_key=mail.event_id)
    return replace(mail, occurred_at=at, body=body)


@pytest.fixture
async def site(databases: Databases) -> AsyncIterator[Site]:
    """Around the workers of one test."""
    async with databases.fresh({"journey": "services.journey"}) as database:
        pool = await open_pool(database.dsn_of("journey"), name="test", size_max=8)
        try:
            yield Site(pool)
        finally:
            pool.terminate()


@pytest.fixture
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whom nothing wakes looks at everything soon, not after five seconds."""
    for module in (pacing, actors):
        monkeypatch.setattr(module, "IDLE_WAIT_S", 0.2)
    monkeypatch.setattr(timers, "LOOK_S", 0.2)


@pytest.fixture
async def houses(
    servers: Servers, databases: Databases, redis: object
) -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Makes segment, gateway and journey with a team; what is given is its plan."""
    services = {name: f"services.{name}" for name in ("journey", "segment", "channel_gateway")}
    async with databases.fresh(services) as database:
        made: list[House] = []

        async def make(**plan: int) -> House:
            made.append(House(servers, database))
            await made[-1].furnish(**plan)
            return made[-1]

        try:
            yield make
        finally:
            for each in made:
                await each.close()


@pytest.fixture
async def house(houses: Callable[..., Awaitable[House]]) -> House:
    """One without a plan."""
    return await houses()
