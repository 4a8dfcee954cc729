"""Webhooks of Meta: WhatsApp, Messenger and Instagram have one envelope, in which entries of several accounts may come.

https://developers.facebook.com/docs/graph-api/webhooks, and the pages of the three products. Fields and kinds of events
that are not named here are passed over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from services.channel_gateway.domain.heard import (
    Heard,
    Item,
    ItemFaultError,
    MessageReceipt,
    PageReceipt,
    Preference,
    PreferenceSource,
    Wrote,
    checked_id,
    time_of_ms,
)
from services.channel_gateway.domain.hook_bodies import check_count, read_items, read_part, read_whole
from services.channel_gateway.domain.meta_templates import is_of_templates, read_template
from services.channel_gateway.domain.model import Channel, ConnectionKind
from services.channel_gateway.domain.presses import NOT_PRESSED, Pressed, pressed
from services.channel_gateway.domain.receipts import ReceiptKind
from services.channel_gateway.domain.unreachable import read_unreachable
from services.channel_gateway.domain.whatsapp_messages import WhatsappMessage, said

_KINDS: Final = {
    "whatsapp_business_account": ConnectionKind.WHATSAPP,
    "page": ConnectionKind.MESSENGER,
    "instagram": ConnectionKind.INSTAGRAM,
}
CHANNELS: Final = {
    "whatsapp_business_account": Channel.WHATSAPP,
    "page": Channel.MESSENGER,
    "instagram": Channel.INSTAGRAM,
}
_WA_ID: Final = re.compile(r"[0-9]{5,20}")
_PERSON_ID: Final = re.compile(r"[0-9]{1,32}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_MOMENT: Final = re.compile(r"[0-9]{1,15}")
"""In seconds, or, where it has more digits than they have, in milliseconds."""
_FIELDS: Final = frozenset({"messages", "user_preferences"})
_TALK_FIELDS: Final = frozenset({"messages", "messaging_postbacks", "messaging_referral", "messaging_optins"})
"""Of changes of Instagram: what `messaging` has elsewhere."""
_RECEIPTS: Final = {
    "delivered": ReceiptKind.DELIVERED,
    "read": ReceiptKind.READ,
    "played": ReceiptKind.READ,
    "failed": ReceiptKind.FAILED,
}
_CALLBACK: Final = re.compile(r"([0-9a-f]{32}):([0-9a-f]{32}):[0-9]{1,3}")
_OPTED_OUT: Final = 131050
"""Code: the person stopped the business's marketing messages."""
_WANTED: Final = {"stop": False, "resume": True}
RECEIPT_MESSAGES_MAX: Final = 200
"""Ids of messages that one receipt may name; more are passed over."""
_Id = str | int


class _Entry(msgspec.Struct, frozen=True):
    id: _Id = ""
    time: _Id = ""
    """Seconds; of what comes without a time of its own."""
    changes: list[msgspec.Raw] = []
    messaging: list[msgspec.Raw] = []
    standby: list[msgspec.Raw] = []
    """In place of `messaging` while another app answers."""
    unreachable: list[msgspec.Raw] = []
    """Our own: whom the account could not write to."""


class _Body(msgspec.Struct, frozen=True):
    object: str
    entry: list[msgspec.Raw] = []


class _Metadata(msgspec.Struct, frozen=True):
    phone_number_id: _Id = ""


class _Place(msgspec.Struct, frozen=True):
    metadata: _Metadata | None = None


class _PlacedChange(msgspec.Struct, frozen=True):
    value: _Place | None = None


class _Profile(msgspec.Struct, frozen=True):
    name: str = ""


class _Contact(msgspec.Struct, frozen=True):
    wa_id: str = ""
    profile: _Profile | None = None


class _Value(msgspec.Struct, frozen=True):
    contacts: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []
    statuses: list[msgspec.Raw] = []
    user_preferences: list[msgspec.Raw] = []


class _Error(msgspec.Struct, frozen=True):
    code: int = 0


class _Status(msgspec.Struct, frozen=True):
    """What became of a message of ours."""

    status: str
    timestamp: _Id = ""
    """Seconds."""
    recipient_id: str = ""
    biz_opaque_callback_data: str = ""
    """What we sent with it: team, key of the effect, number of the message, the ids in hexadecimal."""
    errors: list[_Error] = []


