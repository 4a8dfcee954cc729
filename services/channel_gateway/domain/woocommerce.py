"""Webhooks of WooCommerce: orders as they are made and changed, with their refunds. Pure.

Every webhook of an order has the whole order. Its total is not lowered by refunds, which have an id and an amount and
no time. Times are in UTC and do not say so.
"""

from __future__ import annotations

from typing import Any, Final

from libs.common.hints import Reason
from libs.common.money import format_micros
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.platform_bodies import (
    REMEDY,
    Json,
    Said,
    currency_of,
    entries_of,
    event_id_of,
    first,
    joined_name,
    list_of,
    micros_in,
    name_of,
    noted,
    part_of,
    plain,
    read_object,
    report_of,
    short,
    text_of,
    utc_of,
    without_gaps,
)
from services.channel_gateway.domain.shop_events import ShopReport

UPDATED: Final = "order.updated"
ORDERS: Final = frozenset({"order.created", UPDATED, "order.restored"})
_NOT_YET: Final = frozenset({"pending", "checkout-draft", "auto-draft", "draft"})
"""States of orders that nobody has placed."""
_NO_MORE: Final = frozenset({"cancelled", "failed", "trash"})
_NAMES: Final = {
    "event_id": "id",
    "occurred_at": "date_created_gmt",
    "order": "order",
    "order.id": "id",
    "order.number": "number",
    "order.currency": "currency",
    "order.total": "total",
    "order.items": "line_items",
    "order.items[]": "line_items[]",
    "order.items[].name": "line_items[].name",
    "order.items[].quantity": "line_items[].quantity",
    "order.items[].unit_price": "line_items[].price",
    "order.items[].product_id": "line_items[].product_id",
    "order.items[].sku": "line_items[].sku",
    "order.cart_id": "meta_data",
    "customer": "billing",
    "customer.member_id": "customer_id",
    "customer.phone": "billing.phone",
    "customer.email": "billing.email",
    "customer.name": "billing.first_name",
    "customer.browser_token": "meta_data",
    "attribution.click_id": "meta_data",
}
_LEFT_NAMES: Final = {**_NAMES, "occurred_at": "date_modified_gmt"}


def woocommerce_reports(topic: str, body: bytes) -> list[ShopReport]:
    """What a webhook of a topic says. Raises EventFaultError."""
    order = read_object(body)
    state = str(order.get("status")).lower().removeprefix("wc-")
    if topic not in ORDERS or state in _NOT_YET:
        return [report_of(Said(None, event_id=event_id_of("order", order.get("id"))))]
    said = [
        _refund(order, refund, f"refunds[{index}]")
        for index, refund in enumerate(entries_of(order, "refunds"))
    ]
    if state in _NO_MORE:
        return [report_of(each) for each in (*said, _left(order, "0"))]
    left = _left_micros(order)
    if left is not None and (topic == UPDATED or said):
        said.append(_left(order, format_micros(max(left, 0))))
    return [report_of(each) for each in (*said, _completed(order))]


def _completed(order: Json) -> Said:
    notes = list_of(order, "meta_data")
    event = {
        "event": "order.completed",
        "event_id": event_id_of("order", order.get("id")),
        "occurred_at": utc_of(first(order.get("date_created_gmt"), order.get("date_created"))),
        "order": without_gaps(
            {
                "id": text_of(order.get("id")),
                "number": short(order.get("number")),
                "currency": currency_of(order.get("currency")),
                "total": plain(order.get("total")),
                "cart_id": short(noted(notes, "key", "cart_id", "_cart_id")),
                "items": [_line(line) for line in list_of(order, "line_items")],
            }
        ),
        "customer": _customer(order),
        "attribution": {"click_id": noted(notes, "key", "click_id", "_click_id")},
    }
    return Said(without_gaps(event), _NAMES)


def _line(line: Any) -> Any:
    if not isinstance(line, dict):
        return line
    return without_gaps(
        {
            "name": name_of(line.get("name")),
            "quantity": plain(line.get("quantity")),
            "unit_price": plain(first(line.get("price"))),
            "product_id": short(line.get("product_id")),
            "sku": short(line.get("sku")),
        }
    )


def _customer(order: Json) -> Json:
    member, billing = text_of(order.get("customer_id")), order.get("billing")
    notes = list_of(order, "meta_data")
    return without_gaps(
        {
            "member_id": None if member == "0" else member,  # a guest
            "phone": first(part_of(billing, "phone"), part_of(order, "shipping", "phone")),
            "email": part_of(billing, "email"),
            "name": joined_name(billing, "first_name", "last_name"),
            "browser_token": noted(notes, "key", "browser_token", "_browser_token"),
        }
    )


def _refund(order: Json, refund: Any, at: str) -> Said:
    refund_id = text_of(part_of(refund, "id"))
    event_id = event_id_of("refund", refund_id)
    given_back = _given_back(refund)
    if given_back is None:
        path = f"{at}.total" if isinstance(refund, dict) else at
        fault = Fault(path, Reason.MALFORMED, "does not say how much was given back", REMEDY)
        return Said(None, event_id=event_id, fault=fault)
    event = {
        "event": "order.refunded",
        "event_id": event_id,
        "occurred_at": _changed_at(order),
        "order": without_gaps(
            {"id": text_of(order.get("id")), "currency": currency_of(order.get("currency"))}
        ),
        "refund": without_gaps({"id": refund_id, "amount": format_micros(given_back)}),
    }
    names = {**_LEFT_NAMES, "refund": at, "refund.id": f"{at}.id", "refund.amount": f"{at}.total"}
    return Said(without_gaps(event), names)


def _given_back(refund: Any) -> int | None:
    """Micros, whatever sign they are written with; None where it is not told."""
    micros = micros_in(first(part_of(refund, "total"), part_of(refund, "amount")))
    return None if micros is None else abs(micros)


def _left(order: Json, left: str) -> Said:
    """What the order comes to now."""
    event = {
        "event": "order.updated",
        "event_id": event_id_of("order", order.get("id"), "left", left),
        "occurred_at": _changed_at(order),
        "order": without_gaps(
            {"id": text_of(order.get("id")), "currency": currency_of(order.get("currency")), "total": left}
        ),
    }
    return Said(without_gaps(event), _LEFT_NAMES)


def _left_micros(order: Json) -> int | None:
    """None where it cannot be told."""
    total = micros_in(order.get("total"))
    given_back = [_given_back(each) for each in entries_of(order, "refunds")]
    if total is None or None in given_back:
        return None
    return total - sum(each for each in given_back if each is not None)


def _changed_at(order: Json) -> Any:
    return utc_of(
        first(order.get("date_modified_gmt"), order.get("date_created_gmt"), order.get("date_created"))
    )
