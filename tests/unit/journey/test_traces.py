"""Traces in journeys: carried by enrolments that are sampled, and of no weight for all others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from libs.common import tracing
from libs.common.feeds.journey_records import read_record
from libs.common.ids import driver_id
from libs.common.tracing import Span
from libs.testing.mails import Numberer
from services.journey.convert.effects import send_message
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment, EnrolmentState, WaitReason
from services.journey.domain.memory import Memory
from services.journey.domain.model import ActorKey, Channel
from services.journey.domain.turn import Actor, RunSegment, TurnResult
from services.journey.store import packed
from services.journey.store.turn_rows import commit_rows
from services.journey.worker.turn_traces import TurnTraces

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAM, CUSTOMER, JOURNEY = (driver_id(UUID(int=number)) for number in (1, 2, 3))
KEY = ActorKey(3, TEAM, CUSTOMER)
CONTEXT = bytes(range(1, 25))
LIVE = Enrolment(
    *(driver_id(UUID(int=9)), JOURNEY, TEAM, CUSTOMER, driver_id(UUID(int=8)), 0, AT),
    node_id="wait",
    wait=WaitReason.DELAY,
    wake_at=AT + timedelta(days=1),
)
TRACED = msgspec.structs.replace(LIVE, trace=CONTEXT)


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    """Takes all spans."""
    taken: list[Span] = []
    tracing.collect(taken.append, 1.0)
    yield taken
    tracing.collect(None)


def result(enrolment: Enrolment) -> TurnResult:
    segment = RunSegment(JOURNEY, enrolment.enrolment_id, True, (), EnrolmentState.LIVE, AT)
    actor = Actor(TEAM, CUSTOMER, {}, {})
    return TurnResult(actor, None, False, (enrolment,), (segment,), (), {}, frozenset())


@pytest.mark.rule("X-04b")
@pytest.mark.parametrize("memory", [None, Memory(AT, data={"code": "A7"})])
def test_a_traced_enrolment_keeps_its_trace_while_it_waits(memory: Memory | None) -> None:
    row = packed.LiveRow(msgspec.structs.replace(TRACED, memory=memory), AT, listed=True)
    ((found,), _) = packed.read_state(TEAM, CUSTOMER, packed.pack_state([row], {}), None)
    assert found == row


@pytest.mark.rule("X-04b")
def test_all_others_are_stored_as_they_were() -> None:
    def fields(enrolment: Enrolment) -> int:
        _, ((*values,),), _ = msgspec.msgpack.decode(packed.pack_state([packed.LiveRow(enrolment, AT)], {}))
        return len(values)

    assert (fields(LIVE), fields(msgspec.structs.replace(LIVE, memory=Memory(AT))), fields(TRACED)) == (
        11,
        12,
        13,
    )
    rows = commit_rows({KEY: result(LIVE)}, {}, AT)
    assert len(msgspec.msgpack.decode(rows.records.rows()[0].body)) == 5


@pytest.mark.rule("X-04b")
def test_records_say_which_traces_had_a_part_in_them() -> None:
    (record,) = commit_rows({KEY: result(TRACED)}, {}, AT).records.rows()
    assert read_record(record.body).traces == [CONTEXT]


@pytest.mark.rule("X-04b")
def test_a_send_takes_the_trace_along() -> None:
    send = fx.Send(
        *(
            UUID(int=7),
            TEAM,
            CUSTOMER,
            LIVE.enrolment_id,
            JOURNEY,
            "send",
            Channel.LINE,
            UUID(int=6),
            UUID(int=5),
        ),
        *(None, None, None, 0),
    )
    assert send_message(send).trace_context == b""
    assert send_message(msgspec.structs.replace(send, trace=CONTEXT)).trace_context == CONTEXT


@pytest.mark.rule("X-04b")
def test_what_mail_begins_hangs_on_the_turn_that_took_it(spans: list[Span]) -> None:
    plain = Numberer(team_id=TEAM).mail(CUSTOMER)
    mail = msgspec.structs.replace(plain, trace=CONTEXT)
    traces = TurnTraces()
    untraced, traced = traces.put_on(KEY, [plain, mail])
    assert untraced is plain
    assert traced.trace is not None
    assert traced.trace[:16] == CONTEXT[:16] != traced.trace
    begun = msgspec.structs.replace(LIVE, trace=traced.trace)
    other = msgspec.structs.replace(LIVE, trace=b"o" * 24)
    traces.write({KEY: msgspec.structs.replace(result(begun), enrolments=(begun, other, LIVE))})
    took, began, went_on = spans
    assert (took.name, took.context, took.parent) == ("journey.mail", traced.trace, CONTEXT)
    assert (began.name, began.parent, began.links) == ("journey.turn", traced.trace, [])
    assert (went_on.parent, went_on.links) == (other.trace, [traced.trace])
    assert began.attributes["enrolment_id"] == str(LIVE.enrolment_id)


@pytest.mark.rule("X-04b")
def test_where_nobody_takes_spans_mail_goes_on_as_it_is() -> None:
    mails = [msgspec.structs.replace(Numberer(team_id=TEAM).mail(CUSTOMER), trace=CONTEXT)]
    traces = TurnTraces()
    assert traces.put_on(KEY, mails) is mails
    traces.write({KEY: result(TRACED)})
