"""Calls of Segment (e-commerce spec, version 2): orders completed, updated, refunded and cancelled. Pure."""

from __future__ import annotations

from typing import Any, Final

from libs.common.hints import Reason
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.platform_bodies import (
    REMEDY,
    Json,
    Said,
    currency_of,
    event_id_of,
    first,
    joined_name,
    list_of,
    name_of,
    part_of,
    plain,
    read_body,
    refused,
    report_of,
    short,
    text_of,
    utc_of,
    without_gaps,
)
from services.channel_gateway.domain.shop_events import EventFaultError, ShopReport

COMPLETED: Final = "Order Completed"
UPDATED: Final = "Order Updated"
REFUNDED: Final = "Order Refunded"
CANCELLED: Final = "Order Cancelled"
_KINDS: Final = {kind.casefold(): kind for kind in (COMPLETED, UPDATED, REFUNDED, CANCELLED)}
"""As they are read: libraries do not agree on capitals."""
_TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_TELL_TOTAL: Final = "send properties.total; without it and without products the whole order is given back"
CALLS_MAX: Final = 2_500
"""Of one batch, as Segment's own batches are bounded."""
_NAMES: Final = {
    "event_id": "messageId",
    "occurred_at": "timestamp",
    "order": "properties",
    "order.id": "properties.order_id",
    "order.number": "properties.order_number",
    "order.currency": "properties.currency",
    "order.total": "properties.total",
    "order.cart_id": "properties.cart_id",
    "order.items": "properties.products",
    "order.items[]": "properties.products[]",
    "order.items[].name": "properties.products[].name",
    "order.items[].quantity": "properties.products[].quantity",
    "order.items[].unit_price": "properties.products[].price",
    "order.items[].product_id": "properties.products[].product_id",
    "order.items[].sku": "properties.products[].sku",
    "customer": "context.traits",
    "customer.member_id": "userId",
    "customer.phone": "context.traits.phone",
    "customer.email": "context.traits.email",
    "customer.name": "context.traits.name",
    "customer.browser_token": "anonymousId",
    "refund": "properties",
    "refund.id": "messageId",
    "refund.amount": "properties.total",
    "attribution.click_id": "properties.click_id",
}


def segment_reports(body: bytes) -> tuple[list[list[ShopReport]], bool]:
    """What each call says, a call perhaps two things, and whether there was a list of them. Raises EventFaultError."""
    read = read_body(body)
    calls = read.get("batch", read) if isinstance(read, dict) else read
    if not isinstance(calls, list):
        return [[refused("", "batch", "is no list", REMEDY)] if calls is not read else _reports(calls)], False
    if not 1 <= len(calls) <= CALLS_MAX:
        count = f"more than {CALLS_MAX}" if calls else "no"
        raise EventFaultError(f"the batch has {count} calls", f"send 1 to {CALLS_MAX} calls a request")
    return [_reports(call) for call in calls], True


def _reports(call: Any) -> list[ShopReport]:
    if not isinstance(call, dict):
        return [refused("", "", "is no call", 'send an object such as {"type": "track", …}')]
    event_id = text_of(call.get("messageId"))
    kind = _KINDS.get(_word(call.get("event")))
    if _word(call.get("type", "track")) != "track" or kind is None:
        return [report_of(Said(None, event_id=event_id if isinstance(event_id, str) else ""))]
    return [report_of(each) for each in _said(call, kind)]


def _word(said: Any) -> str:
    return said.strip().casefold() if isinstance(said, str) else ""


def _said(call: Json, kind: str) -> list[Said]:
    properties = call.get("properties")
    given = (part_of(properties, "total"), part_of(properties, "revenue"), part_of(properties, "value"))
    total = first(*given)
    if kind == COMPLETED:
        return [_completed(call, total)]
    if kind == UPDATED:
        return [_left(call, plain(total)), _completed(call, total)]
    if kind == CANCELLED:
        return [_left(call, "0")]
    if total is None and (list_of(properties, "products") or given != (None, None, None)):
        # Of a part, and it is not told how much.
        fault = Fault("properties.total", Reason.MISSING, "does not say how much was given back", _TELL_TOTAL)
        event_id = text_of(call.get("messageId"))
        return [Said(None, event_id=event_id if isinstance(event_id, str) else "", fault=fault)]
    return [_left(call, "0") if total is None else _refunded(call, total)]


def _completed(call: Json, total: Any) -> Said:
    properties = call.get("properties")
    lines = list_of(properties, "products")
    order = {
        **_order(call),
        "number": short(part_of(properties, "order_number")),
        "total": plain(total),
        "cart_id": short(first(part_of(properties, "cart_id"), part_of(properties, "checkout_id"))),
        "items": [_line(line) for line in lines],
    }
    event = {
        **_head(call, "order.completed"),
        "order": without_gaps(order),
        "attribution": {"click_id": part_of(properties, "click_id")},
    }
    return Said(without_gaps(event), _NAMES)


def _refunded(call: Json, total: Any) -> Said:
    refund_id = first(part_of(call, "properties", "refund_id"), call.get("messageId"))
    refund = without_gaps({"id": text_of(refund_id), "amount": plain(total)})
    event = {**_head(call, "order.refunded"), "order": without_gaps(_order(call)), "refund": refund}
    return Said(without_gaps(event), _NAMES)


def _left(call: Json, left: Any) -> Said:
    head = _head(call, "order.updated")
    if isinstance(head["event_id"], str):
        head["event_id"] = event_id_of(head["event_id"], "left")
    return Said(without_gaps({**head, "order": without_gaps({**_order(call), "total": left})}), _NAMES)


def _head(call: Json, event: str) -> Json:
    return {
        "event": event,
        "event_id": text_of(call.get("messageId")),
        "occurred_at": utc_of(first(*map(call.get, _TIMES))),
        "customer": _customer(call),
    }


def _order(call: Json) -> Json:
    properties = call.get("properties")
    return {
        "id": text_of(part_of(properties, "order_id")),
        "currency": currency_of(part_of(properties, "currency")),
    }


def _customer(call: Json) -> Json:
    traits, properties = part_of(call, "context", "traits"), call.get("properties")
    name = first(part_of(traits, "name"), joined_name(traits, "firstName", "lastName"))
    return without_gaps(
        {
            "member_id": text_of(call.get("userId")),
            "phone": text_of(part_of(traits, "phone")),
            "email": first(part_of(traits, "email"), part_of(properties, "email")),
            "name": name,
            "browser_token": text_of(call.get("anonymousId")),
        }
    )


def _line(line: Any) -> Any:
    if not isinstance(line, dict):
        return line
    return without_gaps(
        {
            "name": name_of(line.get("name")),
            "quantity": plain(line.get("quantity")),
            "unit_price": plain(line.get("price")),
            "product_id": short(line.get("product_id")),
            "sku": short(line.get("sku")),
        }
    )
