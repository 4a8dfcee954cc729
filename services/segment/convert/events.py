"""Reports and changes as they come in, and the answers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.values import KEY, TEXT_LENGTH_MAX, ValueFault, parse_number
from libs.common.hints import Reason, read_click, read_email, read_id, read_name, read_phone_hint
from libs.common.money import format_micros
from libs.common.phones import is_e164
from libs.common.tracing import TRACEPARENT_MAX
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2, segment_service_pb2
from services.segment.convert.checks import Check, local_numbers, reason_number
from services.segment.domain import model
from services.segment.domain.changes import overlap
from services.segment.domain.model import Change, Event, Selector
from services.segment.domain.results import ChangeResult, ChangeStatus, EventResult, refused_event

_ITEMS_MAX: Final = 1_000
_ITEM_NAME_LENGTH_MAX: Final = 500
_MESSAGE_LENGTH_MAX: Final = 500
"""Characters that are kept of what a person wrote; nothing that they write is refused."""
_BUTTON_DATA_LENGTH_MAX: Final = 300
_DEPTH_MAX: Final = 1_000
_TAGS_MAX: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LeftOut(NamedTuple):
    """Something said of a customer that cannot be used."""

    field: str
    reason: Reason


_OF_IDENTITIES: Final = frozenset({"contact_added", "contact_blocked", "message_received", "contact_moved"})
"""Events that name who it was on a channel."""


_OF_SOMEBODY: Final = frozenset({model.CustomerInteracted, model.TeamInteracted})
"""Events of which somebody has to be named."""


class ReadEvent(NamedTuple):
    """A report, or its refusal with everything that is wrong with it."""

    event: Event | EventResult
    left_out: Sequence[LeftOut]
    """What it says of the customer and cannot be used."""


def read_event(message: event_pb2.CustomerEvent, countries: Mapping[str, str]) -> ReadEvent:
    """`countries` by team id, for phones that are not in E.164: see `needs_country`."""
    (read,) = read_events([message], countries)
    return read


def read_events(messages: Iterable[event_pb2.CustomerEvent], countries: Mapping[str, str]) -> list[ReadEvent]:
    """The same of many; ids of teams are read once."""
    check, teams, read = Check(), dict[str, UUID](), []
    for message in messages:
        left_out: list[LeftOut] = []
        read.append(ReadEvent(_read_event(check, message, teams, countries, left_out), left_out))
        if check.violations:
            check = Check()
    return read


def needs_country(message: event_pb2.CustomerEvent) -> bool:
    """Whether it takes the team's country to read the phone, or a number on WhatsApp."""
    customer = message.customer
    phone = customer.phone
    if phone and not is_e164(phone):
        return True
    if not customer.HasField("identity") and message.WhichOneof("event") not in _OF_IDENTITIES:
        return False
    return any(True for _ in local_numbers(_identities(message)))


def _identities(message: event_pb2.CustomerEvent) -> Iterator[customer_pb2.IdentityKey]:
    if message.customer.HasField("identity"):
        yield message.customer.identity
    kind = message.WhichOneof("event")
    if kind in _OF_IDENTITIES:
        yield getattr(message, kind).identity
    if kind == "contact_moved":
        yield _moved_to(message.contact_moved)


def _moved_to(message: event_pb2.ContactMoved) -> customer_pb2.IdentityKey:
    key = message.identity
    return customer_pb2.IdentityKey(
        channel=key.channel, account_id=key.account_id, external_id=message.external_id
    )


