"""Webhooks of Meta: WhatsApp, Messenger and Instagram have one envelope, in which entries of several accounts may come.

https://developers.facebook.com/docs/graph-api/webhooks, and the pages of the three products. Fields and kinds of events
that are not named here are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from services.channel_gateway.domain import page_hooks, whatsapp_hooks
from services.channel_gateway.domain.heard import Item, ItemFaultError
from services.channel_gateway.domain.hook_bodies import check_count, read_items, read_loosely, read_whole
from services.channel_gateway.domain.meta_parts import Id
from services.channel_gateway.domain.model import Channel, ConnectionKind
from services.channel_gateway.domain.unreachable import read_unreachable

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


class _Entry(msgspec.Struct, frozen=True):
    id: Id = ""
    time: Id = ""
    """Seconds; of what comes without a time of its own."""
    changes: list[msgspec.Raw] = []
    messaging: list[msgspec.Raw] = []
    standby: list[msgspec.Raw] = []
    """In place of `messaging` while another app answers."""
    unreachable: list[msgspec.Raw] = []
    """Our own: whom the account could not write to."""
    unnamed: list[msgspec.Raw] = []
    """Our own: what was signed and says of no account that it is for it."""


class _Body(msgspec.Struct, frozen=True):
    object: str
    entry: list[msgspec.Raw] = []


_ONE: Final = msgspec.json.Decoder(_Body)
_SEVERAL: Final = msgspec.json.Decoder(list[_Body])
_ENTRY: Final = msgspec.json.Decoder(_Entry)


class Sender(NamedTuple):
    """The account that a part of a body is for, as Meta names it."""

    kind: ConnectionKind
    sender_id: str
    """Phone number, page or Instagram account; the business account, where it is for all numbers of that."""
    owns: bool = False
    """It is a business account."""

    @property
    def is_nobody(self) -> bool:
        """It is not said which account; the part can only be kept beside its fault."""
        return not self.sender_id


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
    (first, *others) = parts or (None,)
    of_one = first is not None and not others and not first.is_nobody
    if of_one and len(wholes) == 1 and len(wholes[0].entry) == len(next(iter(parts.values()))):
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
        assert kind is not None
        try:
            entry, faults = read_loosely(_ENTRY, raw)
        except ItemFaultError:
            yield _unnamed(kind, [raw])
            continue
        if kind is ConnectionKind.WHATSAPP:
            yield from _numbers(entry, raw, with_faults=bool(faults))
        elif entry.id == "":
            yield _unnamed(kind, [raw])
        else:
            count = len(entry.messaging) + len(entry.standby) + len(entry.changes) + len(faults)
            yield Sender(kind, str(entry.id)), bytes(raw), max(count, 1)  # what holds nothing is stored, too


def _unnamed(kind: ConnectionKind, parts: Sequence[msgspec.Raw]) -> tuple[Sender, bytes, int]:
    return Sender(kind, ""), b'{"unnamed":[%b]}' % b",".join(map(bytes, parts)), len(parts)


def _numbers(entry: _Entry, raw: msgspec.Raw, *, with_faults: bool) -> Iterator[tuple[Sender, bytes, int]]:
    """Changes of a business account by its phone numbers."""
    senders: dict[Sender, list[bytes]] = {}
    unnamed: list[msgspec.Raw] = []
    for change in entry.changes:
        if number := whatsapp_hooks.number_of(change):
            sender = Sender(ConnectionKind.WHATSAPP, number)
        elif whatsapp_hooks.is_passed_over(change):
            continue
        elif entry.id and not whatsapp_hooks.lacks_number(change):
            sender = Sender(ConnectionKind.WHATSAPP, str(entry.id), owns=True)
        else:
            unnamed.append(change)
            continue
        senders.setdefault(sender, []).append(bytes(change))
    head = b'"id":%b,"time":%b' % (_json(str(entry.id)), _json(entry.time))
    for sender, changes in senders.items():
        whole = len(changes) == len(entry.changes)
        part = bytes(raw) if whole else b'{%b,"changes":[%b]}' % (head, b",".join(changes))
        yield sender, part, sum(whatsapp_hooks.event_count(msgspec.Raw(change)) for change in changes)
    if with_faults and not senders:
        yield _unnamed(ConnectionKind.WHATSAPP, [raw])
    elif unnamed:
        yield _unnamed(ConnectionKind.WHATSAPP, unnamed)


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
            entry, faults = read_loosely(_ENTRY, raw)
        except ItemFaultError as fault:
            items.append(Item(fault=str(fault)))
            continue
        items += faults + [Item(fault="it does not say of which account it is")] * len(entry.unnamed)
        if channel is Channel.WHATSAPP:
            items += whatsapp_hooks.read_changes(entry.changes, entry.time)
        else:
            items += page_hooks.read_entry(str(entry.id), [*entry.messaging, *entry.standby], entry.changes)
        items += read_items(entry.unreachable, read_unreachable)
    return channel, items
