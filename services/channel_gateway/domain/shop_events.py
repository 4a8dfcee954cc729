"""The JSON of a shop's webhook: orders completed and refunded, one or a list of up to 500."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from libs.common.money import MoneyError, is_currency, parse_micros
from libs.common.times import OUT_OF_RANGE, in_range

EVENTS_MAX: Final = 500
ITEMS_MAX: Final = 1_000
_QUANTITY: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_AT: Final = re.compile(r" - at `([^`]*)`$")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`")

Text200 = Annotated[str, msgspec.Meta(max_length=200)]
Text500 = Annotated[str, msgspec.Meta(max_length=500)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class ShopItem(msgspec.Struct, frozen=True):
    """A line of an order."""

    name: Text500 = ""
    quantity: msgspec.Raw = msgspec.Raw(b"1")
    unit_price: str | None = None
    product_id: Text200 = ""
    sku: Text200 = ""

    @property
    def quantity_text(self) -> str:
        """The quantity as plain decimal text, as it was written."""
        return bytes(self.quantity).decode().strip('"')


class ShopOrder(msgspec.Struct, frozen=True):
    """An order, or what a refund says of one."""

    currency: str
    id: Text200 = ""
    number: Text200 = ""
    total: str | None = None
    items: Annotated[list[ShopItem], msgspec.Meta(max_length=ITEMS_MAX)] = []
    test: bool = False


class ShopRefund(msgspec.Struct, frozen=True):
    """Money given back."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    amount: str


class ShopCustomer(msgspec.Struct, frozen=True):
    """Who, as far as the shop knows."""

    member_id: Text200 | None = None
    phone: Text200 | None = None
    email: Text200 | None = None
    browser_token: Text200 | None = None
    name: Text200 | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything selects a customer."""
        return bool(self.member_id or self.phone or self.email or self.browser_token)


class ShopAttribution(msgspec.Struct, frozen=True):
    """What led to an order."""

    click_id: Text200 | None = None


class ShopEvent(msgspec.Struct, frozen=True):
    """One event. Unknown fields are passed over, so that shops may send more."""

    event: Literal["order.completed", "order.refunded"]
    event_id: EventId
    occurred_at: Instant
    order: ShopOrder
    customer: ShopCustomer | None = None
    refund: ShopRefund | None = None
    attribution: ShopAttribution | None = None

    @property
    def has_customer(self) -> bool:
        """Whether it says who."""
        return self.customer is not None and self.customer.is_known


class EventFaultError(Exception):
    """The first fault of a body, for the shop's developer."""

    def __init__(self, field: str, message: str, remedy: str) -> None:
        """`field` as a path in the body, empty for the body as a whole."""
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.remedy = remedy


_ONE: Final = msgspec.json.Decoder(ShopEvent)
_MANY: Final = msgspec.json.Decoder(list[ShopEvent])


def parse(body: bytes) -> tuple[list[ShopEvent], bool]:
    """The events of a body, checked, and whether it was a list. Raises EventFaultError."""
    is_list = body.lstrip()[:1] == b"["
    try:
        events = _MANY.decode(body) if is_list else [_ONE.decode(body)]
    except msgspec.ValidationError as error:
        raise _fault_of(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventFaultError("", f"the body is no JSON: {error}", "send UTF-8 encoded JSON") from None
    if not 1 <= len(events) <= EVENTS_MAX:
        raise EventFaultError(
            "", f"the list has {len(events)} events", f"send 1 to {EVENTS_MAX} events a request"
        )
    for index, event in enumerate(events):
        for field, message, remedy in _faults(event):
            raise EventFaultError(f"[{index}].{field}" if is_list else field, message, remedy)
    return events, is_list


def _fault_of(text: str) -> EventFaultError:
    """msgspec says what and where in one line; taken apart for people."""
    path = _AT.search(text)
    field = path[1].removeprefix("$").removeprefix(".") if path else ""
    message = _AT.sub("", text)
    expected = _EXPECTED.search(message)
    if expected:
        return EventFaultError(field, message, f"send a value of the kind {expected[1]}")
    return EventFaultError(field, message, "see the webhook's description for the field")


def _faults(event: ShopEvent) -> Iterator[tuple[str, str, str]]:
    if not in_range(event.occurred_at):
        remedy = "send the time of the event, for example 2026-05-01T12:00:00Z"
        yield "occurred_at", OUT_OF_RANGE, remedy
    yield from _order_faults(event)
    if event.event == "order.refunded":
        yield from _refund_faults(event)


def _order_faults(event: ShopEvent) -> Iterator[tuple[str, str, str]]:
    order = event.order
    if not is_currency(order.currency):
        yield "order.currency", "is no currency code", "send three capitals of ISO 4217, for example USD"
    if event.event == "order.completed":
        if not order.id:
            yield "order.id", "is required", "send the shop's own id of the order as a string"
        yield from _money_faults("order.total", order.total, may_be_negative=not event.has_customer)
    elif order.total is not None:
        yield from _money_faults("order.total", order.total, may_be_negative=True)
    for index, item in enumerate(order.items):
        if not _QUANTITY.fullmatch(item.quantity_text):
            remedy = "send a number such as 2 or 0.5, or leave it out for 1"
            yield f"order.items[{index}].quantity", "is no quantity", remedy
        if item.unit_price is not None:
            yield from _money_faults(
                f"order.items[{index}].unit_price", item.unit_price, may_be_negative=True
            )


def _refund_faults(event: ShopEvent) -> Iterator[tuple[str, str, str]]:
    if event.refund is None:
        yield "refund", "is required", 'send {"id": …, "amount": …}'
    else:
        yield from _money_faults("refund.amount", event.refund.amount, may_be_negative=not event.has_customer)


def _money_faults(field: str, text: str | None, *, may_be_negative: bool) -> Iterator[tuple[str, str, str]]:
    remedy = 'send a decimal string such as "12.34"'
    if text is None:
        yield field, "is required", remedy
        return
    try:
        micros = parse_micros(text)
    except MoneyError as error:
        yield field, str(error), remedy
        return
    if micros < 0 and not may_be_negative:
        yield field, "must not be negative", remedy
