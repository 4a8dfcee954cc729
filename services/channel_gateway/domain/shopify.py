"""Webhooks of Shopify: orders as they are made, paid, edited and cancelled, and refunds. Pure.

Every order's webhook has the whole order: what was given back of it and what it comes to now. So each says all there
is, and it is the same in whatever order they come.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from services.channel_gateway.domain.platform_bodies import (
    Json,
    Said,
    amount_of,
    event_id_of,
    first,
    joined_name,
    list_of,
    noted,
    part_of,
    plain,
    read_object,
    report_of,
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
_GIVEN_BACK: Final = ("success", "pending", None)
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
        _refund(refund, order_id, order.get("currency"), f"refunds[{index}].")
        for index, refund in enumerate(list_of(order, "refunds"))
        if isinstance(refund, dict)
    ]
    said = [refund for refund in refunds if refund.event is not None]
    if topic == CANCELLED or order.get("cancelled_at") or order.get("financial_status") == "voided":
        return [*said, _left(order, "0")]
    left = _left_amount(order)
    if left is not None and (topic == UPDATED or left != amount_of(order.get("total_price"))):
        said.append(_left(order, f"{max(left, Decimal(0)):f}"))
    return [*said, _completed(order)]


def _completed(order: Json) -> Said:
    event = {
        "event": "order.completed",
        "event_id": event_id_of("order", order.get("id")),
        "occurred_at": text_of(first(order.get("created_at"), order.get("processed_at"))),
        "order": without_gaps(
            {
                "id": text_of(order.get("id")),
                "number": text_of(order.get("name")),
                "currency": order.get("currency"),
                "total": plain(order.get("total_price")),
                "test": order.get("test"),
                "cart_id": text_of(order.get("cart_token")),
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
            "name": first(line.get("name"), line.get("title")),
            "quantity": plain(line.get("quantity")),
            "unit_price": plain(line.get("price")),
            "product_id": text_of(line.get("product_id")),
            "sku": text_of(line.get("sku")),
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
            {"id": text_of(order.get("id")), "currency": order.get("currency"), "total": left}
        ),
    }
    return Said(without_gaps(event), _LEFT_NAMES)


def _left_amount(order: Json) -> Decimal | None:
    """What Shopify says it is after edits, returns and refunds, else the total less what was given back."""
    if (current := amount_of(order.get("current_total_price"))) is not None:
        return current
    total = amount_of(order.get("total_price"))
    if total is None:
        return None
    refunds = (each for each in list_of(order, "refunds") if isinstance(each, dict))
    return total - sum((_given_back(each)[0] for each in refunds), Decimal(0))


def _refund(refund: Json, order_id: Any, currency: Any, at: str) -> Said:
    """None of ours is one that only notes what came back, without money."""
    amount, paid_in = _given_back(refund)
    refund_id = text_of(refund.get("id"))
    if not amount:
        return Said(None, event_id=event_id_of("refund", refund_id))
    event = {
        "event": "order.refunded",
        "event_id": event_id_of("refund", refund_id),
        "occurred_at": text_of(first(refund.get("processed_at"), refund.get("created_at"))),
        "order": without_gaps({"id": order_id, "currency": first(paid_in, currency)}),
        "refund": without_gaps({"id": refund_id, "amount": f"{amount:f}"}),
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
    return Said(without_gaps(event), {ours: at + theirs for ours, theirs in names.items()})


def _given_back(refund: Json) -> tuple[Decimal, Any]:
    """The money of a refund, and its currency where it is told: the shop's where both are."""
    amounts = [
        _shop_money(transaction)
        for transaction in list_of(refund, "transactions")
        if part_of(transaction, "kind") == "refund" and part_of(transaction, "status") in _GIVEN_BACK
    ]
    total = sum((amount for amount, _ in amounts), Decimal(0))
    return total, first(*(currency for _, currency in amounts))


def _shop_money(transaction: Any) -> tuple[Decimal, Any]:
    shop = part_of(transaction, "amount_set", "shop_money")
    found = shop if isinstance(shop, dict) else transaction
    amount = amount_of(part_of(found, "amount")) or Decimal(0)
    return amount, first(part_of(found, "currency_code"), part_of(found, "currency"))
