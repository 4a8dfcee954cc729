"""One run: a small installation, a story of what customers do and what breaks, and the way back to quiet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID, uuid5

import structlog

from libs.common.clock import SteppedClock
from libs.common.ids import partition_of
from libs.common.mailbox.mail import Mail, MailSource, SystemTrigger
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.testing.leases import LeaseTable
from libs.testing.mails import TEAM, customers
from libs.testing.virtual_loop import Stalled, VirtualLoop
from services.journey.domain.model import ActorKey, JourneyStatus
from services.segment.domain.model import OrderCompleted
from tests.sim.chance import Chance
from tests.sim.gateway import Gateway
from tests.sim.journeys import JOURNEYS, STOPPABLE, SYSTEM
from tests.sim.marks import Marks
from tests.sim.points import Points
from tests.sim.process import Process
from tests.sim.segment import Segment
from tests.sim.services import Services
from tests.sim.source import Source
from tests.sim.stats import Stats
from tests.sim.turn_store import Tables

START: Final = datetime(2026, 3, 4, 20, tzinfo=UTC)
PARTITIONS: Final = (0, 1, 2)
NO_PHONE, NOT_ON_CHANNEL, LEFT_CHANNEL = 0.15, 0.1, 0.1
"""Shares of the customers."""
STORY_MAX_S: Final = 400.0
"""Virtual seconds after which a run that has not come to rest counts as stuck."""


@dataclass(frozen=True)
class Stuck:
    """Why a run did not come to rest."""

    why: str


class _Clock(SteppedClock):
    """It stands between steps and says that it goes, so that what travels with mail is young until the next step."""

    rate = 1.0


class Site:
    """Everything of one run."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.clock = _Clock(START)
        self.server = MemoryServer()
        loop = asyncio.get_running_loop()
        self.tables = Tables(LeaseTable(loop.time, PARTITIONS))
        self.tables.journeys = {journey.journey_id: journey for journey in JOURNEYS}
        self.sources: dict[int, Source] = {
            source: Source(source, self.server, self.clock, self.chance) for source in MailSource
        }
        segment = Segment(self.sources[MailSource.SEGMENT], self.clock, seed)
        gateway = Gateway(self.sources[MailSource.GATEWAY], self.clock, self.chance, segment.profile)
        self.services = Services(segment, Points(self.clock), gateway, self.chance)
        self.stats = Stats(
            {
                "journey": self.tables.history,
                "gateway": self.services.gateway.history,
                "points": self.services.points.entries,
                "segment": self.services.segment.facts,
            },
            self.chance,
        )
        self.marks = Marks(self.services.gateway.history, self.services.segment, self.chance)
        count = self.chance.random.randint(1, 5)
        self.crowd = [next(islice(customers(n % len(PARTITIONS)), n, None)) for n in range(count)]
        for customer_id in self.crowd:
            self._become_known(customer_id)
        self.processes: list[Process] = []
        self.gone: list[Process] = []
        self.accepted_by: dict[UUID, int] = {}
        self.deaths: list[BaseException] = []

    # -- what happens -----------------------------------------------------------------------------------------------

    def _become_known(self, customer_id: UUID) -> None:
        """Most have a phone and are on the channel; some are not, and some have left it."""
        chance = self.chance.random
        phone = None if chance.random() < NO_PHONE else f"+886{customer_id.int % 10**9:09d}"
        self.services.segment.add(
            customer_id,
            phone,
            on_channel=chance.random() >= NOT_ON_CHANNEL,
            blocked=chance.random() < LEFT_CHANNEL,
        )

    def order(self, customer_id: UUID) -> None:
        """A customer checks out."""
        number = len(self.services.segment.reports)
        self.services.segment.order(
            customer_id, f"order {number}", self.chance.random.randint(1, 60) * 1_000_000
        )

    def refund(self) -> None:
        """Part of an order, or all of it, is given back; an order may have several refunds."""
        chance, reports = self.chance.random, self.services.segment.reports
        orders = [event for event in reports if isinstance(event.body, OrderCompleted)]
        if not orders:
            return
        event = chance.choice(orders)
        assert isinstance(event.body, OrderCompleted)
        assert event.selector.customer_id is not None
        part = event.body.amount_micros * chance.randint(10, 100) // 100
        refund_id = f"refund {len(reports)}"
        self.services.segment.refund(event.selector.customer_id, refund_id, event.body.order_id, part)

    def report_again(self) -> None:
        """A shop reports what it has reported before, however long ago."""
        reports = self.services.segment.reports
        if reports and self.chance.strikes("an old report again", 1.0):
            self.services.segment.report(self.chance.random.choice(reports))

    def trigger(self, customer_id: UUID) -> None:
        """Another function enrols a customer."""
        source = self.sources[MailSource.JOURNEY]
        source.record(customer_id, SystemTrigger(SYSTEM, uuid5(customer_id, f"call {len(source.mails)}")))

    def stop_journey(self) -> None:
        """A person stops a journey: first its status, then the sends that did not start."""
        journey = self.tables.journeys[STOPPABLE]
        if journey.status is JourneyStatus.ACTIVE:
            epoch = journey.stop_epoch + 1
            self.tables.change_journey(STOPPABLE, status=JourneyStatus.STOPPING, stop_epoch=epoch)
            self.services.gateway.stop(STOPPABLE, epoch)
            self.chance.note("journey stopped")

    def step(self, by: timedelta) -> None:
        """Domain time goes on, and the workers hear of it."""
        self.clock.advance(by)
        for process in self.processes:
            process.worker.wake()

    def start_process(self) -> None:
        """One more worker."""
        name = f"worker {len(self.processes) + len(self.gone)}"
        self.processes.append(
            Process(
                name,
                self.chance,
                server=self.server,
                tables=self.tables,
                services=self.services,
                sources=self.sources,
                clock=self.clock,
            )
        )

    async def bury(self) -> None:
        """Takes away the processes that died."""
        for process in [process for process in self.processes if process.door.dead]:
            self.processes.remove(process)
            self.gone.append(process)
            self.deaths += await process.ended()

    # -- the story --------------------------------------------------------------------------------------------------

    async def run(self) -> Stuck | None:
        """The whole story; afterwards everything is at rest, or the reason why it is not."""
        relays = [asyncio.ensure_future(source.relay()) for source in self.sources.values()]
        relays += [asyncio.ensure_future(run()) for run in (self.stats.run, self.marks.run) for _ in range(2)]
        for _ in range(self.chance.random.randint(1, 2)):
            self.start_process()
        for _ in range(self.chance.random.randint(4, 24)):
            await asyncio.sleep(self.chance.some(3.0))
            await self._something()
        try:
            return await self._come_to_rest()
        finally:
            self.deaths += [f for relay in relays if relay.done() and (f := relay.exception()) is not None]
            for process in self.processes:
                process.door.die()
            await self.bury()

    async def _something(self) -> None:
        chance = self.chance.random
        happens: dict[Callable[[], None], int] = {
            lambda: self.order(self._anybody()): 40,
            lambda: self.services.segment.toggle(self._anybody(), "vip"): 10,
            lambda: self.services.segment.leave(self._anybody()): 6,
            lambda: self.services.segment.join(self._anybody()): 6,
            lambda: self.services.segment.unbind(self._anybody()): 3,
            lambda: self.trigger(self._anybody()): 10,
            lambda: self.step(timedelta(minutes=chance.choice([1, 30, 61, 240]))): 20,
            self.refund: 6,
            self.report_again: 4,
            self._wipe_mailboxes: 4,
            self._take_mailboxes_away: 4,
            self._poison: 8,
            lambda: self.stop_journey() if chance.random() < 0.3 else None: 4,
        }
        chance.choices(list(happens), list(happens.values()))[0]()
        self._ask_again()
        await self.bury()
        if not self.processes or (len(self.processes) < 3 and chance.random() < 0.1):
            self.start_process()

    def _ask_again(self) -> None:
        """Now and then everybody is taken for an orphan: whoever asks again in vain does nothing twice."""
        if self.chance.strikes("everybody taken for an orphan", 0.1):
            for process in self.processes:
                process.worker.ask_again({key for key, _ in self.tables.live()})

    def _anybody(self) -> UUID:
        return self.chance.random.choice(self.crowd)

    def _wipe_mailboxes(self) -> None:
        if self.chance.strikes("mailboxes wiped", 1.0):
            self.server.wipe()

    def _take_mailboxes_away(self) -> None:
        if self.chance.strikes("mailboxes away", 1.0):
            self.server.available = False
            asyncio.get_running_loop().call_later(self.chance.some(5.0), self._mailboxes_back)

    def _poison(self) -> None:
        if self.chance.strikes("poison", 0.3):
            self.services.poisoned.add(self._anybody())

    def _mailboxes_back(self) -> None:
        self.server.available = True

    async def _come_to_rest(self) -> Stuck | None:
        """No more faults: whatever happened, everybody has to arrive."""
        self.chance.calm = True
        self._mailboxes_back()
        self.services.poisoned.clear()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + STORY_MAX_S / 2
        while loop.time() < give_up_at:
            await asyncio.sleep(0.5)
            await self.bury()
            if not self.processes:
                self.start_process()
            await self._unpark()
            if self._busy():
                continue
            if not any(True for _ in self.tables.live()):
                if self.stats.behind or self.marks.behind:
                    continue
                return None
            following = self._next_timer()
            if following is None:
                return Stuck(f"nobody wakes {[enrolment for _, enrolment in self.tables.live()]}")
            self.step(max(following - self.clock.now(), timedelta()))
        return Stuck(self._busy() or "timers without end")

    def _next_timer(self) -> datetime | None:
        return min((e.wake_at for _, e in self.tables.live() if e.wake_at is not None), default=None)

    def _busy(self) -> str:
        for source, kept in self.sources.items():
            if kept.delivered < len(kept.mails):
                return f"{MailSource(source).name} still delivers"
        if self.services.gateway.in_flight:
            return "sends are in flight"
        held = {p: list(part.boxes) for p, part in self.server.partitions.items() if part.boxes}
        if held:
            return f"mail lies in mailboxes: {held}"
        following = self._next_timer()
        if following is not None and following <= self.clock.now():
            return "a timer is due"
        stopping = [j for j in self.tables.journeys.values() if j.status is JourneyStatus.STOPPING]
        return "a journey is stopping" if stopping else self._untaken()

    def _untaken(self) -> str:
        for key, numbers in self.numbers().items():
            actor = self.tables.actors.get(key)
            if actor is None or any(actor.taken.get(s, 0) != n for s, n in numbers.items()):
                # A mailbox that was wiped is repaired at the next look of its owner.
                return f"mail was not taken: {actor and actor.taken} of {numbers} of {key.customer_id}"
        return ""

    def numbers(self) -> dict[ActorKey, dict[int, int]]:
        """Last number of the mail recorded, by customer and source."""
        numbers: dict[ActorKey, dict[int, int]] = {}
        for mail in self.mails():
            key = ActorKey(mail.partition, mail.team_id, mail.customer_id)
            numbers.setdefault(key, {})[mail.source] = mail.number
        return numbers

    def mails(self) -> Iterator[Mail]:
        """All mail ever recorded, source by source."""
        for source in self.sources.values():
            yield from source.mails

    async def _unpark(self) -> None:
        """As an operator does: parked customers try again with the mail that they have not taken."""
        for key in list(self.tables.parked):
            del self.tables.parked[key]
            actor = self.tables.actors.get(key)
            for number, source in self.sources.items():
                taken = actor.taken.get(number, 0) if actor else 0
                more = True
                while more:
                    mails, more = await source.of_customer(TEAM, key.customer_id, taken)
                    await InMemoryMailbox(self.server).deliver(mails)
                    taken = mails[-1].number if mails else taken


def run(seed: int) -> tuple[Site | None, list[str]]:
    """One run; returns it with everything that was found wrong."""
    from tests.sim.invariants import faults_of  # noqa: PLC0415 - it reads the site

    loop = VirtualLoop(seconds_max=STORY_MAX_S)  # type: ignore[abstract]  # asyncio asks for no more
    made: list[Site] = []

    async def main() -> Stuck | None:
        made.append(Site(seed))
        return await made[0].run()

    with _quiet_logs():
        try:
            stuck = loop.run(main())
        except Stalled as stalled:
            return (made[0] if made else None), [f"stalled: {stalled}"]
    wrong = [f"stuck: {stuck.why}"] if stuck else []
    wrong += [f"a task died: {fault!r}" for fault in [*made[0].deaths, *loop.faults]]
    return made[0], wrong or faults_of(made[0])


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Faults by the thousand are what a simulation is for; nobody wants to read them."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), processors=[])
    try:
        yield
    finally:
        structlog.configure(**before)


def partition_key(customer_id: UUID) -> ActorKey:
    """A customer as the store knows them."""
    return ActorKey(partition_of(TEAM, customer_id), TEAM, customer_id)
