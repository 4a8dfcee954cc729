"""Dispatch: recorded as in flight before the request, refused where nothing may leave, every end is heard of."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.clock import SteppedClock
from services.channel_gateway.clients.channels.base import KEY_AGE_MAX_S, Attempt, Verdict
from services.channel_gateway.clients.channels.line import LineWriter
from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    Channel,
    ConnectionKind,
    DeliveryOutcome,
    Job,
    Reason,
    SendState,
)
from services.channel_gateway.store.deliveries import Marked
from services.channel_gateway.worker.dispatch import Dispatcher
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.queue import SendQueue
from tests.unit.channel_gateway.build import NOW, account, job

SENT = Attempt(Verdict.SENT, message_id="m")
PLENTY = account(concurrency_max=256, rate_per_second=10_000)
SENDER = UUID(int=99)


class Wire:
    """The channel, the table and the recorder of a dispatcher, and what happened there, in order."""

    repeatable = True
    at_once = None
    writer = LineWriter()

    def __init__(self, adapter: Any = None) -> None:
        self.happened: list[tuple[str, Any]] = []
        self.stopped_keys: set[UUID] = set()
        self.not_ours: set[UUID] = set()
        self.unwanted: set[UUID] = set()
        self.clock = SteppedClock(NOW)
        self.known: dict[tuple[UUID, UUID], Account] = {}
        """Accounts as the database has them."""
        self.away = False
        """The database."""
        self.answer: Callable[[Job], Attempt] = lambda _: SENT
        self.free = asyncio.Event()
        self.free.set()
        """Cleared: requests stay on the wire."""
        self.queue = SendQueue(lane_max=100, at_once=lambda _: adapter is not None)
        self.dispatcher = Dispatcher(
            sender_id=SENDER,
            queue=self.queue,
            store=self,
            accounts=self,
            adapters={ConnectionKind.LINE: adapter or self},
            fence=self,
            clock=self.clock,
            classifier=self,
            settle=self.settle,
        )

    async def mark_in_flight(self, jobs: Sequence[Job], sender: UUID) -> Marked:
        assert sender == SENDER
        self.happened.append(("recorded", {each.effect_key.int for each in jobs}))
        keys = frozenset(each.effect_key for each in jobs)
        return Marked(keys - self.not_ours - self.unwanted, keys & self.unwanted)

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        if self.away:
            raise ConnectionResetError
        return {key: self.known[key] for key in keys if key in self.known}

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        self.happened.append(("request", job.effect_key.int))
        await self.free.wait()
        return self.answer(job)

    async def check(self, account: Account) -> tuple[bool, str]:
        raise AssertionError("dispatch checks no accounts")

    def stopped(self, job: Job) -> bool:
        return job.effect_key in self.stopped_keys

    @contextlib.contextmanager
    def on_wire(self, job: Job) -> Iterator[None]:
        yield

    def classify(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        self.happened.append(("attempt", (job.effect_key.int, attempt.verdict)))

    def settle(self, job: Job, outcome: DeliveryOutcome) -> None:
        self.happened.append(("settled", (job.effect_key.int, outcome.state, outcome.reason)))

    def offer(self, *jobs: Job, which: Account = PLENTY) -> None:
        self.queue.offer(jobs, [which])

    async def work(self) -> None:
        """Sends what may leave, and waits for the answers."""
        while await self.dispatcher.step():
            pass
        while self.dispatcher.attempt_count:
            await asyncio.sleep(0)

    def of_kind(self, kind: str) -> list[Any]:
        return [what for each, what in self.happened if each == kind]


def numbered(number: int, **changes: Any) -> Job:
    return job(effect_key=UUID(int=number), **changes)


async def test_a_send_is_recorded_as_in_flight_before_its_request() -> None:
    wire = Wire()
    wire.offer(numbered(1))
    await wire.work()
    assert wire.happened == [("recorded", {1}), ("request", 1), ("attempt", (1, Verdict.SENT))]


async def test_what_waits_together_is_recorded_together() -> None:
    wire = Wire()
    wire.offer(numbered(1), numbered(2), numbered(3))
    await wire.work()
    assert wire.of_kind("recorded") == [{1, 2, 3}]
    assert wire.of_kind("request") == [1, 2, 3]


async def test_a_send_that_is_not_ours_any_more_does_not_leave() -> None:
    wire = Wire()
    wire.not_ours = {UUID(int=1)}
    wire.offer(numbered(1), numbered(2))
    await wire.work()
    assert wire.of_kind("request") == [2]
    assert wire.of_kind("settled") == [], "it is settled where it was taken to"
    assert wire.queue.checked_out(numbered(1).team_id) == [UUID(int=2)]
    assert wire.queue.in_flight_count(PLENTY.channel) == 0


@pytest.mark.rule("S-08a")
async def test_who_wants_no_messages_by_then_gets_none_of_what_waited() -> None:
    wire = Wire()
    wire.unwanted = {UUID(int=1)}
    wire.offer(numbered(1), numbered(2))
    await wire.work()
    assert wire.of_kind("request") == [2]
    assert wire.of_kind("settled") == [(1, SendState.SKIPPED, Reason.OPTED_OUT)]
    assert wire.queue.in_flight_count(PLENTY.channel) == 0


async def test_what_may_not_leave_is_settled_and_never_recorded_as_in_flight() -> None:
    wire = Wire()
    wire.stopped_keys = {UUID(int=1)}
    wire.offer(numbered(1), numbered(2, not_after=NOW))
    await wire.work()
    assert wire.of_kind("settled") == [
        (1, SendState.CANCELLED, "JOURNEY_STOPPED"),
        (2, SendState.DEFERRED, Reason.DO_NOT_DISTURB),
    ]
    assert wire.of_kind("recorded") == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [(AccountState.DISABLED, Reason.ACCOUNT_DISABLED), (AccountState.UNUSABLE, Reason.ACCOUNT_UNUSABLE)],
)
async def test_sends_of_an_account_that_is_not_active_fail(state: AccountState, reason: Reason) -> None:
    wire = Wire()
    wire.offer(numbered(1), which=account(state=state))
    await wire.work()
    assert wire.happened == [("settled", (1, SendState.FAILED, reason))]


async def test_stop_and_window_are_looked_at_once_more_right_before_the_request() -> None:
    wire = Wire()

    async def meanwhile(jobs: Sequence[Job], sender: UUID) -> Marked:
        wire.stopped_keys = {UUID(int=1)}
        wire.clock.advance(timedelta(hours=1))
        return Marked(frozenset(each.effect_key for each in jobs))

    wire.mark_in_flight = meanwhile  # type: ignore[method-assign]  # what happens while the commit is under way
    wire.offer(numbered(1), numbered(2, not_after=NOW + timedelta(minutes=1)), numbered(3))
    await wire.work()
    assert wire.of_kind("request") == [3]
    assert [what[:2] for what in wire.of_kind("settled")] == [
        (1, SendState.CANCELLED),
        (2, SendState.DEFERRED),
    ]


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_doubtful_send_that_may_not_be_repeated_is_unknown(*, repeatable: bool) -> None:
    wire = Wire()
    wire.repeatable = repeatable
    wire.stopped_keys = {UUID(int=1)}
    forgotten_s = time.monotonic() - KEY_AGE_MAX_S
    wire.offer(
        numbered(1, doubtful=True),
        numbered(2, doubtful=True, not_after=NOW),
        numbered(3, doubtful=True, not_after=NOW, began_s=forgotten_s),
    )
    await wire.work()
    quiet = SendState.DEFERRED if repeatable else SendState.UNKNOWN
    assert [what[1] for what in wire.of_kind("settled")] == [SendState.UNKNOWN, quiet, SendState.UNKNOWN]


@pytest.mark.rule("C-04a")
async def test_what_may_have_left_is_not_repeated_when_its_key_may_be_forgotten() -> None:
    wire = Wire()
    now_s = time.monotonic()
    ages_s = {1: KEY_AGE_MAX_S, 2: KEY_AGE_MAX_S - 600.0}
    wire.offer(*(numbered(each, doubtful=True, began_s=now_s - age_s) for each, age_s in ages_s.items()))
    wire.offer(numbered(3, began_s=now_s - KEY_AGE_MAX_S))
    await wire.work()
    assert wire.of_kind("settled")[0] == (1, SendState.UNKNOWN, Reason.NO_ANSWER)
    assert wire.of_kind("request") == [2, 3], "of the third it is known that nothing left"


async def test_an_attempt_that_breaks_off_in_our_own_code_is_unknown_and_holds_up_nobody() -> None:
    wire = Wire()

    def broken(which: Job) -> Attempt:
        if which.effect_key.int == 1:
            raise ZeroDivisionError
        return SENT

    wire.answer = broken
    wire.offer(numbered(1), numbered(2))
    await wire.work()
    assert wire.of_kind("attempt") == [(1, Verdict.UNKNOWN), (2, Verdict.SENT)]
    assert wire.queue.in_flight_count(PLENTY.channel) == 0


async def test_an_answer_that_cannot_be_read_and_a_channel_without_adapter_hold_up_nobody() -> None:
    wire = Wire()
    read = wire.classify

    def broken(lane: Lane, job: Job, attempt: Attempt) -> None:
        if job.effect_key.int == 1:
            raise KeyError(attempt.verdict)
        read(lane, job, attempt)

    wire.classify = broken  # type: ignore[method-assign]  # a fault of ours
    unknown = account(Channel.WHATSAPP, account_id=UUID(int=5), concurrency_max=8, rate_per_second=1_000)
    wire.offer(numbered(1), numbered(2))
    wire.offer(numbered(3, account_id=UUID(int=5), channel=Channel.WHATSAPP), which=unknown)
    await wire.work()
    assert wire.of_kind("attempt") == [(2, Verdict.SENT)]
    assert sorted(wire.of_kind("settled")) == [
        (1, SendState.UNKNOWN, Reason.INTERNAL),
        (3, SendState.FAILED, Reason.CHANNEL_UNSUPPORTED),
    ]
    assert wire.queue.in_flight_count(PLENTY.channel) == wire.queue.in_flight_count(unknown.channel) == 0


async def test_a_channel_that_breaks_off_at_once_holds_up_nobody() -> None:
    class Broken(SinkAdapter):
        def at_once(self, job: Job, part: int) -> Attempt:
            if job.effect_key.int == 1:
                raise ZeroDivisionError
            return super().at_once(job, part)

    wire = Wire(Broken())
    wire.offer(numbered(1), numbered(2))
    await wire.work()
    assert wire.of_kind("attempt") == [(1, Verdict.UNKNOWN), (2, Verdict.SENT)]


async def test_a_channel_that_answers_at_once_needs_no_task() -> None:
    wire = Wire(SinkAdapter())
    wire.offer(numbered(1))
    assert await wire.dispatcher.step()
    assert wire.happened == [("recorded", {1}), ("attempt", (1, Verdict.SENT))]


@pytest.mark.rule("X-05")
async def test_while_it_stops_it_starts_nothing_new_and_waits_for_the_answers() -> None:
    wire, stopping = Wire(), asyncio.Event()
    wire.free.clear()
    wire.offer(numbered(1))
    run = asyncio.create_task(wire.dispatcher.run(stopping))
    while not wire.of_kind("request"):
        await asyncio.sleep(0)
    stopping.set()
    wire.queue.wake()
    wire.offer(numbered(2))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not run.done(), "a request is on the wire"
    idle = account(account_id=UUID(int=5))
    assert wire.queue.claim([numbered(3)], [idle]).states == [SendState.ACCEPTED]
    wire.free.set()
    await run
    assert wire.of_kind("attempt") == [(1, Verdict.SENT)]


REFUSED = Attempt(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)


def renewed(**changes: Any) -> Account:
    """The account with another token."""
    connection = msgspec.structs.replace(PLENTY.connection, access_token="issued anew")
    return msgspec.structs.replace(PLENTY, connection=connection, version=PLENTY.version + 1, **changes)


@pytest.mark.rule("C-03c")
@pytest.mark.parametrize("known", ["here", "elsewhere"])
async def test_what_a_channel_refuses_of_a_token_that_was_issued_anew_is_repeated(known: str) -> None:
    """It was renewed while the request was on the wire; by this process, or by another one that it has not heard of."""
    wire = Wire()
    wire.free.clear()
    wire.answer = lambda _: REFUSED
    wire.offer(numbered(1))
    await wire.dispatcher.step()
    await asyncio.sleep(0)
    if known == "here":
        wire.queue.update_account(renewed())
    else:
        wire.known[PLENTY.team_id, PLENTY.account_id] = renewed()
    wire.free.set()
    await wire.work()
    assert wire.of_kind("attempt") == [(1, Verdict.RETRY)]
    (lane,) = wire.queue.used_lanes()
    assert lane.account == renewed(), "the next attempt has it"


@pytest.mark.rule("C-03c")
@pytest.mark.parametrize("known", ["same", "renamed", "gone", "away"])
async def test_what_a_channel_refuses_of_the_token_that_an_account_has_is_final(known: str) -> None:
    wire = Wire()
    wire.answer = lambda _: REFUSED
    wire.away = known == "away"
    renamed = msgspec.structs.replace(PLENTY, display_name="Another", version=PLENTY.version + 1)
    if known != "gone":
        wire.known[PLENTY.team_id, PLENTY.account_id] = renamed if known == "renamed" else PLENTY
    wire.offer(numbered(1))
    await wire.work()
    assert wire.of_kind("attempt") == [(1, Verdict.FAILED)]