def _read_event(
    check: Check,
    message: event_pb2.CustomerEvent,
    teams: dict[str, UUID],
    countries: Mapping[str, str],
    left_out: list[LeftOut],
) -> Event | EventResult:
    """`check` holds no fault; `teams` are those whose ids were read."""
    kind = message.WhichOneof("event")
    if kind is None:
        return refused_event("INVALID_FIELDS", "event is required")
    named = message.team_id
    check.country = countries.get(named, "")
    detail = getattr(message, kind)
    body = _EVENTS[kind](check, detail, kind)
    if type(body) is model.OrderCompleted and (said := detail.click_id):
        click_id = _usable(f"{kind}.click_id", read_click(said), left_out)
        body = msgspec.structs.replace(body, click_id=click_id or "")
    team_id = teams.get(named) or check.uuid("team_id", named)
    name = message.customer_name
    event = Event(
        team_id,
        check.line("event_key", message.event_key),
        _read_hints(check, message.customer, check.country, left_out),
        check.time("occur_time", message, "occur_time") or _EPOCH,
        body,
        (name and _usable("customer_name", read_name(name), left_out)) or "",
    )
    if message.traceparent:
        check.line("traceparent", message.traceparent, length_max=TRACEPARENT_MAX)
    if type(body) in _OF_SOMEBODY and event.selector.is_empty():
        check.fault("customer", "is required")
    if check.violations:
        return refused_event("INVALID_FIELDS", check.summary())
    teams[named] = team_id
    return event


def _read_hints(
    check: Check, message: customer_pb2.CustomerSelector, country: str, left_out: list[LeftOut]
) -> Selector:
    """What an event says of its customer, without what cannot be used. Keys that are ours have to be right."""
    customer_id, member_id, phone, email = (
        message.customer_id,
        message.member_id,
        message.phone,
        message.email,
    )
    token = message.browser_token
    return Selector(
        check.uuid("customer.customer_id", customer_id) if customer_id else None,
        _usable("customer.member_id", read_id(member_id), left_out) if member_id else None,
        _usable("customer.phone", read_phone_hint(phone, country), left_out) if phone else None,
        _usable("customer.email", read_email(email), left_out) if email else None,
        check.identity("customer.identity", message.identity) if message.HasField("identity") else None,
        _usable("customer.browser_token", read_id(token), left_out) if token else None,
    )


def _usable(field: str, hint: str | Reason, left_out: list[LeftOut]) -> str | None:
    if isinstance(hint, Reason):
        left_out.append(LeftOut(field, hint))
        return None
    return hint or None


def numbers_of(message: customer_pb2.CustomerSelector) -> list[str]:
    """What of a selector is read as people of the team's country write it."""
    return [message.phone, *local_numbers([message.identity])]


def read_selector(check: Check, message: customer_pb2.CustomerSelector, country: str) -> Selector:
    """Ways to find a customer, all of which have to be right."""
    customer_id, member_id, phone, email = (
        message.customer_id,
        message.member_id,
        message.phone,
        message.email,
    )
    identity = None
    check.country = country
    if message.HasField("identity"):
        identity = check.identity("customer.identity", message.identity)
    token = message.browser_token
    return Selector(
        check.uuid("customer.customer_id", customer_id) if customer_id else None,
        check.member("customer.member_id", member_id),
        check.phone("customer.phone", phone, country),
        check.email("customer.email", email),
        identity,
        check.member("customer.browser_token", token),
    )


def add_event_result(
    answer: segment_service_pb2.RecordEventsResponse, result: EventResult, left_out: Sequence[LeftOut]
) -> None:
    """Adds the answer to a report."""
    # Made where it stays: a message that is put into a list is copied.
    message = answer.results.add(
        status=int(result.status),
        customer_id=str(result.customer_id or ""),
    )
    if result.customer_created:
        message.customer_created = True
    if result.reason:
        message.reason = reason_number(result.reason)
        message.message = result.message
    for each in left_out:
        message.left_out.add(field=each.field, message=each.reason.value)


