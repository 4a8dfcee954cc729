"""What the webhooks of WhatsApp tell: messages, what became of ours, and what people want."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from libs.common.channel_ids import BUSINESS_SCOPED
from libs.common.phones import whatsapp_id
from services.channel_gateway.domain.callbacks import read_callback
from services.channel_gateway.domain.heard import (
    Heard,
    Item,
    ItemFaultError,
    Left,
    Limited,
    MessageFailed,
    MessageReceipt,
    MessageTaken,
    Moved,
    Preference,
    PreferenceSource,
    Wrote,
    checked_id,
    kept_id,
)
from services.channel_gateway.domain.hook_bodies import read_items, read_loosely, read_part
from services.channel_gateway.domain.meta_notices import PASSED_OVER, read_notice
from services.channel_gateway.domain.meta_parts import CHANGE, Id, at_seconds
from services.channel_gateway.domain.meta_templates import is_of_templates, read_template
from services.channel_gateway.domain.receipts import ReceiptKind
from services.channel_gateway.domain.whatsapp_messages import WhatsappMessage, answered_id, said

_WA_ID: Final = re.compile(r"[0-9]{5,20}")
_FIELDS: Final = frozenset({"messages", "user_preferences", "user_id_update"})
_CHANGED: Final = frozenset({"user_changed_number", "customer_changed_number", "user_changed_user_id"})
"""Kinds of notices that somebody is known by other ids from now on."""
_RECEIPTS: Final = {
    "delivered": ReceiptKind.DELIVERED,
    "read": ReceiptKind.READ,
    "played": ReceiptKind.READ,
    "failed": ReceiptKind.FAILED,
}
_TAKEN: Final = frozenset({"sent", *_RECEIPTS})
"""Whatever becomes of a message: WhatsApp has it."""
_OPTED_OUT: Final = 131050
"""Code: the person stopped the business's marketing messages."""
_LIMITED: Final = 131049
"""Code: the person gets enough marketing of businesses; not to be tried again within a day."""
_UNREACHABLE: Final = 131026
"""Code: the person has no WhatsApp, or blocked the business. As a rule it comes after the message was accepted."""
_WANTED: Final = {"stop": False, "resume": True}


class _Metadata(msgspec.Struct, frozen=True):
    phone_number_id: Id = ""


class _Place(msgspec.Struct, frozen=True):
    metadata: _Metadata | None = None


class _PlacedChange(msgspec.Struct, frozen=True):
    value: _Place | None = None


class _Profile(msgspec.Struct, frozen=True):
    name: str = ""


class _Contact(msgspec.Struct, frozen=True):
    wa_id: str = ""
    user_id: str = ""
    profile: _Profile | None = None


class _Value(msgspec.Struct, frozen=True):
    contacts: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []
    statuses: list[msgspec.Raw] = []
    user_preferences: list[msgspec.Raw] = []
    user_id_update: list[msgspec.Raw] = []


class _Error(msgspec.Struct, frozen=True):
    code: int = 0


class _Status(msgspec.Struct, frozen=True):
    """What became of a message of ours."""

    status: str
    id: str = ""
    """Of the message, on WhatsApp."""
    timestamp: Id = ""
    """Seconds."""
    recipient_id: str = ""
    recipient_user_id: str = ""
    biz_opaque_callback_data: str = ""
    """What we sent with it."""
    errors: list[_Error] = []


class _UserPreference(msgspec.Struct, frozen=True):
    value: str
    timestamp: Id
    """Seconds."""
    wa_id: str = ""
    user_id: str = ""
    category: str = ""


class _UserIds(msgspec.Struct, frozen=True):
    previous: str = ""
    current: str = ""


class _UserIdUpdate(msgspec.Struct, frozen=True):
    user_id: _UserIds
    timestamp: Id
    """Seconds."""


_PLACED: Final = msgspec.json.Decoder(_PlacedChange)
_VALUE: Final = msgspec.json.Decoder(_Value)
_CONTACT: Final = msgspec.json.Decoder(_Contact)
_MESSAGE: Final = msgspec.json.Decoder(WhatsappMessage)
_STATUS: Final = msgspec.json.Decoder(_Status)
_USER_PREFERENCE: Final = msgspec.json.Decoder(_UserPreference)
_USER_ID_UPDATE: Final = msgspec.json.Decoder(_UserIdUpdate)


