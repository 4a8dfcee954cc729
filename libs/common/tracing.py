"""Traces: one from what comes in to all that it leads to, across services, mailboxes and timers (ADR 69).

A context is CONTEXT_BYTES: the id of the trace, then that of the span above. Only what is sampled has one, so that all
else pays for no more than an absent field. Stages work in batches: each looks at the clock once before and once after,
and writes a span into each trace that went with the batch. Where nobody collects spans, all of this does nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from libs.common.token_bucket import TokenBucket

TRACE_ID_BYTES: Final = 16
CONTEXT_BYTES: Final = 24
"""Of a context: the id of the trace, and 8 bytes of the span above."""
TRACEPARENT_MAX: Final = 55
"""Characters of a W3C `traceparent` of the version that is known."""
SHOWN_PER_S: Final = 10
"""Traces a second that callers may ask for: each is paid for by whoever collects them."""
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1
_HALF: Final = 8
_WHOLE: Final = 1 << (8 * _HALF)

Attributes = Mapping[str, str | int]


class Span(NamedTuple):
    """What one stage did for one trace; times are nanoseconds of real time since 1970."""

    service: str
    name: str
    context: bytes
    parent: bytes | None
    """The span above; None for the first of a trace."""
    began_ns: int
    ended_ns: int
    attributes: Attributes
    links: Sequence[bytes] = ()
    """Spans of other traces that had a part in it."""


class _Collecting:
    """Who takes the spans of this process, and how much is sampled."""

    take: Callable[[Span], None] | None = None
    ratio: float = 0.0
    shown = TokenBucket(SHOWN_PER_S, SHOWN_PER_S, 0.0)


def collect(take: Callable[[Span], None] | None, ratio: float = 0.0) -> None:
    """From now on `take` gets the process's spans, and the given share of what comes in is sampled. None: nobody does,
    and nothing is. Callers may ask for `SHOWN_PER_S` traces anew."""
    _Collecting.take = take
    _Collecting.shown = TokenBucket(SHOWN_PER_S, SHOWN_PER_S, 0.0)
    _Collecting.ratio = ratio if take is not None else 0.0


def is_on() -> bool:
    """Whether somebody takes spans: else there is nothing to look for."""
    return _Collecting.take is not None


def now_ns() -> int:
    """Real time, as spans have it."""
    return time.time_ns()  # noqa: TID251 - what happened when, to people and to other programs


def sampled(*names: bytes) -> bytes | None:
    """The context of the first span for what has these names, if it is sampled: the same names, the same answer."""
    digest = hashlib.blake2b(b"\0".join(names), digest_size=CONTEXT_BYTES).digest()
    # The share is taken by the low half of the trace's id, as OpenTelemetry takes it.
    share = int.from_bytes(digest[_HALF:TRACE_ID_BYTES])
    return digest if share < _Collecting.ratio * _WHOLE else None


def shown(traceparent: str) -> bytes | None:
    """The context that a caller shows, where it is sampled and there is room for it."""
    context = read_traceparent(traceparent)
    if context is None or not is_on() or not _Collecting.shown.take(time.monotonic()):
        return None
    return context


def shown_in(metadata: Iterable[tuple[str, str | bytes]] | None) -> bytes | None:
    """The same, of a call's metadata."""
    if not is_on():
        return None
    for key, value in metadata or ():
        if key == "traceparent" and isinstance(value, str):
            return shown(value)
    return None


def read_traceparent(text: str) -> bytes | None:
    """The context of a `traceparent`; None for one that is not sampled, or is none."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None or not int(match[3], 16) & _SAMPLED:
        return None
    context = bytes.fromhex(match[1] + match[2])
    return context if any(context[:TRACE_ID_BYTES]) and any(context[TRACE_ID_BYTES:]) else None


def traceparent_of(context: bytes) -> str:
    """A context as W3C writes it."""
    return f"00-{context[:TRACE_ID_BYTES].hex()}-{context[TRACE_ID_BYTES:].hex()}-01"


def read_context(given: bytes) -> bytes | None:
    """A context that came with a message of ours; None for none, and for what is none."""
    return given if len(given) == CONTEXT_BYTES else None


def trace_id_of(context: bytes | None) -> str:
    """As people look it up; empty for no trace."""
    return context[:TRACE_ID_BYTES].hex() if context else ""


def below(context: bytes) -> bytes:
    """A new span of the trace; where nobody takes spans, the one above: nothing hangs on one that is missing."""
    return context[:TRACE_ID_BYTES] + os.urandom(_HALF) if is_on() else context


class Spans:
    """Writes the spans of one service."""

    def __init__(self, service: str) -> None:
        """By the service's name."""
        self._service = service

    def write(
        self,
        name: str,
        context: bytes,
        parent: bytes | None,
        began_ns: int,
        attributes: Attributes,
        *,
        links: Sequence[bytes] = (),
    ) -> None:
        """Writes a span that ends now; its context is its own, `below` another one or the first of a trace."""
        if _Collecting.take is not None:
            _Collecting.take(
                Span(self._service, name, context, parent, began_ns, now_ns(), attributes, links)
            )

    def write_below(
        self,
        name: str,
        parents: Iterable[bytes],
        began_ns: int,
        attributes: Attributes,
        links: Sequence[bytes] = (),
    ) -> None:
        """Writes a span on which nothing hangs below each of these."""
        if _Collecting.take is not None:
            for parent in parents:
                self.write(name, below(parent), parent, began_ns, attributes, links=links)
