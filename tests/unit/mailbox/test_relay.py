"""Every committed mail is delivered, whoever dies, forgets or overtakes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common import tasks
from libs.common.backoff import Backoff
from libs.common.errors import ResourceExhausted
from libs.common.ids import PARTITIONS
from libs.common.mailbox import InMemoryMailbox, MailRelay, MemoryServer, relay
from libs.common.mailbox.api import Trim
from libs.common.mailbox.intake import Intake
from libs.common.mailbox.mail import Mail, MailSource
from libs.testing.mails import TEAM, Numberer, customers

P = 7
PATIENCE_S = 30.0


class Source:
    """A source with its store in memory: `commit` is all that a crash cannot undo."""

    def __init__(self) -> None:
        self.post = Numberer()
        self.committed: list[Mail] = []
        self.cursors: dict[int, int] = {}
        self.reads = 0
        self.available = True

    def commit(self, customer_id: UUID, count: int = 1) -> list[Mail]:
        """Record mails in one transaction."""
        mails = [self.post.mail(customer_id) for _ in range(count)]
        self.committed += mails
        return mails

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        self.check()
        self.reads += 1
        await asyncio.sleep(0)
        after = [m for m in self.committed if m.partition in cursors and m.position > cursors[m.partition]]
        return sorted(after, key=lambda m: (m.partition, m.position))[:limit]

    async def load_cursors(self) -> dict[int, int]:
        self.check()
        return dict(self.cursors)

    async def save_cursors(self, cursors: Mapping[int, int]) -> None:
        self.check()
        for partition, position in cursors.items():
            assert self.cursors.get(partition, 0) <= position, "a cursor went back"
            self.cursors[partition] = position

    def check(self) -> None:
        if not self.available:
            raise ConnectionResetError("the database is away")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_BACKOFF", Backoff(0.001, 0.01))
    monkeypatch.setattr(relay, "SWEEP_INTERVAL_S", 0.05)


@asynccontextmanager
async def relaying(source: Source, server: MemoryServer) -> AsyncIterator[MailRelay]:
    """A running relay that has caught up; drained at the end."""
    made = MailRelay(MailSource.SEGMENT, InMemoryMailbox(server), source)
    async with tasks.running(made, name="relay"):
        yield made


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


def lying(server: MemoryServer, customer_id: UUID) -> list[int]:
    """Numbers in a customer's mailbox, doubles dropped as the actor drops them."""
    partition = server.partitions[Numberer().mail(customer_id).partition]
    arrived = [mail.number for _, mail in partition.boxes.get((TEAM, customer_id), [])]
    return list(dict.fromkeys(arrived))


ANN, BOB = islice(customers(P), 2)
PAT = next(customers(P + 1))


async def test_submitted_mail_arrives_in_order_without_a_read_of_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "SWEEP_INTERVAL_S", 3_600.0)  # a machine that stalls would see a sweep
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        reads = source.reads
        for _ in range(100):
            running.submit(source.commit(ANN))
            running.submit(source.commit(PAT, 2))
        assert running.pending == 300
        await until(lambda: running.pending == 0)
        assert source.reads == reads
    assert lying(server, ANN) == list(range(1, 101))
    assert lying(server, PAT) == list(range(1, 201))
    assert source.cursors == {P: 100, P + 1: 200}


async def test_what_an_earlier_process_left_comes_first() -> None:
    source, server = Source(), MemoryServer()
    source.commit(ANN, 1_200)
    async with relaying(source, server) as running:
        running.submit(source.commit(ANN))
        await until(lambda: running.pending == 0)
        assert lying(server, ANN) == list(range(1, 1_202))


async def test_a_commit_that_nobody_heard_of_is_found_by_the_next() -> None:
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        source.commit(ANN)  # the connection broke: its process does not know that it committed
        running.submit(source.commit(ANN))
        await until(lambda: running.pending == 0)
        assert lying(server, ANN) == [1, 2]


async def test_a_commit_that_nobody_heard_of_is_found_by_the_sweep() -> None:
    source, server = Source(), MemoryServer()
    async with relaying(source, server):
        source.commit(ANN)
        await until(lambda: lying(server, ANN) == [1])
        source.commit(BOB, 1_100)
        await until(lambda: lying(server, BOB) == list(range(1, 1_101)))


async def test_transactions_that_overtake_each_other_on_the_way_here() -> None:
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        first, second = source.commit(ANN), source.commit(ANN)
        running.submit(second)
        running.submit(first)
        await until(lambda: running.pending == 0)
        box = server.partitions[P].boxes[TEAM, ANN]
        assert [mail.number for _, mail in box] == [1, 2]