def number_of(change: msgspec.Raw) -> str:
    """The phone number that a change is for, as Meta names it; empty where it is for none."""
    try:
        value = read_part(_PLACED, change).value
    except ItemFaultError:
        return ""
    return str(value.metadata.phone_number_id) if value is not None and value.metadata is not None else ""


def is_passed_over(change: msgspec.Raw) -> bool:
    """Whether a change is of what does not concern us."""
    try:
        return read_part(CHANGE, change).field in PASSED_OVER
    except ItemFaultError:
        return False


def lacks_number(change: msgspec.Raw) -> bool:
    """Whether a change that names no number would have to."""
    try:
        return read_part(CHANGE, change).field in _FIELDS
    except ItemFaultError:
        return True


def is_of_account(change: msgspec.Raw) -> bool:
    """Whether a change is of none of the fields that name people."""
    try:
        return read_part(CHANGE, change).field not in _FIELDS
    except ItemFaultError:
        return False


def read_changes(changes: Iterable[msgspec.Raw], entry_time: Id) -> list[Item]:
    """What changes of an entry tell, event by event; `entry_time` in seconds, of what has no time of its own."""
    items: list[Item] = []
    for raw in changes:
        if is_of_templates(raw):
            items += read_items([raw], lambda change: read_template(change, at_seconds(entry_time)))
            continue
        if not is_passed_over(raw) and is_of_account(raw):
            items += read_items([raw], lambda change: read_notice(change, at_seconds(entry_time)))
            continue
        try:
            value, faults = _value(raw)
        except ItemFaultError as fault:
            items.append(Item(fault=str(fault)))
            continue
        items += faults
        items += read_items(value.messages, functools.partial(_message, names=_names(value.contacts)))
        items += read_items(value.statuses, _status)
        items += read_items(value.user_preferences, _preference)
        items += read_items(value.user_id_update, _other_user_id)
    return items


def _value(raw: msgspec.Raw) -> tuple[_Value, list[Item]]:
    """What a change says of messages and of what people want, and what of it cannot be read; nothing where it is of
    another field."""
    change = read_part(CHANGE, raw)
    return read_loosely(_VALUE, change.value) if change.field in _FIELDS else (_Value(), [])


def event_count(raw: msgspec.Raw) -> int:
    """How many events a change has: what holds nothing is one."""
    try:
        value, faults = _value(raw)
    except ItemFaultError:
        return 1
    parts = (value.messages, value.statuses, value.user_preferences, value.user_id_update)
    return max(1, len(faults) + sum(map(len, parts)))


def _names(contacts: Iterable[msgspec.Raw]) -> dict[str, str]:
    """Names of people, by their numbers, or by their ids where they show none."""
    names: dict[str, str] = {}
    for raw in contacts:
        try:
            contact = read_part(_CONTACT, raw)
        except ItemFaultError:
            continue  # the message counts without it
        if contact.profile is not None:
            names[contact.wa_id or contact.user_id] = contact.profile.name
    return names


def _message(part: msgspec.Raw, names: Mapping[str, str]) -> tuple[Heard, ...]:
    message = read_part(_MESSAGE, part)
    if message.type == "system":
        return _noticed(message)
    sender = _person(message.sender, message.from_user_id)
    if sender is None:
        raise ItemFaultError("from is no phone number, and from_user_id no id of a person")
    text, press = said(message)
    at, key = at_seconds(message.timestamp), checked_id(message.id, "id")
    name = names.get(message.sender or message.from_user_id, "")
    answered = kept_id(answered_id(message))
    return (Wrote(sender, at, key, name, press.text or text, press.data, press.effect_key, answered),)


def _noticed(message: WhatsappMessage) -> tuple[Heard, ...]:
    """Who is known by another number, and by another id of the business's, which come together or apart."""
    notice = message.system
    if notice is None or notice.type not in _CHANGED:
        return ()
    at, key = at_seconds(message.timestamp), checked_id(message.id, "id")
    pairs = (
        (_number(notice.customer or message.sender), _number(notice.wa_id or notice.new_wa_id)),
        (_user_id(notice.previous_user_id or message.from_user_id), _user_id(notice.user_id)),
    )
    known = [(old, new) for old, new in pairs if old is not None and new is not None]
    if not known:
        raise ItemFaultError("it does not say by which ids the person was known, and is")
    names = ("", ".user_id")
    return tuple(
        Moved(old, at, f"{key}{name}", new)
        for name, (old, new) in zip(names, known, strict=False)
        if old != new
    )