class _UserPreference(msgspec.Struct, frozen=True):
    value: str
    timestamp: _Id
    """Seconds."""
    wa_id: str = ""
    category: str = ""


class _Change(msgspec.Struct, frozen=True):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _Person(msgspec.Struct, frozen=True):
    id: str = ""


class _Payload(msgspec.Struct, frozen=True):
    payload: str = ""


class _Sent(msgspec.Struct, frozen=True):
    """Written by a person, or by the account itself (an echo)."""

    mid: str = ""
    text: str = ""
    quick_reply: _Payload | None = None
    is_echo: bool = False
    is_self: bool = False
    is_deleted: bool = False


class _Postback(msgspec.Struct, frozen=True):
    mid: str = ""
    title: str = ""
    payload: str = ""


class _Reported(msgspec.Struct, frozen=True):
    """That messages came, or were read: one (Instagram), some, or all until a time in milliseconds (Messenger)."""

    mid: str = ""
    mids: list[str] = []
    watermark: int = 0


class _Messaging(msgspec.Struct, frozen=True):
    sender: _Person = _Person()
    timestamp: _Id = -1
    """Milliseconds; in changes of Instagram seconds, as text."""
    message: _Sent | None = None
    postback: _Postback | None = None
    delivery: _Reported | None = None
    read: _Reported | None = None
    referral: Any = None
    optin: Any = None


_ONE: Final = msgspec.json.Decoder(_Body)
_SEVERAL: Final = msgspec.json.Decoder(list[_Body])
_ENTRY: Final = msgspec.json.Decoder(_Entry)
_PLACED: Final = msgspec.json.Decoder(_PlacedChange)
_CHANGE: Final = msgspec.json.Decoder(_Change)
_VALUE: Final = msgspec.json.Decoder(_Value)
_CONTACT: Final = msgspec.json.Decoder(_Contact)
_MESSAGE: Final = msgspec.json.Decoder(WhatsappMessage)
_STATUS: Final = msgspec.json.Decoder(_Status)
_USER_PREFERENCE: Final = msgspec.json.Decoder(_UserPreference)
_MESSAGING: Final = msgspec.json.Decoder(_Messaging)


class Sender(NamedTuple):
    """The account that a part of a body is for, as Meta names it."""

    kind: ConnectionKind
    sender_id: str
    """Phone number, page or Instagram account; the business account, where it is for all numbers of that."""
    owns: bool = False
    """It is a business account."""


class Share(NamedTuple):
    """What a body has for one account."""

    body: bytes
    """A body by itself, its entries byte for byte as they came."""
    event_count: int


# ---- for whom it is


def shares(body: bytes) -> dict[Sender, Share]:
    """A body by the accounts that it is for; what names none is left out. Raises BodyFaultError."""
    wholes = _wholes(body)
    parts: dict[Sender, list[bytes]] = {}
    counts: dict[Sender, int] = {}
    names: dict[Sender, str] = {}
    for whole in wholes:
        for sender, entry, count in _entries(whole):
            parts.setdefault(sender, []).append(entry)
            counts[sender] = counts.get(sender, 0) + count
            names[sender] = whole.object
    check_count(sum(counts.values()))
    if len(parts) == 1 and len(wholes) == 1 and len(wholes[0].entry) == len(next(iter(parts.values()))):
        return {sender: Share(body, count) for sender, count in counts.items()}
    return {sender: Share(_body(names[sender], own), counts[sender]) for sender, own in parts.items()}


def _wholes(body: bytes) -> list[_Body]:
    if body.lstrip()[:1] == b"[":
        return read_whole(_SEVERAL, body)
    return [read_whole(_ONE, body)]


def _entries(whole: _Body) -> Iterator[tuple[Sender, bytes, int]]:
    """Whom each entry, or a part of one, is for, and how many events it has."""
    kind = _KINDS.get(whole.object)
    check_count(len(whole.entry))
    for raw in whole.entry if kind is not None else ():
        try:
            entry = read_part(_ENTRY, raw)
        except ItemFaultError:
            continue  # it names nobody who could be told
        assert kind is not None
        if kind is ConnectionKind.WHATSAPP:
            yield from _numbers(entry, bytes(raw))
        else:
            count = len(entry.messaging) + len(entry.standby) + len(entry.changes)
            yield Sender(kind, str(entry.id)), bytes(raw), max(count, 1)  # what holds nothing is stored, too


