"""What pages report, and which of it the shop's back end vouches for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.pixel import (
    EVENTS_MAX,
    OrderToken,
    PixelEvent,
    pixel_events,
    read_token,
    signed_token,
)
from services.channel_gateway.domain.shop_events import EventFaultError

KEY = b"k" * 32
NOW = datetime(2026, 10, 1, tzinfo=UTC)
TOKEN = OrderToken("demo", "o1", "TWD", "360.00", int(NOW.timestamp()) + 60, member_id="42")


def _order(**changes: Any) -> dict[str, Any]:
    return {
        "event": "order.completed",
        "event_id": "e1",
        "occurred_at": "2026-09-30T12:00:00Z",
        "customer": {"browser_token": "bt_1", "member_id": "somebody else"},
        "order": {
            "id": "o1",
            "currency": "USD",
            "total": "9999.00",
            "items": [{"name": "Tea", "quantity": 2}],
        },
    } | changes


def _read(body: Any) -> PixelEvent:
    (event,), _ = pixel_events(json.dumps(body).encode(), "demo", [b"other" * 8, KEY], NOW)
    return event


@pytest.mark.rule("C-21b")
def test_a_token_says_what_was_bought_and_by_whom() -> None:
    event = _read(_order(order_token=signed_token(KEY, TOKEN)))
    assert event.is_signed
    report = event.report
    assert report.event is not None
    assert (report.event.order.total, report.event.order.currency) == ("360.00", "TWD")
    assert (report.event.customer.member_id, report.event.customer.browser_token) == ("42", "bt_1")
    assert report.event.order.items is not None
    assert [item.name for item in report.event.order.items] == ["Tea"]
    unnamed = msgspec.structs.replace(TOKEN, member_id="")
    report = _read(_order(order_token=signed_token(KEY, unnamed))).report
    assert report.event is not None
    assert report.event.customer.member_id == "somebody else"


@pytest.mark.rule("C-21b")
def test_an_order_without_a_token_is_taken_as_the_page_says_it() -> None:
    event = _read(_order())
    assert not event.is_signed
    assert event.report.event is not None
    assert event.report.event.order.total == "9999.00"


@pytest.mark.rule("C-21b")
@pytest.mark.parametrize(
    "token",
    [
        signed_token(b"x" * 32, TOKEN),
        signed_token(KEY, TOKEN)[:-1] + "!",
        signed_token(KEY, TOKEN) + "A",
        signed_token(KEY, msgspec.structs.replace(TOKEN, order_id="o2")),
        signed_token(KEY, msgspec.structs.replace(TOKEN, shop_id="other")),
        signed_token(KEY, msgspec.structs.replace(TOKEN, expires_at=int(NOW.timestamp()))),
        signed_token(KEY, msgspec.structs.replace(TOKEN, expires_at=-(10**15))),
        "",
        ".",
        "é.é",
        7,
        {},
        "x" * 4_001,
    ],
)
def test_an_order_with_a_token_that_is_none_is_refused(token: object) -> None:
    event = _read(_order(order_token=token))
    assert event.report.event is None
    assert event.report.fault is not None
    assert event.report.fault.field == "order_token"


def test_what_is_signed_is_a_token_only_in_its_own_form() -> None:
    assert read_token([KEY], signed_token(KEY, TOKEN)) == TOKEN
    assert read_token([], signed_token(KEY, TOKEN)) is None


def test_pages_report_orders_and_nothing_else() -> None:
    for kind in ("order.refunded", "order.updated", "page.viewed", None):
        report = _read(_order(event=kind)).report
        assert (report.event, report.fault) == (None, None)
    for item, field in ((7, ""), (_order(event_id=""), "event_id"), (_order(order=None), "order")):
        fault = _read(item).report.fault
        assert fault is not None
        assert fault.field == field
    with pytest.raises(EventFaultError):
        pixel_events(json.dumps([_order()] * (EVENTS_MAX + 1)).encode(), "demo", [KEY], NOW)


@pytest.mark.rule("C-21a", "C-21b")
def test_the_page_and_the_back_end_report_one_order_under_keys_of_their_own() -> None:
    keys, orders = set(), set()
    for source, webhook_id, signed in (
        (InboxSource.SHOP, "w1", True),
        (InboxSource.PIXEL, "signed 00", True),
        (InboxSource.PIXEL, "unsigned 00", False),
    ):
        body = json.dumps(_order()).encode()
        webhook = StoredWebhook(1, UUID(int=1), source, "demo", webhook_id, body, NOW)
        (event,) = stored_events(webhook, timedelta(minutes=5)).events
        assert event.order_completed.signed == signed
        keys.add(event.event_key)
        orders.add((event.order_completed.shop_id, event.order_completed.order_id))
    assert (len(keys), orders) == (3, {("demo", "o1")})


@pytest.mark.rule("C-20d")
def test_an_order_that_is_nested_too_deep_is_refused_and_the_others_are_taken() -> None:
    nested = json.dumps(_order(event_id="e2")).replace("{", '{"x": ' + "[" * 900 + "]" * 900 + ",", 1)
    body = f"[{json.dumps(_order())}, {nested}]".encode()
    (first, second), _ = pixel_events(body, "demo", [], NOW)
    assert first.report.event is not None
    assert (second.report.event_id, second.report.event) == ("e2", None)
    assert second.report.fault is not None
