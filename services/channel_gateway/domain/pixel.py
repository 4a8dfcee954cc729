"""Orders that a page reports: what they say, and whether the shop's back end vouches for them. Pure.

Anybody can post what a page can. So an order counts by itself only with a token that the shop's back end made of it:
then the token says what was bought, for how much and by whom, and the page adds no more than its browser and the lines.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from libs.common.hints import Reason
from services.channel_gateway.domain.json_faults import Fault, fault_of
from services.channel_gateway.domain.json_items import without_broken_text
from services.channel_gateway.domain.platform_bodies import Json, part_of, read_body, refused
from services.channel_gateway.domain.shop_events import EventFaultError, ShopReport, judged
from services.channel_gateway.domain.shop_forms import FORMS

EVENTS_MAX: Final = 20
TOKEN_LENGTH_MAX: Final = 4_000
SIGNED: Final = "signed"
UNSIGNED: Final = "unsigned"
_KIND: Final = "order.completed"
_PREFIX: Final = "order-token.v1."
_REMEDY: Final = "send a token that the shop's back end made of this order, or none"


class OrderToken(msgspec.Struct, frozen=True):
    """What the shop's back end vouches for."""

    shop_id: str
    order_id: str
    currency: str
    total: str
    expires_at: int
    """Seconds since 1970."""
    member_id: str = ""
    phone: str = ""
    email: str = ""


class PixelEvent(NamedTuple):
    """One event of a page's body."""

    body: bytes
    """As it is stored."""
    is_signed: bool
    report: ShopReport


_TOKEN: Final = msgspec.json.Decoder(OrderToken)


def signed_token(key: bytes, token: OrderToken) -> str:
    """A token as a shop's back end makes it."""
    payload = base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")
    return f"{payload}.{_code(key, payload)}"


def read_token(keys: Iterable[bytes], text: str) -> OrderToken | None:
    """What a token says; None where none of the keys made it."""
    payload, _, code = text.partition(".")
    good = False
    for key in keys:
        good |= hmac.compare_digest(_code(key, payload).encode(), code.encode(errors="replace"))
    if not good:
        return None
    try:
        return _TOKEN.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        return None


def pixel_events(
    body: bytes, shop_id: str, keys: Iterable[bytes], now: datetime
) -> tuple[list[PixelEvent], bool]:
    """The events of a page's body, and whether it was a list. Raises EventFaultError."""
    read = read_body(body)
    items = read if isinstance(read, list) else [read]
    if not 1 <= len(items) <= EVENTS_MAX:
        count = f"more than {EVENTS_MAX}" if items else "no"
        raise EventFaultError(f"the list has {count} events", f"send 1 to {EVENTS_MAX} events a request")
    known = list(keys)
    return [_read_event(item, shop_id, known, now) for item in items], isinstance(read, list)


def stored_report(body: bytes) -> ShopReport:
    """What a stored event says."""
    return judged(without_broken_text(body))


def _read_event(item: Any, shop_id: str, keys: list[bytes], now: datetime) -> PixelEvent:
    try:
        return _event(item, shop_id, keys, now)
    except RecursionError as error:
        return PixelEvent(b"", False, ShopReport(_id_of(item), None, fault_of(error, FORMS)))


def _event(item: Any, shop_id: str, keys: list[bytes], now: datetime) -> PixelEvent:
    if not isinstance(item, dict):
        return PixelEvent(b"", False, refused("", "", "is no event", 'send an object such as {"event": …}'))
    kept = {name: value for name, value in item.items() if name != "order_token"}
    given = item.get("order_token")
    token = None
    if given is not None:
        token = read_token(keys, given) if isinstance(given, str) and len(given) <= TOKEN_LENGTH_MAX else None
        if fault := _token_fault(token, item, shop_id, now):
            return PixelEvent(b"", False, ShopReport(_id_of(item), None, fault))
        assert token is not None, "a token that was given and has no fault"
        kept = _vouched_for(kept, token)
    stored = msgspec.json.encode(_bare(kept))
    if item.get("event") != _KIND:
        return PixelEvent(stored, False, ShopReport(_id_of(item), None, None))
    return PixelEvent(stored, token is not None, judged(stored))


def _token_fault(token: OrderToken | None, item: Json, shop_id: str, now: datetime) -> Fault | None:
    if token is None:
        return Fault("order_token", Reason.MALFORMED, "is signed with no key of this shop", _REMEDY)
    if token.shop_id != shop_id:
        return Fault("order_token", Reason.MALFORMED, "is of another shop", _REMEDY)
    if token.order_id != part_of(item, "order", "id"):
        return Fault("order_token", Reason.MALFORMED, "is of another order", _REMEDY)
    if token.expires_at <= now.timestamp():
        return Fault("order_token", Reason.OUT_OF_RANGE, "has expired", _REMEDY)
    return None


def _vouched_for(item: Json, token: OrderToken) -> Json:
    """What the token says in the place of what the page does."""
    hints = {"member_id": token.member_id, "phone": token.phone, "email": token.email}
    said = {name: hint for name, hint in hints.items() if hint}
    page = item.get("customer")
    customer = (
        page if isinstance(page, dict) and not said else {"browser_token": part_of(page, "browser_token")}
    )
    order = {**item["order"], "currency": token.currency, "total": token.total}
    return {**item, "customer": {**customer, **said}, "order": order}


def _bare(value: Any) -> Any:
    """The same with numbers as texts, but for quantities, which are taken either way."""
    if isinstance(value, dict):
        return {str(name): _bare(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _id_of(item: Json) -> str:
    event_id = item.get("event_id")
    return str(event_id)[:100] if isinstance(event_id, str) else ""


def _code(key: bytes, payload: str) -> str:
    digest = hmac.digest(key, (_PREFIX + payload).encode(errors="replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
