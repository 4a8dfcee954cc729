"""Orders that name their cart."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.hints import Reason
from libs.common.ids import new_id
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.convert.events import customer_events
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.shop_events import parse

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AS_BEFORE = (
    '{"event":"order.completed","event_id":"e1","occurred_at":"2026-03-02T12:00:00Z","order":{"currency":"USD",'
    '"id":"o1","number":null,"total":"1","items":null,"test":null},"customer":{"member_id":"","phone":"","email":"",'
    '"browser_token":"","name":""},"refund":null,"attribution":null}'
)
"""What the content of an order was before orders had carts; its digest is part of the event's key."""


def body(**order: Any) -> bytes:
    whole = {"id": "o1", "currency": "USD", "total": "1", **order}
    event = {"event": "order.completed", "event_id": "e1", "occurred_at": "2026-03-02T12:00:00Z"}
    return json.dumps({**event, "order": whole}).encode()


def converted(raw: bytes) -> event_pb2.CustomerEvent:
    stored = StoredWebhook(1, new_id(), InboxSource.SHOP, "shop", "w1", raw, NOON)
    (event,) = customer_events(stored, timedelta(minutes=5)).events
    return event


@pytest.mark.parametrize(("order", "cart"), [({"cart_id": "c-7"}, "c-7"), ({"cart_id": None}, ""), ({}, "")])
def test_the_cart_of_an_order_is_handed_on(order: dict[str, Any], cart: str) -> None:
    assert converted(body(**order)).order_completed.cart_id == cart


def test_an_order_without_a_cart_keeps_the_key_that_it_had_before_there_were_carts() -> None:
    digest = hashlib.blake2b(AS_BEFORE.encode(), digest_size=8).hexdigest()
    assert converted(body()).event_key.endswith(f":e1:{digest}")
    assert not converted(body(cart_id="c-7")).event_key.endswith(digest)


@pytest.mark.parametrize(
    ("cart", "reason"),
    [(7, Reason.WRONG_TYPE), ("x" * 201, Reason.TOO_LONG), ("a\nb", Reason.CONTROL_CHARACTERS)],
)
def test_a_cart_that_cannot_be_one_is_refused_by_its_field(cart: Any, reason: Reason) -> None:
    (report,), _ = parse(body(cart_id=cart))
    assert report.fault is not None
    assert (report.fault.field, report.fault.reason) == ("order.cart_id", reason)
