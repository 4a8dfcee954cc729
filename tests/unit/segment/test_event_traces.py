"""Traces of events: who brings one, who is sampled, and that a report is the same with and without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common import tracing
from libs.common.callers import ITSELF, Caller, caller, set_caller
from libs.common.tracing import Span
from omnijourney.common.v1.scope_pb2 import SCOPE_WRITE
from omnijourney.segment.v1 import event_pb2
from services.segment.convert.events import ReadEvent
from services.segment.convert.facts import mail_of
from services.segment.domain.events import NO_SUCH_TEAM
from services.segment.domain.facts import Fact, TagApplied
from services.segment.domain.keys import content_of, content_of_event, digest_of
from services.segment.domain.model import Event, OrderCompleted, Selector, TeamInteracted
from services.segment.servicer.event_traces import EventTraces

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAM = UUID(int=1)
SHOWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONTEXT = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7")
CLIENT = Caller.of(UUID(int=5), "shop", TEAM, [SCOPE_WRITE])
EVENT = Event(TEAM, "k", Selector(member_id="M"), AT, TeamInteracted())


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    """Takes all spans; nobody is sampled."""
    taken: list[Span] = []
    tracing.collect(taken.append, 0.0)
    yield taken
    tracing.collect(None)


@pytest.fixture
def as_client() -> Iterator[None]:
    """A call of a client."""
    before = caller()
    set_caller(CLIENT)
    yield
    set_caller(before)


def traced(traceparent: str = "", *metadata: tuple[str, str]) -> tuple[EventTraces, Event]:
    """An event as it comes, with the trace that it is on."""
    context: Any = SimpleNamespace(invocation_metadata=lambda: metadata)
    traces = EventTraces([event_pb2.CustomerEvent(traceparent=traceparent)], context)
    ((event, _),) = traces.put_on([ReadEvent(EVENT, ())])
    assert isinstance(event, Event)
    return traces, event


@pytest.mark.rule("X-04b")
@pytest.mark.parametrize(
    "body",
    [TeamInteracted(), OrderCompleted("s", "o", 1, "TWD"), OrderCompleted("s", "o", 1, "TWD", cart_id="c")],
)
def test_the_digest_of_a_report_is_what_it_was_with_or_without_a_trace(body: Any) -> None:
    event = msgspec.structs.replace(EVENT, body=body)
    *before_traces, _ = msgspec.structs.astuple(msgspec.structs.replace(event, body=content_of(body)))
    assert digest_of(content_of_event(event)) == digest_of(before_traces)
    assert digest_of(content_of_event(msgspec.structs.replace(event, trace=CONTEXT))) == digest_of(
        before_traces
    )


@pytest.mark.rule("X-04b")
def test_what_a_service_hands_on_goes_on_and_nothing_else_is_sampled(spans: list[Span]) -> None:
    assert caller() is ITSELF
    tracing.collect(spans.append, 1.0)
    assert traced()[1] is EVENT, "who handed it on has decided"
    traces, event = traced(SHOWN)
    assert event.trace is not None
    assert event.trace[:16] == CONTEXT[:16] != event.trace
    traces.write([NO_SUCH_TEAM])
    (span,) = spans
    assert (span.name, span.context, span.parent) == ("segment.event", event.trace, CONTEXT)


@pytest.mark.rule("X-04b")
@pytest.mark.usefixtures("as_client")
def test_a_client_is_traced_under_its_own_id_or_as_everybody_is(spans: list[Span]) -> None:
    for _, event in (traced(SHOWN), traced("", ("traceparent", SHOWN))):
        assert event.trace is not None
        assert event.trace[:16] == CONTEXT[:16]
    assert traced()[1] is EVENT
    tracing.collect(spans.append, 1.0)
    assert traced()[1].trace == tracing.sampled(TEAM.bytes, b"k")


@pytest.mark.rule("X-04b")
def test_without_a_collector_services_hand_on_and_clients_are_not_heard() -> None:
    assert traced(SHOWN)[1].trace == CONTEXT
    set_caller(CLIENT)
    try:
        assert traced(SHOWN, ("traceparent", SHOWN))[1] is EVENT
    finally:
        set_caller(ITSELF)


@pytest.mark.rule("X-04b")
def test_the_mail_of_a_fact_is_on_the_trace_of_its_report() -> None:
    fact = Fact(0, TEAM, UUID(int=2), UUID(int=3), AT, AT, 0, 1, TagApplied("vip"), trace=CONTEXT)
    mail = mail_of(fact)
    assert mail is not None
    assert mail.trace == CONTEXT
