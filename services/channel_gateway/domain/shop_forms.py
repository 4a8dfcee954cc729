"""What to send in each field of a shop's event, for people: the remedy where something else came."""

from __future__ import annotations

from typing import Final

_LINE_200: Final = "send a string of at most 200 characters, in quotes"
_AMOUNT: Final = 'send a decimal string such as "12.34"'

FORMS: Final = {
    "": 'send an object in UTF-8 encoded JSON, with "event", "event_id", "occurred_at" and "order"',
    "event": 'send "order.completed", "order.updated" or "order.refunded"',
    "event_id": "send the shop's own id of the event as a string of 1 to 100 characters, in quotes",
    "occurred_at": (
        "send the time of the event with its zone, for example 2026-05-01T12:00:00Z or 2026-05-01T20:00:00+08:00; "
        "in a leap second send :59 instead of :60"
    ),
    "customer": 'send an object such as {"member_id": "42"}',
    "order": 'send an object such as {"id": "1001", "currency": "USD", "total": "12.34"}',
    "order.currency": "send three capitals of ISO 4217, for example USD",
    "order.id": "send the shop's own id of the order as a string of 1 to 200 characters, in quotes",
    "order.number": _LINE_200,
    "order.cart_id": _LINE_200,
    "order.total": _AMOUNT,
    "order.items": "send a list of at most 1000 lines: put lines of the same product together",
    "order.items[]": 'send an object such as {"name": "Tea", "quantity": 2, "unit_price": "1.50"}',
    "order.items[].name": "send a string of at most 500 characters, in quotes",
    "order.items[].quantity": "send a number such as 2, 0.5 or -1, or leave it out for 1",
    "order.items[].unit_price": _AMOUNT,
    "order.items[].product_id": _LINE_200,
    "order.items[].sku": _LINE_200,
    "order.test": "send true or false, without quotes",
    "refund": 'send an object such as {"id": "R1", "amount": "12.34"}',
    "refund.id": "send the shop's own id of the refund as a string of 1 to 200 characters, in quotes",
    "refund.amount": _AMOUNT,
    "attribution": 'send an object such as {"click_id": "0197…"}, or leave it out',
    "attribution.click_id": _LINE_200,
}
"""By path; `[]` for any place of a list."""