def _other_user_id(part: msgspec.Raw) -> tuple[Heard, ...]:
    update = read_part(_USER_ID_UPDATE, part)
    old, new = _user_id(update.user_id.previous), _user_id(update.user_id.current)
    if old is None or new is None:
        raise ItemFaultError("user_id does not say by which ids the person was known, and is")
    at = at_seconds(update.timestamp)
    return (Moved(old, at, f"{old}.{update.timestamp}", new),) if old != new else ()


def _user_id(text: str) -> str | None:
    return text if BUSINESS_SCOPED.fullmatch(text) else None


def _status(part: msgspec.Raw) -> tuple[Heard, ...]:
    """Steps that we go by. Who opted out is known by the refusal, too."""
    status = read_part(_STATUS, part)
    kind = _RECEIPTS.get(status.status)
    heard: list[Heard] = []
    if status.status in _TAKEN and (ours := read_callback(status.biz_opaque_callback_data)) is not None:
        heard.append(MessageTaken(ours.effect_key, ours.number, kept_id(status.id), *_whom_and_when(status)))
        if kind is not None:
            heard.append(MessageReceipt(ours.effect_key, kind, _code(status, kind)))
    codes = {error.code for error in status.errors} if kind is ReceiptKind.FAILED else frozenset()
    person = _person(status.recipient_id, status.recipient_user_id) if codes else None
    if _OPTED_OUT in codes and person is not None:
        heard.append(Preference(person, at_seconds(status.timestamp), False, PreferenceSource.CHANNEL))
    if _LIMITED in codes and person is not None:
        heard.append(Limited(person, at_seconds(status.timestamp)))
    if _UNREACHABLE in codes and person is not None and kept_id(status.id):
        heard.append(Left(person, at_seconds(status.timestamp), f"{status.id}.failed"))
    heard += _of_account(status, codes)
    return tuple(heard)


def _of_account(status: _Status, codes: Iterable[int]) -> list[Heard]:
    """What codes may say of more than one message; that a time is none costs no receipt."""
    ours = read_callback(status.biz_opaque_callback_data)
    key = ours.effect_key if ours is not None else None
    try:
        return [MessageFailed(at_seconds(status.timestamp), code, key) for code in sorted(codes)]
    except ItemFaultError:
        return []


def _person(number: str, user_id: str) -> str | None:
    """Who somebody is: by their number, or, where they show none, by what the business knows them by; None: nobody."""
    if number:
        return _number(number)
    return _user_id(user_id)


def _number(text: str) -> str | None:
    """A person's number in the one spelling that it is kept in; None for what is none."""
    number = whatsapp_id(text, "")
    return number if number is not None and _WA_ID.fullmatch(number) else None


def _code(status: _Status, kind: ReceiptKind) -> int:
    return status.errors[0].code if status.errors and kind is ReceiptKind.FAILED else 0


def _whom_and_when(status: _Status) -> tuple[str, datetime | None]:
    """To whom a message went, and when; nobody of one that did not come, or of which it is not said."""
    person = _person(status.recipient_id, status.recipient_user_id)
    if status.status == "failed" or person is None:
        return "", None
    try:
        return person, at_seconds(status.timestamp)
    except ItemFaultError:
        return "", None


def _preference(part: msgspec.Raw) -> tuple[Heard, ...]:
    preference = read_part(_USER_PREFERENCE, part)
    wanted = _WANTED.get(preference.value.lower())
    if wanted is None or not preference.category:
        raise ItemFaultError("it does not say what is wanted, or of which messages: nothing was done")
    if preference.category != "marketing_messages":
        return ()
    person = _person(preference.wa_id, preference.user_id)
    if person is None:
        raise ItemFaultError("wa_id is no phone number, and user_id no id of a person")
    return (Preference(person, at_seconds(preference.timestamp), wanted, PreferenceSource.CHANNEL),)
