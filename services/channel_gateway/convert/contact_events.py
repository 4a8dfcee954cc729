"""Rows of segment's history as webhooks of contact events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.feeds.rows import FactRow
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import attribute_pb2, history_pb2
from services.channel_gateway.domain.webhooks_out import ContactEvent

KINDS: Final = (
    history_pb2.FACT_KIND_ATTRIBUTE_CHANGED,
    history_pb2.FACT_KIND_TAG_APPLIED,
    history_pb2.FACT_KIND_TAG_REMOVED,
    history_pb2.FACT_KIND_CUSTOMER_CREATED,
    history_pb2.FACT_KIND_CONTACT_ADDED,
    history_pb2.FACT_KIND_CONTACT_REMOVED,
    history_pb2.FACT_KIND_CUSTOMER_MERGED,
)
"""Kinds of facts that are webhooks."""
_Detail = tuple[str | None, ...]


def _attribute(detail: _Detail) -> dict[str, Any]:
    key, kind, old, new = detail
    name = attribute_pb2.AttributeType.Name(attribute_pb2.AttributeType.ValueType(int(kind or 0)))
    return {
        "attribute": {
            "key": key,
            "type": name.removeprefix("ATTRIBUTE_TYPE_"),
            "old_value": old,
            "new_value": new,
        }
    }


def _tag(change: str) -> Callable[[_Detail], dict[str, Any]]:
    return lambda detail: {"tag": detail[0], "change": change}


def _identity(detail: _Detail) -> dict[str, Any]:
    channel, account_id, external_id = detail
    name = channel_pb2.Channel.Name(channel_pb2.Channel.ValueType(int(channel or 0)))
    return {
        "identity": {
            "channel": name.removeprefix("CHANNEL_"),
            "account_id": account_id,
            "external_id": external_id,
        }
    }


_WEBHOOKS: Final[Mapping[int, tuple[str, Callable[[_Detail], dict[str, Any]]]]] = {
    history_pb2.FACT_KIND_ATTRIBUTE_CHANGED: ("contact.attribute_changed", _attribute),
    history_pb2.FACT_KIND_TAG_APPLIED: ("contact.tag_changed", _tag("applied")),
    history_pb2.FACT_KIND_TAG_REMOVED: ("contact.tag_changed", _tag("removed")),
    history_pb2.FACT_KIND_CUSTOMER_CREATED: ("contact.created", lambda detail: {"member_id": detail[0]}),
    history_pb2.FACT_KIND_CONTACT_ADDED: ("contact.bound", _identity),
    history_pb2.FACT_KIND_CONTACT_REMOVED: ("contact.unbound", _identity),
    history_pb2.FACT_KIND_CUSTOMER_MERGED: ("contact.merged", lambda detail: {"survivor_id": detail[0]}),
}


def contact_events(rows: Iterable[FactRow]) -> list[ContactEvent]:
    """What the rows say. Raises ValueError for one that cannot be read."""
    return [event for row in rows for event in _event(row)]


def _event(row: FactRow) -> list[ContactEvent]:
    if row.team is None:
        raise ValueError("segment cannot read it")
    found = _WEBHOOKS.get(row.kind)
    # Of a row of the release before nothing is known but that something happened.
    if found is None or row.event is None or row.customer is None:
        return []
    event_type, data_of = found
    body = {
        "type": event_type,
        "timestamp": row.at,
        "data": {
            "team_id": str(UUID(bytes=row.team)),
            "event_id": str(UUID(bytes=row.event)),
            "customer_id": str(UUID(bytes=row.customer)),
            **data_of(row.detail),
        },
    }
    return [
        ContactEvent(
            UUID(bytes=row.team), UUID(bytes=row.event), event_type, row.at, msgspec.json.encode(body)
        )
    ]
