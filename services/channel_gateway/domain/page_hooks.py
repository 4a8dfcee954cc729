"""What the webhooks of Messenger and Instagram tell, which have one form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.channel_ids import is_person_id
from services.channel_gateway.domain.callbacks import read_callback
from services.channel_gateway.domain.heard import (
    AccountNotice,
    AccountRefused,
    Heard,
    Item,
    ItemFaultError,
    MessageTaken,
    PageReceipt,
    Preference,
    PreferenceSource,
    Wrote,
    checked_id,
    kept_id,
    time_of_ms,
)
from services.channel_gateway.domain.hook_bodies import read_items, read_part
from services.channel_gateway.domain.meta_notices import DETAIL_MAX
from services.channel_gateway.domain.meta_parts import CHANGE, Id, at_seconds
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.presses import NOT_PRESSED, Pressed, pressed
from services.channel_gateway.domain.receipts import ReceiptKind

_TALK_FIELDS: Final = frozenset({"messages", "messaging_postbacks", "messaging_referral", "messaging_optins"})
"""Of changes of Instagram: what `messaging` has elsewhere."""
_WANTED: Final = {
    "STOP_NOTIFICATIONS": False,
    "STOP NOTIFICATIONS": False,
    "RESUME_NOTIFICATIONS": True,
    "RESUME NOTIFICATIONS": True,
}
"""What an opt-in for notifications says of them, written either way."""
_PASSED_OVER: Final = frozenset(
    {
        "account_linking",
        "app_roles",
        "checkout_update",
        "game_play",
        "message_edit",
        "message_context",
        "messaging_customer_information",
        "messaging_feedback",
        "pass_thread_control",
        "payment",
        "pre_checkout",
        "reaction",
        "request_thread_control",
        "response_feedback",
        "take_thread_control",
        "video_call",
    }
)
"""Kinds of events by which nobody writes, and nothing is told of messages or of the page."""
RECEIPT_MESSAGES_MAX: Final = 200
"""Ids of messages that one receipt may name; more are passed over."""


class _Person(msgspec.Struct, frozen=True):
    id: str = ""


class _Payload(msgspec.Struct, frozen=True):
    payload: str = ""


class _Sent(msgspec.Struct, frozen=True):
    """Written by a person, or by the account itself (an echo)."""

    mid: str = ""
    text: str = ""
    metadata: str = ""
    """Of an echo: what we sent with the message."""
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


class _Enforcement(msgspec.Struct, frozen=True):
    """Of the platform's policy, by the platform."""

    action: str = ""
    reason: str = ""


class _Messaging(msgspec.Struct, frozen=True):
    sender: _Person = _Person()
    timestamp: Id = -1
    """Milliseconds; in changes of Instagram seconds, as text."""
    message: _Sent | None = None
    postback: _Postback | None = None
    delivery: _Reported | None = None
    read: _Reported | None = None
    referral: Any = None
    optin: Any = None
    policy_enforcement: _Enforcement | None = None


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGING: Final = msgspec.json.Decoder(_Messaging)


def read_entry(own: str, talk: Sequence[msgspec.Raw], changes: Sequence[msgspec.Raw]) -> list[Item]:
    """What an entry of the account `own` tells, event by event. Some Instagram accounts get as changes of `messages`
    what others get as talk."""
    items = read_items(talk, lambda part: _talk(part, own))
    return items + read_items(changes, lambda part: _changed_talk(part, own))


def _changed_talk(part: msgspec.Raw, own: str) -> tuple[Heard, ...]:
    change = read_part(CHANGE, part)
    return _talk(change.value, own) if change.field in _TALK_FIELDS else ()


def _talk(part: msgspec.Raw, own: str) -> tuple[Heard, ...]:
    event = read_part(_MESSAGING, part)
    postback, enforced = event.postback, event.policy_enforcement
    if event.message is not None:
        return _message(event, event.message, own)
    if postback is not None:
        key = postback.mid or f"postback:{event.sender.id}:{event.timestamp}"
        return (_wrote(event, key, pressed(postback.payload), postback.title),)
    if event.delivery is not None:
        return (_receipt(event, ReceiptKind.DELIVERED, event.delivery),)
    if event.read is not None:
        return (_receipt(event, ReceiptKind.READ, event.read),)
    if (wanted := _WANTED.get(_notifications(event.optin))) is not None:
        return (Preference(_sender(event), at_seconds(event.timestamp), wanted, PreferenceSource.CHANNEL),)
    if event.referral is not None or event.optin is not None:
        return (_wrote(event, f"opened:{event.sender.id}:{event.timestamp}"),)
    if enforced is not None:
        return _enforced(at_seconds(event.timestamp), enforced)
    kinds: dict[str, msgspec.Raw] = read_part(_FIELDS, part)
    if _PASSED_OVER.isdisjoint(kinds):
        raise ItemFaultError("it is of no kind that is known here: nothing was done")
    return ()


def _enforced(at: datetime, enforced: _Enforcement) -> tuple[Heard, ...]:
    match enforced.action.lower():
        case "block":
            return (AccountRefused(at, f"blocked: {enforced.reason}"[:DETAIL_MAX]),)
        case "warning":
            return (AccountNotice(at, "policy_enforcement", enforced.reason[:DETAIL_MAX] or "not said what"),)
        case "unblock":
            return (AccountNotice(at, "policy_enforcement", ""),)
    raise ItemFaultError("policy_enforcement does not say what became of the page: nothing was done")


def _message(event: _Messaging, message: _Sent, own: str) -> tuple[Heard, ...]:
    if message.is_echo and (ours := read_callback(message.metadata)) is not None:
        return (MessageTaken(ours.effect_key, ours.number, kept_id(message.mid)),)
    if message.is_echo or message.is_self or message.is_deleted or event.sender.id == own:
        return ()
    press = pressed(message.quick_reply.payload) if message.quick_reply is not None else NOT_PRESSED
    return (_wrote(event, message.mid, press, message.text),)


def _notifications(optin: Any) -> str:
    """What an opt-in says that becomes of messages that were allowed; empty: it is of another kind."""
    said = optin.get("notification_messages_status") if isinstance(optin, dict) else None
    return said.upper() if isinstance(said, str) else ""


def _sender(event: _Messaging) -> str:
    if not is_person_id(Channel.MESSENGER, event.sender.id):
        raise ItemFaultError("sender.id is no id of a person")
    return event.sender.id


def _receipt(event: _Messaging, kind: ReceiptKind, reported: _Reported) -> PageReceipt:
    ids = (reported.mid, *reported.mids) if reported.mid else tuple(reported.mids)
    until = time_of_ms(reported.watermark) if reported.watermark else None
    return PageReceipt(_sender(event), kind, ids[:RECEIPT_MESSAGES_MAX], until)


def _wrote(event: _Messaging, key: str, press: Pressed = NOT_PRESSED, text: str = "") -> Wrote:
    at, key = at_seconds(event.timestamp), checked_id(key, "mid")
    return Wrote(_sender(event), at, key, "", press.text or text, press.data, press.effect_key)