def _numbers(entry: _Entry, raw: bytes) -> Iterator[tuple[Sender, bytes, int]]:
    """Changes of a business account by its phone numbers."""
    senders: dict[Sender, list[bytes]] = {}
    for change in entry.changes:
        if number := _number(change):
            sender = Sender(ConnectionKind.WHATSAPP, number)
        elif entry.id and is_of_templates(change):
            sender = Sender(ConnectionKind.WHATSAPP, str(entry.id), owns=True)
        else:
            continue
        senders.setdefault(sender, []).append(bytes(change))
    head = b'"id":%b,"time":%b' % (_json(str(entry.id)), _json(entry.time))
    for sender, changes in senders.items():
        whole = len(changes) == len(entry.changes)
        part = raw if whole else b'{%b,"changes":[%b]}' % (head, b",".join(changes))
        yield sender, part, sum(_count(msgspec.Raw(change)) for change in changes)


def _number(change: msgspec.Raw) -> str:
    try:
        value = read_part(_PLACED, change).value
    except ItemFaultError:
        return ""
    return str(value.metadata.phone_number_id) if value is not None and value.metadata is not None else ""


def _body(name: str, entries: Iterable[bytes]) -> bytes:
    return b'{"object":%b,"entry":[%b]}' % (_json(name), b",".join(entries))


def _json(text: str | int) -> bytes:
    return msgspec.json.encode(text)


# ---- what it says


def read_meta(body: bytes) -> tuple[Channel | None, list[Item]]:
    """What an account's share of a body tells, event by event, and of which channel; None: of none that is known.
    Raises BodyFaultError."""
    whole = read_whole(_ONE, body)
    channel = CHANNELS.get(whole.object)
    items: list[Item] = []
    for raw in whole.entry if channel is not None else ():
        try:
            entry = read_part(_ENTRY, raw)
        except ItemFaultError as fault:
            items.append(Item(fault=str(fault)))
            continue
        items += _of_number(entry) if channel is Channel.WHATSAPP else _of_page(entry)
        items += read_items(entry.unreachable, read_unreachable)
    return channel, items


def _of_page(entry: _Entry) -> list[Item]:
    """Of Messenger and Instagram. Some Instagram accounts get what `messaging` has as changes of `messages`."""
    own = str(entry.id)
    items = read_items([*entry.messaging, *entry.standby], lambda part: _talk(part, own))
    return items + read_items(entry.changes, lambda part: _changed_talk(part, own))


def _changed_talk(part: msgspec.Raw, own: str) -> tuple[Heard, ...]:
    change = read_part(_CHANGE, part)
    return _talk(change.value, own) if change.field in _TALK_FIELDS else ()


def _talk(part: msgspec.Raw, own: str) -> tuple[Heard, ...]:
    event = read_part(_MESSAGING, part)
    message, postback = event.message, event.postback
    if message is not None:
        if message.is_echo or message.is_self or message.is_deleted or event.sender.id == own:
            return ()
        press = pressed(message.quick_reply.payload) if message.quick_reply is not None else NOT_PRESSED
        return (_wrote(event, message.mid, press, message.text),)
    if postback is not None:
        key = postback.mid or f"postback:{event.sender.id}:{event.timestamp}"
        return (_wrote(event, key, pressed(postback.payload), postback.title),)
    if event.delivery is not None:
        return (_receipt(event, ReceiptKind.DELIVERED, event.delivery),)
    if event.read is not None:
        return (_receipt(event, ReceiptKind.READ, event.read),)
    if event.referral is not None or event.optin is not None:
        return (_wrote(event, f"opened:{event.sender.id}:{event.timestamp}"),)
    return ()


def _receipt(event: _Messaging, kind: ReceiptKind, reported: _Reported) -> PageReceipt:
    if not _PERSON_ID.fullmatch(event.sender.id):
        raise ItemFaultError("sender.id is no id of a person")
    ids = (reported.mid, *reported.mids) if reported.mid else tuple(reported.mids)
    until = time_of_ms(reported.watermark) if reported.watermark else None
    return PageReceipt(event.sender.id, kind, ids[:RECEIPT_MESSAGES_MAX], until)


