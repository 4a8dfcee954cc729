"""What channels tell to events of segment. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from libs.common.hints import read_name
from libs.common.phones import is_e164
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import customer_pb2, event_pb2
from services.channel_gateway.convert.events import ConvertedWebhook, customer_events, pixel_events
from services.channel_gateway.domain.heard import (
    Acted,
    BodyFaultError,
    Heard,
    Item,
    Joined,
    Left,
    MessageReceipt,
    MessageTaken,
    Moved,
    PageReceipt,
    Wrote,
)
from services.channel_gateway.domain.inbox import InboxSource, Refusal, StoredWebhook
from services.channel_gateway.domain.line_hooks import read_line
from services.channel_gateway.domain.meta_hooks import read_meta
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.platforms import is_of_platform
from services.channel_gateway.domain.receipts import ReceiptKind

_TEXT_LENGTH_MAX: Final = 500
"""Of what was written, as segment keeps it."""
_DATA_LENGTH_MAX: Final = 300
_KEY_LENGTH_MAX: Final = 150
"""Of a channel's name of an event, within a key of 200 that names the account, too."""


def stored_events(webhook: StoredWebhook, tolerance: timedelta) -> ConvertedWebhook:
    """The events of a stored webhook, whoever sent it. A time more than `tolerance` ahead of the receipt becomes the
    time of receipt."""
    if webhook.source is InboxSource.SHOP or is_of_platform(webhook.source):
        return customer_events(webhook, tolerance)
    if webhook.source is InboxSource.PIXEL:
        return pixel_events(webhook, tolerance)
    try:
        channel, items = _read(webhook)
    except BodyFaultError as error:
        return ConvertedWebhook(webhook, [], str(error))
    if channel is None:
        return ConvertedWebhook(webhook, [], "")
    return _converted(webhook, channel, items, tolerance)


def _read(webhook: StoredWebhook) -> tuple[Channel | None, list[Item]]:
    match webhook.source:
        case InboxSource.LINE:
            return Channel.LINE, read_line(webhook.body)
        case InboxSource.META:
            return read_meta(webhook.body)
        case _:
            return None, []


def _converted(
    webhook: StoredWebhook, channel: Channel, items: list[Item], tolerance: timedelta
) -> ConvertedWebhook:
    events, places, heard = [], [], []
    latest = webhook.received_at + tolerance
    for place, item in enumerate(items):
        for each in item.heard:
            kept = _not_later(each, latest, webhook.received_at)
            heard.append(kept)
            if isinstance(kept, Wrote):
                heard += _said_by(kept, channel)
            if isinstance(kept, Acted):
                events.append(_event(webhook, channel, kept))
                places.append(place)
    faults = [Refusal(place, item.fault) for place, item in enumerate(items) if item.fault]
    return ConvertedWebhook(webhook, events, "", places, faults, channel, heard)


def _said_by(wrote: Wrote, channel: Channel) -> Iterator[Heard]:
    """What follows for the gateway from what somebody wrote or pressed, beside the words that it may be."""
    # Elsewhere it is not said of messages that they were read, or delivered.
    if channel is Channel.WHATSAPP and wrote.effect_key is not None:
        yield MessageReceipt(wrote.effect_key, ReceiptKind.REPLIED)


def _not_later(heard: Heard, latest: datetime, received_at: datetime) -> Heard:
    """The same; a time that lies too far ahead becomes the time of receipt."""
    if isinstance(heard, MessageTaken):
        is_late = heard.sent_at is not None and heard.sent_at > latest
        return heard._replace(sent_at=received_at) if is_late else heard
    if isinstance(heard, MessageReceipt | PageReceipt) or heard.at <= latest:
        return heard
    return heard._replace(at=received_at)


def _event(webhook: StoredWebhook, channel: Channel, heard: Acted) -> event_pb2.CustomerEvent:
    identity = customer_pb2.IdentityKey(
        channel=int(channel),  # type: ignore[arg-type]  # the enums have the same numbers
        account_id=webhook.origin,
        external_id=heard.external_id,
    )
    event = event_pb2.CustomerEvent(
        team_id=str(webhook.team_id),
        event_key=_key(webhook.origin, heard.key),
        occur_time=timestamp(heard.at),
    )
    match heard:
        case Joined():
            event.contact_added.identity.CopyFrom(identity)
        case Left():
            event.contact_blocked.identity.CopyFrom(identity)
        case Wrote(name=name):
            event.message_received.CopyFrom(_message(heard, identity))
            event.customer_name = found if isinstance(found := read_name(name), str) else ""
        case Moved(moved_to=moved_to):
            event.contact_moved.identity.CopyFrom(identity)
            event.contact_moved.external_id = moved_to
            return event
    phone = f"+{heard.external_id}"
    if channel is Channel.WHATSAPP and is_e164(phone):
        event.customer.phone = phone
    return event


def _message(wrote: Wrote, identity: customer_pb2.IdentityKey) -> event_pb2.MessageReceived:
    """Data that is longer than anything that we send is none of ours, and is left out."""
    data = wrote.button_data
    return event_pb2.MessageReceived(
        identity=identity,
        text=wrote.text[:_TEXT_LENGTH_MAX],
        button_data=data if len(data) <= _DATA_LENGTH_MAX else "",
        effect_key=str(wrote.effect_key or ""),
    )


def _key(account_id: str, key: str) -> str:
    if len(key) > _KEY_LENGTH_MAX:
        key = hashlib.blake2b(key.encode(), digest_size=32).hexdigest()
    return f"{account_id}:{key}"
