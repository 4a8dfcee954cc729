"""Contexts of traces: who is sampled, what callers show, and what it costs where nobody collects."""

from collections.abc import Iterator

import msgspec
import pytest

from libs.common import tracing
from libs.common.mailbox import mail as m
from libs.common.tracing import CONTEXT_BYTES, SHOWN_PER_S, Span, Spans
from libs.testing.mails import Numberer, customers

SHOWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONTEXT = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7")


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    """Takes all spans, with half of all sampled."""
    taken: list[Span] = []
    tracing.collect(taken.append, 0.5)
    yield taken
    tracing.collect(None)


@pytest.mark.rule("X-04b")
def test_a_traceparent_is_read_and_written_as_w3c_has_it() -> None:
    assert tracing.read_traceparent(SHOWN) == CONTEXT
    assert tracing.traceparent_of(CONTEXT) == SHOWN
    assert tracing.trace_id_of(CONTEXT) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "odd",
    [
        SHOWN[:-1] + "0",  # not sampled
        SHOWN.replace("00-4bf", "01-4bf"),
        SHOWN + "-more",
        SHOWN.upper(),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "",
        "x" * 100_000,
    ],
)
def test_what_is_not_sampled_or_no_traceparent_is_passed_over(odd: str) -> None:
    assert tracing.read_traceparent(odd) is None


def test_a_context_of_another_length_is_none() -> None:
    assert tracing.read_context(CONTEXT) == CONTEXT
    assert tracing.read_context(b"") is tracing.read_context(CONTEXT + b"x") is None


@pytest.mark.rule("X-04b")
def test_the_same_name_is_sampled_or_not_wherever_it_comes_by(spans: list[Span]) -> None:
    first = [tracing.sampled(b"team", str(n).encode()) for n in range(2_000)]
    assert first == [tracing.sampled(b"team", str(n).encode()) for n in range(2_000)]
    assert 900 < sum(context is not None for context in first) < 1_100
    assert {len(context) for context in first if context} == {CONTEXT_BYTES}
    tracing.collect(spans.append, 0.25)
    fewer = [tracing.sampled(b"team", str(n).encode()) for n in range(2_000)]
    assert all(few == context for few, context in zip(fewer, first, strict=True) if few), (
        "a lower share is a part"
    )


@pytest.mark.rule("X-04b")
def test_callers_get_so_many_traces_and_no_more(spans: list[Span], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.tracing.time.monotonic", lambda: 1e9)
    found = [tracing.shown_in([("traceparent", SHOWN)]) for _ in range(SHOWN_PER_S + 5)]
    assert found == [CONTEXT] * SHOWN_PER_S + [None] * 5
    assert tracing.shown_in([("other", SHOWN)]) is tracing.shown_in(None) is None


@pytest.mark.rule("X-04b")
def test_where_nobody_collects_nothing_is_sampled_and_contexts_go_on_as_they_are() -> None:
    assert not tracing.is_on()
    assert all(tracing.sampled(str(n).encode()) is None for n in range(100))
    assert tracing.shown(SHOWN) is tracing.shown_in([("traceparent", SHOWN)]) is None
    assert tracing.below(CONTEXT) is CONTEXT
    Spans("journey").write("x", CONTEXT, None, 0, {})


def test_a_span_below_is_of_the_same_trace(spans: list[Span]) -> None:
    Spans("stats").write_below("stats.count", [CONTEXT], 5, {"batch_size": 3})
    (span,) = spans
    assert (span.service, span.parent, span.began_ns, span.attributes) == (
        "stats",
        CONTEXT,
        5,
        {"batch_size": 3},
    )
    assert span.context[:16] == CONTEXT[:16]
    assert span.context != CONTEXT
    assert span.ended_ns > span.began_ns


@pytest.mark.rule("X-04b")
def test_mail_takes_a_context_along_and_costs_a_byte_without_one() -> None:
    mail = Numberer().mail(next(customers()))
    traced = msgspec.structs.replace(mail, trace=CONTEXT)
    assert m.decode(m.encode(traced)) == traced
    assert len(m.encode(traced)) - len(m.encode(mail)) == 1 + CONTEXT_BYTES
    assert m.encode(mail)[-1:] == b"\xc0", "nil in its place"
