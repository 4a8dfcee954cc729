"""The JSON of a shop's webhook: orders completed, updated and refunded, one or a list of up to 500.

Each event is taken or refused by itself. What it says of the customer and cannot be used is left out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from libs.common.hints import Reason, line_fault, read_email, read_id, read_name
from libs.common.money import AMOUNT_MICROS_MAX, MoneyError, is_currency, parse_micros
from libs.common.phones import TEXT_LENGTH_MAX, is_e164, read_phone
from libs.common.text import shows, trimmed
from libs.common.times import OUT_OF_RANGE, in_range
from services.channel_gateway.domain.json_faults import Fault, fault_of
from services.channel_gateway.domain.json_items import split_items, without_broken_text
from services.channel_gateway.domain.shop_forms import FORMS

EVENTS_MAX: Final = 500
ITEMS_MAX: Final = 1_000
EVENT_ID_LENGTH_MAX: Final = 100
TEXT_LENGTH_MAX_OF_ID: Final = 200
_QUANTITY: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)

Text200 = Annotated[str, msgspec.Meta(max_length=200)]
Text500 = Annotated[str, msgspec.Meta(max_length=500)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=EVENT_ID_LENGTH_MAX)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class ShopItem(msgspec.Struct, frozen=True):
    """A line of an order."""

    name: Text500 | None = None
    quantity: msgspec.Raw = msgspec.Raw(b"1")
    unit_price: str | None = None
    product_id: Text200 | None = None
    sku: Text200 | None = None

    @property
    def quantity_text(self) -> str:
        """The quantity as plain decimal text, as it was written; 1 where none was."""
        text = bytes(self.quantity).decode("ascii", "replace").strip('"')
        return "1" if text == "null" else text


class ShopOrder(msgspec.Struct, frozen=True):
    """An order, or what a refund says of one."""

    currency: str
    id: Text200 | None = None
    number: Text200 | None = None
    total: str | None = None
    items: Annotated[list[ShopItem], msgspec.Meta(max_length=ITEMS_MAX)] | None = None
    test: bool | None = None
    cart_id: Text200 | msgspec.UnsetType | None = msgspec.UNSET
    """Of the cart that became the order. Where it is not sent the content is as it was before there were carts."""

    @property
    def cart(self) -> str:
        """The same; empty where there is none."""
        return self.cart_id if isinstance(self.cart_id, str) else ""


class ShopRefund(msgspec.Struct, frozen=True):
    """Money given back."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    amount: str


class ShopCustomer(msgspec.Struct, frozen=True):
    """Who, as far as the shop knows; empty where it says nothing that can be used."""

    member_id: str = ""
    phone: str = ""
    """As it was written; at most 64 characters."""
    email: str = ""
    browser_token: str = ""
    name: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anything may select a customer."""
        return bool(self.member_id or self.phone or self.email or self.browser_token)


class ShopAttribution(msgspec.Struct, frozen=True):
    """What led to an order."""

    click_id: Text200 | None = None


class ShopEvent(msgspec.Struct, frozen=True):
    """One event. Unknown fields are passed over, so that shops may send more."""

    event: Literal["order.completed", "order.refunded", "order.updated"]
    event_id: EventId
    occurred_at: Instant
    order: ShopOrder
    customer: Any = ShopCustomer()
    refund: ShopRefund | None = None
    attribution: ShopAttribution | None = None

    def content(self) -> bytes:
        """What it says, id included, in a form that is the same for the same."""
        return msgspec.json.encode(self)


class LeftOut(NamedTuple):
    """A hint or a name that cannot be used."""

    field: str
    """Path within the event."""
    reason: Reason


class ShopReport(NamedTuple):
    """One item of a body: an event, or the fault that it is refused for."""

    event_id: str
    """As far as it could be read."""
    event: ShopEvent | None
    fault: Fault | None
    """None of both: it is about nothing that concerns us."""
    left_out: tuple[LeftOut, ...] = ()


class EventFaultError(Exception):
    """The fault of a body as a whole, for the shop's developer."""

    def __init__(self, message: str, remedy: str) -> None:
        """What is wrong and what to send instead."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class _Sent(ShopEvent, frozen=True):
    """As it came: nothing that is said of the customer, or of what led to the order, makes an event wrong."""

    customer: msgspec.Raw = msgspec.Raw(b"null")
    attribution: msgspec.Raw = msgspec.Raw(b"null")  # type: ignore[assignment]  # read in `_attribution`


class _Named(msgspec.Struct):
    event_id: str = ""


_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT: Final = msgspec.json.Decoder(_Sent)
_CUSTOMER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_ATTRIBUTION: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_TEXT: Final = msgspec.json.Decoder(str | None)
_CLICK: Final = "attribution.click_id"
_HINT: Final = msgspec.json.Decoder()
_NAMED: Final = msgspec.json.Decoder(_Named)
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HINTS: Final = {"member_id": read_id, "email": read_email, "browser_token": read_id, "name": read_name}


def parse(body: bytes) -> tuple[list[ShopReport], bool]:
    """The items of a body, each judged by itself, and whether it was a list. Raises EventFaultError."""
    is_list = body.lstrip()[:1] == b"["
    raws = _items(body) if is_list else [body]
    if not 1 <= len(raws) <= EVENTS_MAX:
        count = f"more than {EVENTS_MAX}" if raws else "no"
        raise EventFaultError(f"the list has {count} events", f"send 1 to {EVENTS_MAX} events a request")
    return [judged(raw) for raw in raws], is_list


def unreadable_phone(event: ShopEvent, country: str) -> LeftOut | None:
    """The phone, where a country's people could not read it."""
    phone = event.customer.phone
    return (
        LeftOut("customer.phone", Reason.UNREADABLE) if phone and read_phone(phone, country) is None else None
    )


