"""One process of the journey service: the real worker, its calls led through a door where faults stand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from libs.common.clock import SteppedClock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.serving import MailPage
from libs.common.mailbox.api import PutBack, QuietMarks, Refusals, TakeResult, Trim
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.mail import Mail
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.common.rpc.operations import Progress
from libs.testing.leases import InMemoryLeaseKeeper
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.mail import MailReader
from services.journey.domain import effects as fx
from services.journey.domain.model import JourneyStatus
from services.journey.worker.actors import Worker
from services.journey.worker.catalog import JourneyCatalog
from services.journey.worker.checkouts import BatchLimits
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.turns import TurnRunner
from tests.sim.chance import Chance, Crashed
from tests.sim.services import Services
from tests.sim.source import Source
from tests.sim.turn_store import InMemoryTurnStore, Tables

LEASE_S: Final = 4.0
CALL_MAX_S: Final = 0.05
"""Longest ordinary call, virtual seconds."""
SMALL_BATCHES: Final = BatchLimits(customers_max=5, mail_max=3)
"""So low that a handful of customers reaches them."""
T = TypeVar("T")


class Door:
    """Every call that leaves the process goes through: here it is delayed, fails, or is the process's last."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._awake = asyncio.Event()
        self._awake.set()

    async def call(self, what: str, work: Callable[[], Awaitable[T]], fault: type[Exception]) -> T:
        """Makes the call. A fault comes before it took effect, or after: then the answer is lost."""
        await self._pass(f"before {what}", fault)
        answer = await work()
        await self._pass(f"after {what}", fault)
        return answer

    async def _pass(self, where: str, fault: type[Exception]) -> None:
        self.check()
        await asyncio.sleep(self.chance.some(CALL_MAX_S))
        if self.chance.strikes(f"killed {where}", 0.004):
            self.die()
        if self.chance.strikes(f"asleep past its lease {where}", 0.003):
            self.fall_asleep(LEASE_S * 2)
        await self._awake.wait()
        self.check()
        if self.chance.strikes(f"{fault.__name__} {where}", 0.008):
            raise fault(f"injected {where}")

    def check(self) -> None:
        """Raises `Crashed` in whatever still runs of a dead process."""
        if self.dead:
            raise Crashed

    def die(self) -> None:
        """As `kill -9`: from now on nothing leaves the process."""
        self.dead = True
        self._awake.set()
        for task in self.tasks:
            task.cancel()

    def fall_asleep(self, seconds: float) -> None:
        """The process stands still, and then goes on as if nothing had been."""
        self._awake.clear()
        asyncio.get_running_loop().call_later(seconds, self._awake.set)