def _wrote(event: _Messaging, key: str, press: Pressed = NOT_PRESSED, text: str = "") -> Wrote:
    if not _PERSON_ID.fullmatch(event.sender.id):
        raise ItemFaultError("sender.id is no id of a person")
    at, key = _time_of(event.timestamp), checked_id(key, "mid")
    return Wrote(event.sender.id, at, key, "", press.text or text, press.data, press.effect_key)


def _time_of(timestamp: str | int) -> datetime:
    """Raises ItemFaultError for a time that is none."""
    text = str(timestamp)
    if not _MOMENT.fullmatch(text):
        raise ItemFaultError("its time is none")
    return time_of_ms(int(text) * (1_000 if _SECONDS.fullmatch(text) else 1))


def _of_number(entry: _Entry) -> list[Item]:
    """Of WhatsApp."""
    items: list[Item] = []
    for raw in entry.changes:
        if is_of_templates(raw):
            items += read_items([raw], lambda change: read_template(change, _at(entry.time)))
            continue
        try:
            value = _value(raw)
        except ItemFaultError as fault:
            items.append(Item(fault=str(fault)))
            continue
        items += read_items(value.messages, functools.partial(_message, names=_names(value.contacts)))
        items += read_items(value.statuses, _status)
        items += read_items(value.user_preferences, _preference)
    return items


def _value(raw: msgspec.Raw) -> _Value:
    """What a change says of messages and of what people want; nothing where it is of another field."""
    change = read_part(_CHANGE, raw)
    return read_part(_VALUE, change.value) if change.field in _FIELDS else _Value()


def _count(raw: msgspec.Raw) -> int:
    try:
        value = _value(raw)
    except ItemFaultError:
        return 1
    return max(1, len(value.messages) + len(value.statuses) + len(value.user_preferences))


def _names(contacts: Iterable[msgspec.Raw]) -> dict[str, str]:
    """Names of people, by their numbers."""
    names: dict[str, str] = {}
    for raw in contacts:
        try:
            contact = read_part(_CONTACT, raw)
        except ItemFaultError:
            continue  # the message counts without it
        if contact.profile is not None:
            names[contact.wa_id] = contact.profile.name
    return names


def _message(part: msgspec.Raw, names: Mapping[str, str]) -> tuple[Heard, ...]:
    message = read_part(_MESSAGE, part)
    if message.type == "system":
        return ()
    if not _WA_ID.fullmatch(message.sender):
        raise ItemFaultError("from is no phone number")
    text, press = said(message)
    at, key, name = _at(message.timestamp), checked_id(message.id, "id"), names.get(message.sender, "")
    return (Wrote(message.sender, at, key, name, press.text or text, press.data, press.effect_key),)


def _status(part: msgspec.Raw) -> tuple[Heard, ...]:
    """Steps that we go by. Who opted out is known by the refusal, too."""
    status = read_part(_STATUS, part)
    kind = _RECEIPTS.get(status.status)
    heard: list[Heard] = []
    if kind is not None and (ours := _CALLBACK.fullmatch(status.biz_opaque_callback_data)):
        heard.append(MessageReceipt(UUID(ours[2]), kind))
    opted_out = kind is ReceiptKind.FAILED and any(error.code == _OPTED_OUT for error in status.errors)
    if opted_out and _WA_ID.fullmatch(status.recipient_id):
        heard.append(Preference(status.recipient_id, _at(status.timestamp), False, PreferenceSource.CHANNEL))
    return tuple(heard)


def _preference(part: msgspec.Raw) -> tuple[Heard, ...]:
    preference = read_part(_USER_PREFERENCE, part)
    wanted = _WANTED.get(preference.value)
    if wanted is None or preference.category != "marketing_messages":
        return ()
    if not _WA_ID.fullmatch(preference.wa_id):
        raise ItemFaultError("wa_id is no phone number")
    return (Preference(preference.wa_id, _at(preference.timestamp), wanted, PreferenceSource.CHANNEL),)


def _at(seconds: _Id) -> datetime:
    text = str(seconds)
    if not _SECONDS.fullmatch(text):
        raise ItemFaultError("its time is none")
    return time_of_ms(int(text) * 1_000)