@pytest.mark.rule("X-04b")
async def test_mail_that_is_read_from_the_store_goes_on_with_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "TRACES_MAX", 2)
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        mails = [source.commit(ANN) for _ in range(4)]
        contexts = [None, *(letter * 24 for letter in (b"a", b"b", b"c"))]
        for (mail,), context in reversed(list(zip(mails, contexts, strict=True))):
            running.submit([msgspec.structs.replace(mail, trace=context)])
        await until(lambda: running.pending == 0)
        assert lying(server, ANN) == [1, 2, 3, 4]
        traces = {mail.number: mail.trace for _, mail in server.partitions[P].boxes[TEAM, ANN]}
        assert traces == {1: None, 2: contexts[1], 3: contexts[2], 4: None}, (
            "the last two of them are remembered"
        )


async def test_rows_without_mail_are_no_gap_where_ranges_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SWEEP_INTERVAL_S", 3_600.0)  # a machine that stalls would see a sweep
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        reads = source.reads
        source.post.skip(P, 2)
        running.submit([], {P: (1, 2)})
        running.submit(source.commit(ANN), {P: (3, 3)})
        source.post.skip(P, 1)
        running.submit([], {P: (4, 4)})
        running.submit(source.commit(ANN, 2), {P: (5, 6)})
        await until(lambda: running.pending == 0)
        assert source.reads == reads
    assert source.cursors == {P: 6}


async def test_rows_without_mail_cost_one_read_where_no_ranges_are_given() -> None:
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        source.post.skip(P, 3)
        running.submit(source.commit(ANN))
        running.submit(source.commit(ANN))
        await until(lambda: running.pending == 0)
        assert lying(server, ANN) == [1, 2]
    assert source.cursors == {P: 5}


async def test_a_full_queue_is_read_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "QUEUE_MAX", 10)
    source, server = Source(), MemoryServer()
    server.available = False
    async with relaying(source, server) as running:
        for _ in range(40):
            running.submit(source.commit(ANN))
        assert 10 <= running.pending <= 10 + PARTITIONS
        server.available = True
        await until(lambda: running.pending == 0)
        assert lying(server, ANN) == list(range(1, 41))


async def test_servers_that_are_away_are_waited_for() -> None:
    source, server = Source(), MemoryServer()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
        server.available = source.available = False
        running.submit(source.commit(ANN))
        running.submit(source.commit(BOB))
        await asyncio.sleep(0.02)
        assert running.pending == 2
        server.available = True
        await until(lambda: running.pending == 0)
        source.available = True
    assert (lying(server, ANN), lying(server, BOB)) == ([1], [1])
    assert source.cursors == {P: 2}


async def test_drain_does_not_wait_for_ever() -> None:
    source, server = Source(), MemoryServer()
    made = MailRelay(MailSource.SEGMENT, InMemoryMailbox(server), source, drain_grace_s=0.05)
    async with tasks.running(made, name="relay"):
        server.available = False
        made.submit(source.commit(ANN))
    server.available = True
    async with relaying(source, server):
        await until(lambda: lying(server, ANN) == [1])


async def test_a_relay_that_died_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    source, server = Source(), MemoryServer()

    async def broken(cursors: Mapping[int, int], limit: int) -> list[Mail]:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(source, "fetch_after", broken)
    made = MailRelay(MailSource.SEGMENT, InMemoryMailbox(server), source)
    with pytest.raises(ValueError, match="a fault of ours"):
        await asyncio.wait_for(made.run(asyncio.Event()), PATIENCE_S)
    with pytest.raises(RuntimeError, match="SEGMENT died"):
        made.submit([])
    with pytest.raises(RuntimeError, match="SEGMENT died"):
        assert made.pending


_EVENTS = st.lists(
    st.sampled_from(
        ["submit", "unheard", "late", "without mail", "crash", "yield", "server away", "server back"]
    ),
    max_size=40,
)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(events=_EVENTS)
def test_nothing_is_lost_and_order_holds_whatever_happens(events: list[str]) -> None:
    asyncio.run(_play(events))