def read_change(message: change_pb2.Change) -> Change | ChangeResult:
    """A change, or its refusal."""
    check = Check()
    kind = message.WhichOneof("change")
    if kind is None:
        return ChangeResult(ChangeStatus.REFUSED, "INVALID_FIELDS")
    change = Change(
        effect_key=check.uuid("effect_key", message.effect_key),
        team_id=check.uuid("team_id", message.team_id),
        customer_id=check.uuid("customer_id", message.customer_id),
        depth=check.whole("depth", message.depth, least=0, most=_DEPTH_MAX),
        occurred_at=check.time("occur_time", message, "occur_time") or _EPOCH,
        body=_CHANGES[kind](check, getattr(message, kind)),
    )
    return ChangeResult(ChangeStatus.REFUSED, "INVALID_FIELDS") if check.violations else change


def change_result_message(result: ChangeResult) -> change_pb2.ChangeResult:
    """The answer to a change."""
    message = change_pb2.ChangeResult(status=int(result.status), replayed=result.replayed)  # type: ignore[arg-type]
    if result.reason:
        message.reason = reason_number(result.reason)
    return message


def read_tag_change(check: Check, add: Any, remove: Any) -> model.TagChange:
    """Tags to add and to remove; none may be in both."""
    change = model.TagChange(check.tags("add", add), check.tags("remove", remove))
    check.count("add", change.add, most=_TAGS_MAX)
    check.count("remove", change.remove, most=_TAGS_MAX)
    for tag in sorted(overlap(change.add, change.remove)):
        check.fault("remove", f"the tag {tag} is also to be added")
    return change


def _order_completed(check: Check, message: event_pb2.OrderCompleted, _path: str) -> model.OrderCompleted:
    """Of all events these are most, with most fields: their paths are made where they are told alone."""
    items = message.items
    check.count("order_completed.items", items, most=_ITEMS_MAX)
    amount, currency = check.money("order_completed.amount", message.amount)
    number, cart_id = message.order_number, message.cart_id
    return model.OrderCompleted(
        check.key("order_completed.shop_id", message.shop_id),
        check.key("order_completed.order_id", message.order_id),
        amount,
        currency,
        check.line("order_completed.order_number", number, required=False) if number else "",
        tuple([_item(check, item, place) for place, item in enumerate(items)]),
        message.signed,
        message.test,
        cart_id=check.key("order_completed.cart_id", cart_id, required=False) if cart_id else "",
    )


def _item(check: Check, message: event_pb2.OrderItem, place: int) -> model.Item:
    name, quantity = message.name, message.quantity
    if len(name) > _ITEM_NAME_LENGTH_MAX:
        check.fault(_of_item(place, "name"), f"must have at most {_ITEM_NAME_LENGTH_MAX} characters")
    elif "\0" in name:
        check.fault(_of_item(place, "name"), "must not hold U+0000: take it out")
    if quantity:
        try:
            parse_number(quantity)
        except ValueFault as fault:
            check.fault(_of_item(place, "quantity"), str(fault))
    price: int | None = None
    currency = ""
    if message.HasField("unit_price"):
        price, currency = check.money(_of_item(place, "unit_price"), message.unit_price)
    product_id, sku = message.product_id, message.sku
    if not product_id and not sku:
        return model.Item(name, quantity or "1", price, currency)
    product_id = check.line(_of_item(place, "product_id"), product_id, required=False)
    sku = check.line(_of_item(place, "sku"), sku, required=False)
    return model.Item(name, quantity or "1", price, currency, product_id, sku)


def _of_item(place: int, name: str) -> str:
    return f"order_completed.items[{place}].{name}"


def _order_refunded(check: Check, message: event_pb2.OrderRefunded, path: str) -> model.OrderRefunded:
    amount, currency = check.money(f"{path}.amount", message.amount)
    if amount < 0:
        check.fault(f"{path}.amount", "must not be negative")
    return model.OrderRefunded(
        shop_id=check.key(f"{path}.shop_id", message.shop_id),
        refund_id=check.key(f"{path}.refund_id", message.refund_id),
        amount_micros=amount,
        currency=currency,
        order_id=check.key(f"{path}.order_id", message.order_id, required=False),
        signed=message.signed,
    )


