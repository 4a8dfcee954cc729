"""Traces of webhooks: sampled by what names them, so that who stores one and who works it agree (ADR 69)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from libs.common import tracing
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import InboxSource, Incoming

_SPANS: Final = tracing.Spans("channel_gateway")


def write_receipt(webhook: Incoming, began_ns: int) -> None:
    """The span of a webhook that was stored, the first of its trace."""
    context = _context_of(webhook.team_id, webhook.source, webhook.origin, webhook.webhook_id)
    if context is not None:
        attributes = _named(webhook.team_id, webhook.source, webhook.event_count)
        _SPANS.write("gateway.webhook", context, None, began_ns, attributes)


class ForwardTraces:
    """Of webhooks of a team that are worked together."""

    def __init__(self, webhooks: Sequence[ConvertedWebhook]) -> None:
        """Those that are sampled take their traces on to segment."""
        self._began_ns = tracing.now_ns()
        self._size = len(webhooks)
        self._sampled: list[tuple[ConvertedWebhook, bytes, bytes]] = []
        for each in webhooks:
            stored = each.webhook
            above = _context_of(stored.team_id, stored.source, stored.origin, stored.webhook_id)
            if above is not None:
                context = tracing.below(above)
                self._sampled.append((each, context, above))
                for event in each.events:
                    event.traceparent = tracing.traceparent_of(context)

    def write(self) -> None:
        """The spans of what was worked."""
        for each, context, above in self._sampled:
            stored = each.webhook
            attributes = _named(stored.team_id, stored.source, len(each.events))
            attributes["batch_size"] = self._size
            _SPANS.write("gateway.forward", context, above, self._began_ns, attributes)


def _context_of(team_id: UUID, source: InboxSource, origin: str, webhook_id: str) -> bytes | None:
    return tracing.sampled(team_id.bytes, bytes((source,)), origin.encode(), webhook_id.encode())


def _named(team_id: UUID, source: InboxSource, events: int) -> dict[str, str | int]:
    return {"team_id": str(team_id), "source": source.name, "events": events}