def needs_country(event: ShopEvent) -> bool:
    """Whether it takes the team's country to read the phone."""
    phone = event.customer.phone
    return bool(phone) and not is_e164(phone)


def _items(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """The items of a list, good JSON or not. Raises EventFaultError where they cannot be told from each other."""
    try:
        return _LIST.decode(body)
    except _UNDECODABLE:
        items = split_items(body, EVENTS_MAX)
    if items is None:
        raise EventFaultError("the body is no JSON list", "send UTF-8 encoded JSON: [, events with commas, ]")
    return items


def judged(raw: bytes | msgspec.Raw) -> ShopReport:
    """What is made of one item."""
    try:
        return _judged(_EVENT.decode(raw))
    except msgspec.ValidationError as error:
        return _refused(raw, error)
    except _UNDECODABLE as error:
        mended = without_broken_text(bytes(raw))
        return _refused(raw, error) if mended == bytes(raw) else judged(mended)


def _refused(raw: bytes | msgspec.Raw, error: Exception) -> ShopReport:
    """With the id, as far as there is one."""
    try:
        event_id = _NAMED.decode(raw).event_id[:EVENT_ID_LENGTH_MAX]
    except _UNDECODABLE:
        event_id = ""
    return ShopReport(event_id, None, fault_of(error, FORMS))


def _judged(sent: _Sent) -> ShopReport:
    for fault in _faults(sent):
        return ShopReport(sent.event_id, None, fault)
    customer, left_out = _customer(sent.customer)
    order, names_left_out = _with_names(sent.order)
    attribution, click_left_out = _attribution(sent.attribution)
    event = ShopEvent(sent.event, sent.event_id, sent.occurred_at, order, customer, sent.refund, attribution)
    return ShopReport(sent.event_id, event, None, (*left_out, *names_left_out, *click_left_out))


def _with_names(order: ShopOrder) -> tuple[ShopOrder, tuple[LeftOut, ...]]:
    """The same, without names of lines that hold what is no text."""
    items = list(order.items or ())
    unusable = [index for index, item in enumerate(items) if item.name and "\x00" in item.name]
    if not unusable:
        return order, ()
    for index in unusable:
        items[index] = msgspec.structs.replace(items[index], name=None)
    left_out = [LeftOut(f"order.items[{index}].name", Reason.CONTROL_CHARACTERS) for index in unusable]
    return msgspec.structs.replace(order, items=items), tuple(left_out)


def _customer(raw: msgspec.Raw) -> tuple[ShopCustomer, tuple[LeftOut, ...]]:
    try:
        sent = _CUSTOMER.decode(raw) or {}
    except (msgspec.ValidationError, RecursionError):
        return ShopCustomer(), (LeftOut("customer", Reason.WRONG_TYPE),)
    found: dict[str, str] = {}
    left_out: list[LeftOut] = []
    for field in ShopCustomer.__struct_fields__:
        hint = _hint(field, sent[field]) if field in sent else ""
        if isinstance(hint, Reason):
            left_out.append(LeftOut(f"customer.{field}", hint))
        else:
            found[field] = hint
    return ShopCustomer(**found), tuple(left_out)


def _attribution(raw: msgspec.Raw) -> tuple[ShopAttribution | None, tuple[LeftOut, ...]]:
    """What led to an order. Who opens a link may write anything into its address, from where shops take it."""
    try:
        sent = _ATTRIBUTION.decode(raw)
    except (msgspec.ValidationError, RecursionError):
        return None, (LeftOut("attribution", Reason.WRONG_TYPE),)
    if sent is None:
        return None, ()
    try:
        click_id = _TEXT.decode(sent.get("click_id", b"null"))
    except (msgspec.ValidationError, RecursionError):
        return ShopAttribution(), (LeftOut(_CLICK, Reason.WRONG_TYPE),)
    fault = line_fault(click_id, TEXT_LENGTH_MAX_OF_ID) if click_id else None
    return (ShopAttribution(), (LeftOut(_CLICK, fault),)) if fault else (ShopAttribution(click_id), ())


def _hint(field: str, raw: msgspec.Raw) -> str | Reason:
    try:
        value = _HINT.decode(raw)
    except RecursionError:
        return Reason.WRONG_TYPE
    except msgspec.ValidationError:
        return Reason.OUT_OF_RANGE  # a number that is none for a computer
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # shops number their members, and spreadsheets take phones for numbers
    if not isinstance(value, str):
        return Reason.WRONG_TYPE
    if field == "phone":
        phone = trimmed(value)
        return line_fault(phone, TEXT_LENGTH_MAX) or phone
    return _HINTS[field](value)


def _faults(event: ShopEvent) -> Iterator[Fault]:
    yield from _line_faults("event_id", event.event_id, required=True)
    if not in_range(event.occurred_at):
        remedy = "send the time of the event, for example 2026-05-01T12:00:00Z"
        yield Fault("occurred_at", Reason.OUT_OF_RANGE, OUT_OF_RANGE, remedy)
    yield from _order_faults(event)
    if event.event == "order.refunded":
        yield from _refund_faults(event)


def _order_faults(event: ShopEvent) -> Iterator[Fault]:
    order = event.order
    if not is_currency(order.currency):
        remedy = "send three capitals of ISO 4217, for example USD"
        yield Fault("order.currency", Reason.MALFORMED, "is no currency code", remedy)
    yield from _line_faults("order.id", order.id, required=event.event != "order.refunded")
    yield from _line_faults("order.number", order.number)
    yield from _line_faults("order.cart_id", order.cart)
    if order.total is not None:
        least = 0 if event.event == "order.updated" else -AMOUNT_MICROS_MAX
        yield from _money_faults("order.total", order.total, least=least)
    elif event.event != "order.refunded":
        yield Fault("order.total", Reason.MISSING, Reason.MISSING.value, FORMS["order.total"])
    for index, item in enumerate(order.items or ()):
        yield from _item_faults(f"order.items[{index}]", item)


def _item_faults(path: str, item: ShopItem) -> Iterator[Fault]:
    if not _QUANTITY.fullmatch(item.quantity_text):
        remedy = "send a number such as 2, 0.5 or -1, or leave it out for 1"
        yield Fault(f"{path}.quantity", Reason.MALFORMED, "is no quantity", remedy)
    if item.unit_price is not None:
        yield from _money_faults(f"{path}.unit_price", item.unit_price)
    yield from _line_faults(f"{path}.product_id", item.product_id)
    yield from _line_faults(f"{path}.sku", item.sku)


def _refund_faults(event: ShopEvent) -> Iterator[Fault]:
    refund = event.refund
    if refund is None:
        yield Fault("refund", Reason.MISSING, Reason.MISSING.value, FORMS["refund"])
        return
    yield from _line_faults("refund.id", refund.id, required=True)
    yield from _money_faults("refund.amount", refund.amount, least=0)


def _line_faults(path: str, text: str | None, *, required: bool = False) -> Iterator[Fault]:
    if required and not (text and shows(text)):
        yield Fault(path, Reason.MISSING, Reason.MISSING.value, "send the shop's own id as a string")
    if text and line_fault(text, TEXT_LENGTH_MAX_OF_ID) is not None:
        yield _control_fault(path)


def _control_fault(path: str) -> Fault:
    return Fault(
        path,
        Reason.CONTROL_CHARACTERS,
        Reason.CONTROL_CHARACTERS.value,
        "send it without line breaks and the like",
    )


def _money_faults(path: str, text: str, *, least: int = -AMOUNT_MICROS_MAX) -> Iterator[Fault]:
    try:
        micros = parse_micros(text)
    except MoneyError as error:
        yield Fault(path, Reason.MALFORMED, str(error), FORMS["order.total"])
        return
    if micros < least and least == 0:
        yield Fault(path, Reason.OUT_OF_RANGE, "must not be negative", "send an amount of 0 or more")
    elif not least <= micros <= AMOUNT_MICROS_MAX:
        yield Fault(path, Reason.OUT_OF_RANGE, "is too large", "send at most 1000000000000")