class Running:
    """A relay in a task, which stops or is cut off."""

    def __init__(self, source: Source, server: MemoryServer) -> None:
        self.relay = MailRelay(MailSource.SEGMENT, InMemoryMailbox(server), source)
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self.relay.run(self._stopping))

    async def crash(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        self._stopping.set()
        await self._task


async def _play(events: list[str]) -> None:
    source, server = Source(), MemoryServer()
    everybody = [ANN, BOB, PAT]
    running = Running(source, server)
    late: list[list[Mail]] = []
    for step, event in enumerate(events):
        customer_id = everybody[step % 3]
        match event:
            case "submit":
                running.relay.submit(source.commit(customer_id, 1 + step % 3))
            case "unheard":
                source.commit(customer_id)
            case "late":
                late.append(source.commit(customer_id))
            case "without mail":
                source.post.skip(P)
            case "server away" | "server back":
                server.available = event == "server back"
            case "crash":
                await running.crash()
                running, late = Running(source, server), []
            case _:
                await asyncio.sleep(0)
        if len(late) > 1:
            running.relay.submit(late.pop(0))
    server.available = True
    await until(lambda: all(lying(server, c) == _expected(source, c) for c in everybody))
    await running.stop()


def _expected(source: Source, customer_id: UUID) -> list[int]:
    return [mail.number for mail in source.committed if mail.customer_id == customer_id]


# ---- bounds ----


@asynccontextmanager
async def bounded(source: Source, server: MemoryServer, high: int) -> AsyncIterator[MailRelay]:
    """A running relay that leaves at most about `high` mails in a partition."""
    made = MailRelay(MailSource.SEGMENT, InMemoryMailbox(server), source, mails_max=high * PARTITIONS)
    async with tasks.running(made, name="relay"):
        yield made


def held(server: MemoryServer, customer_id: UUID) -> int:
    """Mails in a customer's mailbox, doubles among them."""
    partition = server.partitions[Numberer().mail(customer_id).partition]
    return len(partition.boxes.get((TEAM, customer_id), []))


async def work_off(server: MemoryServer, count: int) -> None:
    """Takes and trims, as the owner does, until so many mails of partition P are done with."""
    owner = InMemoryMailbox(server)
    await owner.claim([(P, 1)])
    await owner.repaired([(P, 1)])
    while count > 0:
        for box in (await owner.take([(P, 1)], 10, count)).taken:
            await owner.trim([Trim(P, 1, box.team_id, box.customer_id, box.last_entry_id)])
            count -= len(box.mails)
        await asyncio.sleep(0.001)


async def test_a_full_partition_gets_no_more_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "HELD_LOOK_S", 0.005)
    source, server = Source(), MemoryServer()
    async with bounded(source, server, 4) as running:
        await until(lambda: running.pending == 0)
        for _ in range(50):
            running.submit(source.commit(ANN))
        await until(lambda: running.held_partitions == 1)
        await until(lambda: not running._queue)
        # The high mark, what goes between two looks (a hundredth of 256), and one batch.
        assert 4 <= held(server, ANN) <= 8
        running.submit(source.commit(PAT))
        await until(lambda: held(server, PAT) == 1)
        assert running.pending > 0
        assert running.backlog == 50 - held(server, ANN)
        arrived = lying(server, ANN)
        for _ in range(48):
            await work_off(server, 1)
            arrived += [number for number in lying(server, ANN) if number not in arrived]
            await asyncio.sleep(0.005)
            assert held(server, ANN) <= 8
        await until(lambda: running.pending == 0)
        arrived += [number for number in lying(server, ANN) if number not in arrived]
    assert arrived == list(range(1, 51))
    assert source.cursors == {P: 50, P + 1: 1}


async def test_a_held_partition_is_read_on_by_the_next_process() -> None:
    source, server = Source(), MemoryServer()
    async with bounded(source, server, 2) as running:
        for _ in range(20):
            running.submit(source.commit(ANN))
        await until(lambda: running.held_partitions == 1)
    server.partitions[P].boxes.clear()
    server.partitions[P].ready.clear()
    async with relaying(source, server) as running:
        await until(lambda: running.pending == 0)
    assert lying(server, ANN)[-1] == 20


async def test_input_from_outside_is_refused_while_too_much_waits() -> None:
    source, server = Source(), MemoryServer()
    async with bounded(source, server, 1) as running:
        intake = Intake(running, 10)
        while running.backlog < 10:
            intake.check()
            running.submit(source.commit(ANN))
            await asyncio.sleep(0.002)
        with pytest.raises(ResourceExhausted) as refused:
            intake.check()
        assert refused.value.retry_after_s
        assert len(source.committed) == 10 + held(server, ANN)
