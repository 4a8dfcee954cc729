"""The recorder: what the database refuses of one send keeps no other outcome from being recorded."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.backoff import Backoff
from libs.common.clock import SteppedClock
from services.channel_gateway.clients.channels import line_rules, meta_rules, page_rules
from services.channel_gateway.clients.channels.base import WAIT_MAX_S, Attempt, RetryPolicy, Verdict, plain
from services.channel_gateway.domain.model import DeliveryOutcome, Job, Reason, SendState
from services.channel_gateway.store.deliveries import Postponement
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.outcomes import Settlement
from services.channel_gateway.worker import outcomes
from services.channel_gateway.worker.attempts import AttemptClassifier
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.outcomes import Recorder
from tests.unit.channel_gateway.build import NOW, account, job

SENT = DeliveryOutcome(SendState.SENT)


class Table:
    """Refuses what has bad texts, and everything of the keys `hopeless`."""

    def __init__(self) -> None:
        self.settled: dict[int, tuple[SendState, str, list[str]]] = {}
        self.postponed: set[int] = set()
        self.hopeless: set[int] = set()
        self.asked_again: set[int] = set()

    async def settle(self, items: Sequence[Settlement], now: datetime, sender: UUID) -> Written:
        for each, outcome in items:
            texts = [*each.message_ids, outcome.reason]
            if any("\0" in text for text in texts) or each.effect_key.int in self.hopeless:
                raise ValueError("the table does not take it")
        for each, outcome in items:
            self.settled[each.effect_key.int] = (outcome.state, outcome.reason, each.message_ids)
        return Written([], {})

    async def postpone(self, items: Sequence[Postponement], sender: UUID) -> set[UUID]:
        if any(item.job.effect_key.int in self.hopeless for item in items):
            raise ValueError("the table does not take it")
        self.postponed |= {item.job.effect_key.int for item in items}
        return {item.job.effect_key for item in items}


class Publisher:
    """Publishes nothing."""

    def publish(self, *_: Any) -> None:
        """See `CommitPublisher`."""


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries are counted here, not waited for."""
    monkeypatch.setattr(outcomes, "_RETRIES", Backoff(0.001, 0.01, spread=0.5))


async def recorded(table: Table, notes: Callable[[Recorder], None]) -> tuple[list[int], list[int]]:
    """Has the recorder record; the keys that it released, and those that go on."""
    released: list[int] = []
    later: list[int] = []

    def release(jobs: Iterable[Job]) -> None:
        released.extend(each.effect_key.int for each in jobs)

    def postponed(items: Sequence[Postponement]) -> None:
        later.extend(item.job.effect_key.int for item in items)

    clock = SteppedClock(NOW)
    recorder = Recorder(
        *(UUID(int=9), table, clock, Publisher()),  # type: ignore[arg-type]  # what it asks of them
        lambda: 0,
        works_on=lambda job: job.effect_key.int not in table.asked_again,
    )
    notes(recorder)
    recorder.finish()
    await recorder.run(postponed, release)
    return released, later


def numbered(number: int, **changes: Any) -> Job:
    return job(effect_key=UUID(int=number), **changes)


@pytest.mark.rule("C-20d")
async def test_an_outcome_that_the_table_refuses_is_recorded_without_what_the_channel_said() -> None:
    table = Table()

    def notes(recorder: Recorder) -> None:
        recorder.settle(numbered(1, message_ids=["m1"]), SENT)
        recorder.settle(numbered(2, message_ids=["a\0"]), SENT)
        recorder.settle(numbered(3), DeliveryOutcome(SendState.FAILED, "code\0"))
        recorder.settle(numbered(4), DeliveryOutcome(SendState.SKIPPED, Reason.BLOCKED))

    released, _ = await recorded(table, notes)
    assert table.settled == {
        1: (SendState.SENT, "", ["m1"]),
        2: (SendState.SENT, "", []),
        3: (SendState.FAILED, Reason.INTERNAL, []),
        4: (SendState.SKIPPED, Reason.BLOCKED, []),
    }
    assert released == [1, 2, 3, 4]


async def test_an_outcome_that_cannot_be_recorded_at_all_stays_and_the_others_go_on() -> None:
    table = Table()
    table.hopeless = {2}

    def notes(recorder: Recorder) -> None:
        for number in (1, 2, 3):
            recorder.settle(numbered(number), SENT)

    released, _ = await recorded(table, notes)
    assert sorted(table.settled) == released == [1, 3]


async def test_an_outcome_of_a_send_that_was_asked_for_again_settles_nothing() -> None:
    table = Table()
    table.asked_again = {2}

    def notes(recorder: Recorder) -> None:
        for number in (1, 2, 3):
            recorder.settle(numbered(number), SENT)

    await recorded(table, notes)
    assert sorted(table.settled) == [1, 3]


async def test_a_send_whose_next_attempt_cannot_be_noted_ends_and_the_others_are_tried_again() -> None:
    table = Table()
    table.hopeless = {2, 3}

    def notes(recorder: Recorder) -> None:
        recorder.postpone(numbered(1), 1.0)
        recorder.postpone(numbered(2), 1.0)
        recorder.postpone(numbered(3, doubtful=True), 1.0)
        table_settles_everything(table)

    _, later = await recorded(table, notes)
    assert later == [1]
    assert table.settled == {
        2: (SendState.FAILED, Reason.INTERNAL, []),
        3: (SendState.UNKNOWN, Reason.INTERNAL, []),
    }


