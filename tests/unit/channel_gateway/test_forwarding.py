"""What segment refuses is found, tried and set aside; what stands around it goes on, in order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from libs.common.backoff import Backoff
from libs.common.errors import Unavailable
from libs.common.rpc.errors import ERROR_DOMAIN, STATUS_KEY
from libs.common.rpc.operations import Progress
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.clients.services import (
    EventsRefusedError,
    Recorded,
    RefusalKind,
    _failure,
    _read_results,
)
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook, Worked
from services.channel_gateway.worker import forwarding
from services.channel_gateway.worker.forwarding import COLLISIONS_MAX, Course, Forwarding

TEAM = UUID(int=1)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Segment:
    """Takes events but for those that are at fault, and calls that are too large."""

    def __init__(self, events_max: int = 500) -> None:
        self.events_max = events_max
        self.at_fault: dict[str, RefusalKind] = {}
        self.away_after: int | None = None
        self.taken: list[str] = []
        self.calls = 0
        self.tries: dict[str, int] = {}

    async def record(self, events: Sequence[event_pb2.CustomerEvent], _: float) -> list[Recorded]:
        self.calls += 1
        if self.away_after is not None and self.calls > self.away_after:
            raise Unavailable.dependency("segment")
        if len(events) > self.events_max:
            raise EventsRefusedError(RefusalKind.TOO_LARGE, "MESSAGE_TOO_LARGE: too large")
        for event in events:
            if kind := self.at_fault.get(event.event_key):
                if len(events) == 1:
                    self.tries[event.event_key] = self.tries.get(event.event_key, 0) + 1
                raise EventsRefusedError(kind, "INTERNAL: cannot")
        self.taken += [event.event_key for event in events]
        return [Recorded(duplicate=False, reason="") for _ in events]


class Marks:
    """Remembers what was marked."""

    def __init__(self) -> None:
        self.worked: list[Worked] = []

    async def finish(self, worked: Sequence[Worked]) -> None:
        self.worked += worked

    @property
    def refused(self) -> dict[int, list[tuple[int, str]]]:
        return {item.webhook.sequence: list(item.refusals) for item in self.worked if item.refusals}


def webhook(sequence: int, *keys: str) -> ConvertedWebhook:
    stored = StoredWebhook(sequence, TEAM, InboxSource.SHOP, "demo", str(sequence), b"", NOW)
    return ConvertedWebhook(stored, [event_pb2.CustomerEvent(event_key=key) for key in keys], "")


def going(*, on: bool = True) -> Course:
    return Course(may_go_on=lambda: on, slow=lambda: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "_RETRIES", Backoff(0.001, 0.001))
    patient = (RefusalKind.FAILED, RefusalKind.SLOW, RefusalKind.COLLIDED)
    monkeypatch.setattr(forwarding, "PATIENCE_S", dict.fromkeys(patient, 0.02))


@pytest.mark.parametrize("kind", list(RefusalKind))
@pytest.mark.parametrize("place", [0, 251, 499])
async def test_one_of_five_hundred_is_set_aside_and_the_others_keep_their_order(
    kind: RefusalKind, place: int
) -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {str(place): kind}
    await Forwarding(segment, marks, Progress()).forward(
        [webhook(number, str(number)) for number in range(500)], going()
    )
    assert segment.taken == [str(number) for number in range(500) if number != place]
    assert marks.refused == {place: [(0, "INTERNAL: cannot")]}
    assert [item.webhook.sequence for item in marks.worked] == list(range(500))
    assert segment.calls < 60 + (COLLISIONS_MAX if kind is RefusalKind.COLLIDED else 0)


async def test_an_event_in_a_list_is_refused_by_itself() -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {"b": RefusalKind.FAILED, "e": RefusalKind.REFUSED}
    await Forwarding(segment, marks, Progress()).forward(
        [webhook(1, "a", "b", "c"), webhook(2, "d", "e"), webhook(3, "f")], going()
    )
    assert segment.taken == ["a", "c", "d", "f"]
    assert marks.refused == {1: [(1, "INTERNAL: cannot")], 2: [(1, "INTERNAL: cannot")]}


async def test_a_call_that_is_too_large_is_asked_for_in_smaller_ones_and_nothing_is_set_aside() -> None:
    segment, marks = Segment(events_max=7), Marks()
    await Forwarding(segment, marks, Progress()).forward(
        [webhook(number, f"{number}a", f"{number}b") for number in range(100)], going()
    )
    assert segment.taken == [f"{number}{which}" for number in range(100) for which in "ab"]
    assert marks.refused == {}


async def test_what_segment_says_of_an_event_is_final_and_what_failed_is_tried_again() -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {"refused": RefusalKind.REFUSED, "failed": RefusalKind.FAILED}
    await Forwarding(segment, marks, Progress()).forward(
        [webhook(1, "a"), webhook(2, "refused"), webhook(3, "b"), webhook(4, "failed")], going()
    )
    assert segment.tries["refused"] == 1
    assert segment.tries["failed"] >= forwarding.TRIES_MAX
    assert sorted(marks.refused) == [2, 4]


async def test_an_event_that_is_taken_at_a_later_try_is_not_set_aside() -> None:
    class Recovering(Segment):
        async def record(
            self, events: Sequence[event_pb2.CustomerEvent], deadline_s: float
        ) -> list[Recorded]:
            if self.tries.get("a") == 2:
                self.at_fault = {}
            return await super().record(events, deadline_s)

    segment, marks = Recovering(), Marks()
    segment.at_fault = {"a": RefusalKind.FAILED}
    await Forwarding(segment, marks, Progress()).forward([webhook(1, "a")], going())
    assert segment.taken == ["a"]
    assert marks.refused == {}


async def test_segment_that_goes_away_in_the_middle_leaves_the_rest_unmarked() -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {"20": RefusalKind.FAILED}
    segment.away_after = 3
    with pytest.raises(Unavailable):
        await Forwarding(segment, marks, Progress()).forward(
            [webhook(number, str(number)) for number in range(40)], going()
        )
    assert marks.refused == {}
    assert [item.webhook.sequence for item in marks.worked] == [int(key) for key in segment.taken]
    assert len(marks.worked) < 20


async def test_a_process_that_no_longer_forwards_sets_nothing_aside() -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {"a": RefusalKind.FAILED}
    with pytest.raises(Unavailable):
        await Forwarding(segment, marks, Progress()).forward([webhook(1, "a")], going(on=False))
    assert marks.worked == []


async def test_while_nothing_gets_through_each_event_is_tried_longer_than_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(forwarding, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr(forwarding, "PATIENCE_S", {RefusalKind.FAILED: 5.0})
    segment, marks = Segment(), Marks()
    keys = ["a", "b", "c", "d"]
    segment.at_fault = dict.fromkeys(keys, RefusalKind.FAILED)
    work = Forwarding(segment, marks, Progress())
    for number, key in enumerate(keys):
        await work.forward([webhook(number, key)], going())
    tries = [segment.tries[key] for key in keys]
    assert tries == sorted(tries)
    assert tries[3] > 3 * tries[0]


def failure(code: grpc.StatusCode, details: str = "") -> Exception:
    empty = grpc.aio.Metadata()
    return _failure(grpc.aio.AioRpcError(code, empty, empty, details=details))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, RefusalKind.REFUSED),
        (grpc.StatusCode.FAILED_PRECONDITION, RefusalKind.REFUSED),
        (grpc.StatusCode.NOT_FOUND, RefusalKind.REFUSED),
        (grpc.StatusCode.OUT_OF_RANGE, RefusalKind.REFUSED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, RefusalKind.TOO_LARGE),
        (grpc.StatusCode.INTERNAL, RefusalKind.FAILED),
        (grpc.StatusCode.UNKNOWN, RefusalKind.FAILED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, RefusalKind.SLOW),
    ],
)
def test_answers_that_may_be_an_events_fault(code: grpc.StatusCode, kind: RefusalKind) -> None:
    error = failure(code)
    assert isinstance(error, EventsRefusedError)
    assert error.kind is kind


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused"),
        (grpc.StatusCode.CANCELLED, ""),
        (grpc.StatusCode.UNAUTHENTICATED, ""),
        (grpc.StatusCode.PERMISSION_DENIED, ""),
        (grpc.StatusCode.UNIMPLEMENTED, ""),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"),
    ],
)
def test_answers_that_are_nobodys_fault(code: grpc.StatusCode, details: str) -> None:
    assert isinstance(failure(code, details), Unavailable)


def test_a_write_that_collides_is_that_events_and_not_segments() -> None:
    info = error_details_pb2.ErrorInfo(reason="WRITE_CONFLICT", domain=ERROR_DOMAIN)
    status = status_pb2.Status(code=grpc.StatusCode.ABORTED.value[0], message="others wrote")
    status.details.add().Pack(info)
    trailing = grpc.aio.Metadata((STATUS_KEY, status.SerializeToString()))
    error = _failure(grpc.aio.AioRpcError(grpc.StatusCode.ABORTED, grpc.aio.Metadata(), trailing, details=""))
    assert isinstance(error, EventsRefusedError)
    assert error.kind is RefusalKind.COLLIDED


@pytest.mark.parametrize(("reason", "kind"), [(7, RefusalKind.FAILED), (15, RefusalKind.COLLIDED)])
def test_an_event_that_failed_beside_others_is_not_refused_for_good(reason: int, kind: RefusalKind) -> None:
    taken = event_pb2.EventResult(status=event_pb2.EVENT_STATUS_ACCEPTED)
    refused = event_pb2.EventResult(status=event_pb2.EVENT_STATUS_REFUSED, reason=2)  # type: ignore[arg-type]
    failed = event_pb2.EventResult(status=event_pb2.EVENT_STATUS_REFUSED, reason=reason)  # type: ignore[arg-type]
    assert [each.reason for each in _read_results([taken, refused])] == ["", "RESOURCE_NOT_FOUND"]
    with pytest.raises(EventsRefusedError) as error:
        _read_results([taken, failed, refused])
    assert error.value.kind is kind


async def test_a_collision_that_passes_loses_nothing() -> None:
    segment, marks = Segment(), Marks()
    segment.at_fault = {"a": RefusalKind.COLLIDED}
    forwarding_of = Forwarding(segment, marks, Progress())
    asyncio.get_running_loop().call_later(0.005, segment.at_fault.clear)
    await forwarding_of.forward([webhook(1, "a"), webhook(2, "b")], going())
    assert sorted(segment.taken) == ["a", "b"]
    assert marks.refused == {}