def _order_updated(check: Check, message: event_pb2.OrderUpdated, path: str) -> model.OrderRefunded:
    """What is left makes a refund, which has its name by that: it is the same however often it is said."""
    left, currency = check.money(f"{path}.left_amount", message.left_amount)
    if left < 0:
        check.fault(f"{path}.left_amount", "must not be negative")
    order_id = check.key(f"{path}.order_id", message.order_id)
    return model.OrderRefunded(
        shop_id=check.key(f"{path}.shop_id", message.shop_id),
        refund_id=f"{order_id}:left:{format_micros(left)}",
        amount_micros=0,
        currency=currency,
        order_id=order_id,
        signed=message.signed,
        left_micros=left,
    )


def _contact_added(check: Check, message: event_pb2.ContactAdded, path: str) -> model.ContactAdded:
    return model.ContactAdded(check.identity(f"{path}.identity", message.identity))


def _contact_blocked(check: Check, message: event_pb2.ContactBlocked, path: str) -> model.ContactBlocked:
    return model.ContactBlocked(check.identity(f"{path}.identity", message.identity))


def _contact_moved(check: Check, message: event_pb2.ContactMoved, path: str) -> model.ContactMoved:
    before = check.identity(f"{path}.identity", message.identity)
    now = Check()
    now.country = check.country
    external_id = now.identity(path, _moved_to(message)).external_id
    for violation in now.violations:
        if violation.field == f"{path}.external_id":
            check.fault(violation.field, violation.description)
    if external_id == before.external_id:
        check.fault(f"{path}.external_id", "must be another id than before")
    return model.ContactMoved(before, external_id)


def _message_received(check: Check, message: event_pb2.MessageReceived, path: str) -> model.MessageReceived:
    return model.MessageReceived(
        check.identity(f"{path}.identity", message.identity),
        message.text[:_MESSAGE_LENGTH_MAX],
        check.text(
            f"{path}.button_data", message.button_data, length_max=_BUTTON_DATA_LENGTH_MAX, length_min=0
        ),
        check.optional_uuid(f"{path}.effect_key", message.effect_key),
    )


def _customer_interacted(_check: Check, _message: object, _path: str) -> model.CustomerInteracted:
    return model.CustomerInteracted()


def _team_interacted(_check: Check, _message: object, _path: str) -> model.TeamInteracted:
    return model.TeamInteracted()


def _tags(check: Check, message: change_pb2.TagChange) -> model.TagChange:
    return read_tag_change(check, message.add, message.remove)


def _set_attribute(check: Check, message: change_pb2.AttributeChange) -> model.AttributeChange:
    if not KEY.fullmatch(message.key):
        check.fault("set_attribute.key", "is no key of an attribute")
    if "\x00" in message.text:
        check.fault("set_attribute.text", "must not hold the character U+0000")
    text = check.text("set_attribute.text", message.text, length_max=TEXT_LENGTH_MAX)
    return model.AttributeChange(message.key, text)


def _mark_marketed(check: Check, message: change_pb2.MarketedChange) -> model.MarketedChange:
    return model.MarketedChange(check.time("mark_marketed.at", message, "at") or _EPOCH)


_EVENTS: Final[dict[str, Callable[[Check, Any, str], model.EventBody]]] = {
    "order_completed": _order_completed,
    "order_refunded": _order_refunded,
    "order_updated": _order_updated,
    "contact_added": _contact_added,
    "contact_blocked": _contact_blocked,
    "message_received": _message_received,
    "contact_moved": _contact_moved,
    "customer_interacted": _customer_interacted,
    "team_interacted": _team_interacted,
}
_CHANGES: Final[dict[str, Callable[[Check, Any], model.ChangeBody]]] = {
    "tags": _tags,
    "set_attribute": _set_attribute,
    "mark_marketed": _mark_marketed,
}