def table_settles_everything(table: Table) -> None:
    """It takes outcomes of those whose postponement it refuses."""
    refused = table.hopeless

    async def settle(items: Sequence[Settlement], now: datetime, sender: UUID) -> Written:
        for each, outcome in items:
            assert each.effect_key.int in refused
            table.settled[each.effect_key.int] = (outcome.state, outcome.reason, each.message_ids)
        return Written([], {})

    table.settle = settle  # type: ignore[method-assign]


async def test_what_a_channel_says_of_an_account_and_cannot_be_recorded_holds_up_no_outcome() -> None:
    table = Table()

    async def broken() -> Written:
        raise ValueError("the table does not take it")

    def notes(recorder: Recorder) -> None:
        recorder.trouble(UUID(int=1), broken)
        recorder.settle(numbered(1), SENT)

    await recorded(table, notes)
    assert list(table.settled) == [1]


ALL_RULES = (
    *(each.rule for each in line_rules.RULES),
    *meta_rules.WHATSAPP.values(),
    *page_rules.MESSENGER.values(),
    *page_rules.INSTAGRAM.values(),
    *(rules.NOT_SENT for rules in (line_rules, meta_rules, page_rules)),
    line_rules.NO_ANSWER,
    line_rules.rule_for(599, ""),
    meta_rules.whatsapp_rule(9_999, 500),
)
"""What answers mean."""


class Noted(Recorder):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.ends: list[tuple[Job, DeliveryOutcome]] = []
        self.again: list[Job] = []
        self.delays_s: list[float] = []

    def settle(self, job: Job, outcome: DeliveryOutcome) -> None:
        self.ends.append((job, outcome))

    def trouble(self, key: UUID, record: Callable[[], Awaitable[Written]]) -> None:
        raise AssertionError(f"{key}, {record}")

    def postpone(self, job: Job, delay_s: float) -> None:
        self.again.append(job)
        self.delays_s.append(delay_s)


OPEN = Attempt(Verdict.RETRY, "LINE_500", doubtful=True)
BUSY = Attempt(Verdict.RETRY, "LINE_429")


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize(
    ("attempts", "end"),
    [
        ([OPEN] * 6, SendState.UNKNOWN),
        ([OPEN, *[BUSY] * 5], SendState.UNKNOWN),
        ([BUSY] * 6, SendState.FAILED),
        ([OPEN, Attempt(Verdict.FAILED, "LINE_400")], SendState.FAILED),
    ],
)
def test_a_send_that_may_have_left_is_not_failed_by_later_answers_that_only_put_it_off(
    attempts: list[Attempt], end: SendState
) -> None:
    noted, job, lane = Noted(), numbered(1), Lane(account(), 0.0)
    classifier = AttemptClassifier(noted, noted, random.Random(1))  # type: ignore[arg-type]  # nothing else is asked
    for number, attempt in enumerate(attempts, start=1):
        job.attempts = number
        classifier.classify(lane, job, attempt)
    assert [outcome.state for _, outcome in noted.ends] == [end]
    assert len(noted.again) == len(attempts) - 1


@pytest.mark.rule("C-03a")
@pytest.mark.parametrize(
    "policy",
    {id(rule.backoff): rule.backoff for rule in ALL_RULES if rule.verdict is Verdict.RETRY}.values(),
)
def test_no_send_is_tried_for_more_than_six_times_or_a_day_and_no_wait_has_no_bound(
    policy: RetryPolicy,
) -> None:
    def tried(attempts: int, age_s: float) -> tuple[list[DeliveryOutcome], list[float]]:
        noted = Noted()
        job = numbered(1, attempts=attempts, began_s=time.monotonic() - age_s)
        lane = Lane(account(), time.monotonic())
        attempt = Attempt(Verdict.RETRY, "CODE", backoff=policy, wait_s=WAIT_MAX_S)
        AttemptClassifier(noted, noted, random.Random(1)).classify(lane, job, attempt)  # type: ignore[arg-type]
        return [outcome for _, outcome in noted.ends], noted.delays_s

    failed = [DeliveryOutcome(SendState.FAILED, "CODE")]
    most = policy.attempts_max
    assert most <= 6
    for attempts in range(1, most):
        ends, (delay_s,) = tried(attempts, 0.0)
        assert ends == []
        assert delay_s <= 6 * 3_600.0
    assert tried(most, 0.0) == (failed, [])
    assert tried(1, 24 * 3_600.0 - 60.0)[0] == []
    assert tried(1, 24 * 3_600.0) == (failed, [])


def test_what_a_channel_calls_a_message_is_kept_as_text_that_the_table_takes() -> None:
    noted = Noted()
    odd = "a\0b\ud800c\n" + "d" * 500
    AttemptClassifier(noted, noted, None).classify(  # type: ignore[arg-type]  # nothing else of them is asked
        Lane(account(), 0.0), numbered(1), Attempt(Verdict.SENT, message_id=odd)
    )
    ((settled, _),) = noted.ends
    assert settled.message_ids == ["a b?c " + "d" * 194]


@pytest.mark.parametrize("text", ["", "plain", "a\0b", "\ud83d", "line\nbreak", "x" * 999, "名前"])
def test_texts_of_channels_are_printable_and_short(text: str) -> None:
    kept = plain(text, 100)
    assert kept.isprintable()
    assert len(kept) <= 100
    kept.encode()
