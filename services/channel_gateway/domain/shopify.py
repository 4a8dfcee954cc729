"""Webhooks of Shopify: orders as they are made, paid, edited and cancelled, and refunds. Pure.

Every order's webhook has the whole order: what was given back of it and what it comes to now. So each says all there
is, and it is the same in whatever order they come.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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
    without_gaps,
)
from services.channel_gateway.domain.shop_events import ShopReport

REFUNDS: Final = "refunds/create"
CANCELLED: Final = "orders/cancelled"
UPDATED: Final = "orders/updated"
ORDERS: Final = frozenset(
    {"orders/create", "orders/paid", UPDATED, CANCELLED, "orders/fulfilled", "orders/partially_fulfilled"}
)
_GIVEN_BACK: Final = ("success", "pending")
_NOT_GIVEN_BACK: Final = ("failure", "error", "awaiting_response", "unknown")
_ORDER_NAMES: Final = {
    "event_id": "id",
    "occurred_at": "created_at",
    "order": "order",
    "order.id": "id",
    "order.number": "name",
    "order.currency": "currency",
    "order.total": "total_price",
    "order.test": "test",
    "order.cart_id": "cart_token",
    "order.items": "line_items",
    "order.items[]": "line_items[]",
    "order.items[].name": "line_items[].name",
    "order.items[].quantity": "line_items[].quantity",
    "order.items[].unit_price": "line_items[].price",
    "order.items[].product_id": "line_items[].product_id",
    "order.items[].sku": "line_items[].sku",
    "customer": "customer",
    "customer.member_id": "customer.id",
    "customer.phone": "phone",
    "customer.email": "email",
    "customer.name": "customer.first_name",
    "customer.browser_token": "note_attributes",
    "attribution.click_id": "note_attributes",
}
_LEFT_NAMES: Final = {**_ORDER_NAMES, "order.total": "current_total_price", "occurred_at": "updated_at"}


class _GivenBack(NamedTuple):
    """The money of a refund, and its currency where it is told: the shop's where both are."""

    micros: int = 0
    currency: Any = None
    faulty_at: str | None = None
    """Where within the refund something leaves open how much it is; empty: the refund as a whole. None: nowhere."""


def shopify_reports(topic: str, body: bytes) -> list[ShopReport]:
    """What a webhook of a topic says. Raises EventFaultError."""
    read = read_object(body)
    if topic == REFUNDS:
        said = [_refund(read, text_of(read.get("order_id")), None, "")]
    elif topic in ORDERS:
        said = _order(topic, read)
    else:
        said = [Said(None, event_id=topic)]
    return [report_of(each) for each in said]


def _order(topic: str, order: Json) -> list[Said]:
    """First what was given back and what is left, so that it counts with the order when that is new."""
    order_id = text_of(order.get("id"))
    refunds = [
        _refund(refund, order_id, order.get("currency"), f"refunds[{index}]")
        for index, refund in enumerate(entries_of(order, "refunds"))
    ]
    said = [refund for refund in refunds if refund.event is not None or refund.fault is not None]
    if topic == CANCELLED or order.get("cancelled_at") or order.get("financial_status") == "voided":
        return [*said, _left(order, "0")]
    now = order.get("current_total_price")
    left = _left_micros(order)
    if first(now) is not None and micros_in(now) is None:
        said.append(_left(order, plain(now)))
    elif left is not None and (topic == UPDATED or left != micros_in(order.get("total_price"))):
        said.append(_left(order, format_micros(max(left, 0))))
    return [*said, _completed(order)]


def _completed(order: Json) -> Said:
    event = {
        "event": "order.completed",
        "event_id": event_id_of("order", order.get("id")),
        "occurred_at": text_of(first(order.get("created_at"), order.get("processed_at"))),
        "order": without_gaps(
            {
                "id": text_of(order.get("id")),
                "number": short(order.get("name")),
                "currency": currency_of(order.get("currency")),
                "total": plain(order.get("total_price")),
                "test": order.get("test"),
                "cart_id": short(order.get("cart_token")),
                "items": [_line(line) for line in list_of(order, "line_items")],
            }
        ),
        "customer": _customer(order),
        "attribution": {"click_id": noted(list_of(order, "note_attributes"), "name", "click_id")},
    }
    return Said(without_gaps(event), _ORDER_NAMES)


def _line(line: Any) -> Any:
    if not isinstance(line, dict):
        return line
    return without_gaps(
        {
            "name": name_of(line.get("name"), line.get("title")),
            "quantity": plain(line.get("quantity")),
            "unit_price": plain(line.get("price")),
            "product_id": short(line.get("product_id")),
            "sku": short(line.get("sku")),
        }
    )