class DoorMailbox(InMemoryMailbox):
    """The process's mailbox. As the real one it settles with the server what calls that failed left open."""

    def __init__(self, server: MemoryServer, door: Door) -> None:
        super().__init__(server)
        self._door = door
        self._open: list[Callable[[], Awaitable[object]]] = []

    async def _call(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        return await self._door.call(what, work, MailboxUnavailable)

    async def claim(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox`."""
        return await self._call("claim", lambda: InMemoryMailbox.claim(self, partitions))

    async def repaired(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox`."""
        return await self._call("repaired", lambda: InMemoryMailbox.repaired(self, partitions))

    async def deliver(self, mails: Sequence[Mail]) -> None:
        """See `Mailbox`."""
        await self._call("deliver", lambda: InMemoryMailbox.deliver(self, mails))

    async def take(
        self, partitions: Sequence[tuple[int, int]], customers_max: int, mail_max: int, *in_bytes: int
    ) -> TakeResult:
        """See `Mailbox`."""
        self._door.check()
        while self._open:
            await self._open[0]()
            del self._open[0]
        result: list[TakeResult] = []

        async def work() -> TakeResult:
            result.append(await InMemoryMailbox.take(self, partitions, customers_max, mail_max, *in_bytes))
            return result[0]

        try:
            return await self._call("take", work)
        except MailboxUnavailable:
            epochs = dict(partitions)
            taken = [
                PutBack(t.partition, epochs[t.partition], t.team_id, t.customer_id)
                for found in result
                for t in found.taken
            ]
            self._open.append(lambda: InMemoryMailbox.put_back(self, taken))
            raise

    async def trim(self, items: Sequence[Trim]) -> dict[int, QuietMarks]:
        """See `Mailbox`."""
        try:
            return await self._call("trim", lambda: InMemoryMailbox.trim(self, items))
        except MailboxUnavailable:
            self._open.append(lambda: InMemoryMailbox.trim(self, items))
            raise

    async def put_back(self, items: Sequence[PutBack]) -> None:
        """See `Mailbox`."""
        try:
            await self._call("put back", lambda: InMemoryMailbox.put_back(self, items))
        except MailboxUnavailable:
            self._open.append(lambda: InMemoryMailbox.put_back(self, items))
            raise


class DoorStore:
    """The process's store: each method of `InMemoryTurnStore` through the door."""

    def __init__(self, tables: Tables, door: Door) -> None:
        self._store = InMemoryTurnStore(tables)
        self._door = door

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, name)

        async def through(*arguments: Any) -> Any:
            return await self._door.call(name, lambda: method(*arguments), ConnectionError)

        return through


class DoorEffects:
    """The process's way to the other services. A call may fail after the other side did the work."""

    def __init__(self, services: Services, door: Door) -> None:
        self._services = services
        self._door = door

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """See `Effects`; each service is a call of its own."""
        answers: dict[int, fx.Answer | Exception] = {}
        for kind in sorted({type(effect).__name__ for effect in effects}):
            places = [i for i, effect in enumerate(effects) if type(effect).__name__ == kind]
            replies = await self._ask(kind, [effects[i] for i in places])
            answers.update(zip(places, replies, strict=True))
        return [answers[i] for i in range(len(effects))]

    async def _ask(self, kind: str, effects: Sequence[fx.Effect]) -> Sequence[fx.Answer | Exception]:
        async def work() -> list[fx.Answer | Exception]:
            return self._services.answer(effects)

        try:
            return await self._door.call(kind, work, ServiceUnavailable)
        except ServiceUnavailable as error:
            return [error] * len(effects)


class DoorReader:
    """The process's repair read of one source."""

    def __init__(self, source: Source, door: Door) -> None:
        self._source = source
        self._door = door

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> MailPage:
        """See `MailReader`."""
        work = self._source.of_customer
        return await self._door.call(
            "gap read", lambda: work(team_id, customer_id, after_number), ServiceUnavailable
        )

    async def of_partition(self, partition: int, after_position: int) -> MailPage:
        """See `MailReader`."""
        work = self._source.of_partition
        return await self._door.call(
            "repair read", lambda: work(partition, after_position), ServiceUnavailable
        )


class Zones:
    """Every team is in UTC."""

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        return dict.fromkeys(teams, "UTC")


class Process:
    """A worker with its leases and its part of the schedule, from start to death."""

    def __init__(
        self,
        name: str,
        chance: Chance,
        *,
        server: MemoryServer,
        tables: Tables,
        services: Services,
        sources: Mapping[int, Source],
        clock: SteppedClock,
    ) -> None:
        """Runs at once."""
        self.name = name
        self.door = Door(chance)
        self._tables = tables
        loop = asyncio.get_running_loop()
        mailbox = DoorMailbox(server, self.door)
        store: Any = DoorStore(tables, self.door)
        readers: dict[int, MailReader] = {n: DoorReader(source, self.door) for n, source in sources.items()}
        self.worker = Worker(
            mailbox=mailbox,
            store=store,
            runner=TurnRunner(
                store=store,
                catalog=JourneyCatalog(store, Zones()),
                effects=DoorEffects(services, self.door),
                readers=readers,
                clock=clock,
                notifier=CommitNotifier(),
                real_time=loop.time,
            ),
            repair=MailboxRepair(mailbox, store, readers),
            clock=clock,
            progress=Progress(),
            real_time=loop.time,
            limits=SMALL_BATCHES,
        )
        keeper = InMemoryLeaseKeeper(
            tables.leases, self.worker.set_leases, lease_s=LEASE_S, worker_id=self.name
        )
        self.door.tasks = [
            loop.create_task(self.worker.run(asyncio.Event())),
            loop.create_task(self._keep(keeper)),
            loop.create_task(self._schedule()),
        ]

    async def _keep(self, keeper: InMemoryLeaseKeeper) -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                await self.door.call("renewal", keeper.renew, ConnectionError)
            await asyncio.sleep(LEASE_S / 3)

    async def _schedule(self) -> None:
        """Ends stops, and tells the worker of those that have not ended."""
        while True:
            stopping = [
                (journey.team_id, journey.journey_id)
                for journey in list(self._tables.journeys.values())
                if journey.status is JourneyStatus.STOPPING
                and not self._tables.settle_stop(journey.journey_id)
            ]
            self.worker.set_stopping(stopping)
            await asyncio.sleep(0.5)

    async def ended(self) -> list[BaseException]:
        """Waits for the end of everything in it; returns what ended it against its will."""
        results = await asyncio.gather(*self.door.tasks, return_exceptions=True)
        expected = (Crashed, asyncio.CancelledError)
        return [r for r in results if isinstance(r, BaseException) and not isinstance(r, expected)]
