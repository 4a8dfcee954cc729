"""Traces of events: those that a service hands on, those that a caller shows, and the share that is sampled here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from libs.common import tracing
from libs.common.callers import caller
from omnijourney.segment.v1 import event_pb2
from services.segment.convert.events import ReadEvent
from services.segment.domain.model import Event
from services.segment.domain.results import EventResult

_SPANS: Final = tracing.Spans("segment")


class EventTraces:
    """Of the events of one call."""

    def __init__(self, messages: Sequence[event_pb2.CustomerEvent], context: Any) -> None:
        """As they came, with the call's context."""
        self._began_ns = tracing.now_ns()
        self._messages = messages
        self._is_internal = caller().is_internal
        self._is_on = tracing.is_on()
        self._of_call = None
        if self._is_on and not self._is_internal:
            self._of_call = tracing.shown_in(context.invocation_metadata())
        self._written: list[tuple[int, Event, bytes | None]] = []
        """Events that are traced: their places among those that are recorded, and the spans above."""

    def put_on(self, read: Sequence[ReadEvent]) -> Sequence[ReadEvent]:
        """The events, with the traces that they are on."""
        if not self._is_on and not (self._is_internal and any(each.traceparent for each in self._messages)):
            return read
        return [self._traced(place, each) for place, each in enumerate(read)]

    def _traced(self, place: int, read: ReadEvent) -> ReadEvent:
        event = read.event
        if not isinstance(event, Event):
            return read
        above = self._above(self._messages[place])
        context = tracing.below(above) if above is not None else None
        if context is None and not self._is_internal:
            context = tracing.sampled(event.team_id.bytes, event.event_key.encode())
        if context is None:
            return read
        event = msgspec.structs.replace(event, trace=context)
        self._written.append((place, event, above))
        return read._replace(event=event)

    def _above(self, message: event_pb2.CustomerEvent) -> bytes | None:
        if self._is_internal:
            return tracing.read_traceparent(message.traceparent)
        return (tracing.shown(message.traceparent) if message.traceparent else None) or self._of_call

    def write(self, answers: Sequence[EventResult]) -> None:
        """The spans of the events, given the answers to all of the call's."""
        for place, event, above in self._written:
            if event.trace is None or not self._is_on:
                continue
            answer = answers[place]
            attributes: dict[str, str | int] = {
                "team_id": str(event.team_id),
                "customer_id": str(answer.customer_id or ""),
                "event": type(event.body).__name__,
                "status": answer.status.name,
                "reason": answer.reason,
                "batch_size": len(self._messages),
            }
            _SPANS.write("segment.event", event.trace, above, self._began_ns, attributes)