def _customer(order: Json) -> Json:
    person = order.get("customer")
    addresses = (order.get("billing_address"), order.get("shipping_address"))
    return without_gaps(
        {
            "member_id": text_of(part_of(person, "id")),
            "phone": first(
                order.get("phone"), part_of(person, "phone"), *(part_of(each, "phone") for each in addresses)
            ),
            "email": first(order.get("email"), order.get("contact_email"), part_of(person, "email")),
            "name": joined_name(person or addresses[0], "first_name", "last_name"),
            "browser_token": noted(list_of(order, "note_attributes"), "name", "browser_token"),
        }
    )


def _left(order: Json, left: str) -> Said:
    """What the order comes to now."""
    event = {
        "event": "order.updated",
        "event_id": event_id_of("order", order.get("id"), "left", left),
        "occurred_at": text_of(
            first(order.get("updated_at"), order.get("cancelled_at"), order.get("created_at"))
        ),
        "order": without_gaps(
            {"id": text_of(order.get("id")), "currency": currency_of(order.get("currency")), "total": left}
        ),
    }
    return Said(without_gaps(event), _LEFT_NAMES)


def _left_micros(order: Json) -> int | None:
    """What Shopify says it is after edits, returns and refunds, else the total less what was given back; None where it
    cannot be told."""
    if (current := micros_in(order.get("current_total_price"))) is not None:
        return current
    total = micros_in(order.get("total_price"))
    given_back = [_given_back(each) for each in entries_of(order, "refunds")]
    if total is None or any(each.faulty_at is not None for each in given_back):
        return None
    return total - sum(each.micros for each in given_back)


def _refund(refund: Any, order_id: Any, currency: Any, at: str) -> Said:
    """None of ours is one that only notes what came back, without money. `at`: where it stands in the body."""
    prefix = f"{at}." if at else ""
    given_back = _given_back(refund)
    refund_id = text_of(part_of(refund, "id"))
    event_id = event_id_of("refund", refund_id)
    if given_back.faulty_at is not None:
        path = f"{prefix}{given_back.faulty_at}" if given_back.faulty_at else at
        fault = Fault(path, Reason.MALFORMED, "does not say how much was given back", REMEDY)
        return Said(None, event_id=event_id, fault=fault)
    if not given_back.micros:
        return Said(None, event_id=event_id)
    event = {
        "event": "order.refunded",
        "event_id": event_id,
        "occurred_at": text_of(first(refund.get("processed_at"), refund.get("created_at"))),
        "order": without_gaps(
            {"id": order_id, "currency": currency_of(first(given_back.currency, currency))}
        ),
        "refund": without_gaps({"id": refund_id, "amount": format_micros(given_back.micros)}),
    }
    names = {
        "event_id": "id",
        "occurred_at": "created_at",
        "order.id": "order_id",
        "order.currency": "transactions[0].currency",
        "refund": "",
        "refund.id": "id",
        "refund.amount": "transactions",
    }
    return Said(without_gaps(event), {ours: prefix + theirs for ours, theirs in names.items()})


def _given_back(refund: Any) -> _GivenBack:
    if not isinstance(refund, dict):
        return _GivenBack(faulty_at="")
    micros, currencies = 0, []
    for index, transaction in enumerate(entries_of(refund, "transactions")):
        at = f"transactions[{index}]"
        if faulty := _state_fault(transaction):
            return _GivenBack(faulty_at=f"{at}{faulty}")
        if not _is_given_back(transaction):
            continue
        shop = part_of(transaction, "amount_set", "shop_money")
        money, place = (shop, f"{at}.amount_set.shop_money") if isinstance(shop, dict) else (transaction, at)
        amount = micros_in(money.get("amount"))
        if amount is None or amount < 0:
            return _GivenBack(faulty_at=f"{place}.amount")
        micros += amount
        currencies.append(currency_of(first(money.get("currency_code"), money.get("currency"))))
        if currencies[-1] != currencies[0]:
            return _GivenBack(faulty_at=f"{place}.currency")
    return _GivenBack(micros, first(*currencies))


def _state_fault(transaction: Any) -> str | None:
    """Below a transaction, what leaves open whether money went back; None where that is told."""
    kind, status = _word(transaction, "kind"), _word(transaction, "status")
    if kind is None:
        return ".kind"
    return ".status" if kind == "refund" and status not in (*_GIVEN_BACK, *_NOT_GIVEN_BACK, None) else None


def _is_given_back(transaction: Json) -> bool:
    return _word(transaction, "kind") == "refund" and _word(transaction, "status") in (*_GIVEN_BACK, None)


def _word(transaction: Any, name: str) -> Any:
    said = part_of(transaction, name)
    return said.lower() if isinstance(said, str) else said
