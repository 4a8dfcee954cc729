"""Domain to proto for shops, their keys and the inbox of webhooks. Pure."""

from __future__ import annotations

from typing import Final

from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1 import error_reason_pb2
from services.channel_gateway.domain.inbox import InboxRow, Refusal
from services.channel_gateway.domain.signing import encode_secret
from services.channel_gateway.domain.views import Shop, ShopKey

_REASONS: Final = frozenset(error_reason_pb2.ErrorReason.keys())


def shop_message(shop: Shop) -> webhook_pb2.Shop:
    """A shop."""
    return webhook_pb2.Shop(
        shop_id=shop.shop_id,
        team_id=str(shop.team_id),
        display_name=shop.display_name,
        enabled=shop.enabled,
        create_time=timestamp(shop.created_at),
        update_time=timestamp(shop.updated_at),
        etag=str(shop.version),
    )


def key_message(key: ShopKey) -> webhook_pb2.ShopKey:
    """A signing key, without its secret."""
    return webhook_pb2.ShopKey(
        shop_key_id=str(key.key_id),
        shop_id=key.shop_id,
        team_id=str(key.team_id),
        hint=encode_secret(key.secret)[-4:],
        expire_time=timestamp(key.expires_at) if key.expires_at else None,
        create_time=timestamp(key.created_at),
    )


def record_message(row: InboxRow) -> webhook_pb2.InboxRecord:
    """A webhook that came in."""
    return webhook_pb2.InboxRecord(
        sequence=row.sequence,
        source=int(row.source),  # type: ignore[arg-type]  # the enums have the same numbers
        team_id=str(row.team_id),
        origin=row.origin,
        webhook_id=row.webhook_id,
        body=row.body,
        receive_time=timestamp(row.received_at),
        state=int(row.state),  # type: ignore[arg-type]  # the enums have the same numbers
        event_count=row.event_count,
        refusals=[_refusal(refusal) for refusal in row.refusals],
    )


def _refusal(refusal: Refusal) -> webhook_pb2.InboxRefusal:
    """What is kept is `REASON: message`, or a message alone for what never was an event."""
    name, _, message = refusal.reason.partition(": ")
    if f"ERROR_REASON_{name}" not in _REASONS:
        name, message = "INVALID_FIELDS", refusal.reason
    reason = error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{name}")
    return webhook_pb2.InboxRefusal(index=refusal.event_index, message=message, reason=reason)
