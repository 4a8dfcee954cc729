"""What people write and press, as each channel tells it, and buttons that say which send they are of."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain.content import Button, ButtonAction, ButtonCard, FlatCard, TextCard
from services.channel_gateway.domain.heard import MessageReceipt
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.limits import LIMITS
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.presses import Pressed, bound_cards, pressed
from services.channel_gateway.domain.receipts import ReceiptKind, new_steps
from tests.unit.channel_gateway.build import ACCOUNT, NOW, TEAM

KEY = UUID("018f0000-0000-7000-8000-00000000abcd")
MEI = "U" + "1" * 32


def bound(value: str, action: ButtonAction = ButtonAction.POSTBACK, channel: Channel = Channel.LINE) -> str:
    """What a button of a send carries."""
    [card] = bound_cards([ButtonCard("?", (Button("Yes", action, value),))], KEY, channel)
    assert isinstance(card, ButtonCard)
    return card.buttons[0].value


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize(
    ("channel", "value", "with_key"),
    [
        (Channel.LINE, "\U0001f600" * 140, False),
        (Channel.LINE, "\U0001f600" * 130, True),
        (Channel.LINE, "x" * 270, True),
        (Channel.WHATSAPP, "\U0001f600" * 220, True),
    ],
)
def test_a_button_has_the_key_where_its_channel_counts_that_there_is_room(
    channel: Channel, value: str, with_key: bool
) -> None:
    carried = bound(value, channel=channel)
    assert (carried != value) == with_key
    assert not LIMITS[channel].data.over(carried)


def told(body: dict[str, Any], source: InboxSource) -> tuple[tuple[str, str, str], list[Any]]:
    """Text, data and key of what segment is told, and what the gateway goes by."""
    webhook = StoredWebhook(
        team_id=TEAM,
        sequence=1,
        source=source,
        origin=str(ACCOUNT),
        webhook_id="1",
        body=json.dumps(body).encode(),
        received_at=NOW,
    )
    converted = stored_events(webhook, timedelta(minutes=5))
    assert not converted.fault
    assert not converted.faults
    [event] = converted.events
    message = event.message_received
    return (message.text, message.button_data, message.effect_key), list(converted.heard)


def line(**what: Any) -> dict[str, Any]:
    """A webhook of LINE."""
    event = {
        "timestamp": int(NOW.timestamp() * 1_000),
        "webhookEventId": "01",
        "source": {"type": "user", "userId": MEI},
    }
    return {"events": [event | what]}


def whatsapp(**what: Any) -> dict[str, Any]:
    """A webhook of WhatsApp."""
    message = {"id": "wamid.1", "from": "886912000001", "timestamp": str(int(NOW.timestamp())), **what}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [message]}
    entry = {"id": "9", "changes": [{"field": "messages", "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def page(name: str = "page", **what: Any) -> dict[str, Any]:
    """A webhook of Messenger, or Instagram."""
    event = {"sender": {"id": "501"}, "timestamp": int(NOW.timestamp() * 1_000), **what}
    return {"object": name, "entry": [{"id": "77", "messaging": [event]}]}


TOLD = [
    (InboxSource.LINE, line(type="message", message={"type": "text", "text": "好"}), ("好", "", "")),
    (InboxSource.LINE, line(type="message", message={"type": "sticker", "id": "1"}), ("", "", "")),
    (InboxSource.LINE, line(type="postback", postback={"data": "a=1"}), ("", "a=1", "")),
    (InboxSource.LINE, line(type="postback", postback={"data": bound("a=1")}), ("", "a=1", str(KEY))),
    (InboxSource.META, whatsapp(type="text", text={"body": "hi"}), ("hi", "", "")),
    (InboxSource.META, whatsapp(type="image", image={"id": "1"}), ("", "", "")),
    (
        InboxSource.META,
        whatsapp(type="button", button={"payload": "Yes-Payload", "text": "Yes"}),
        ("Yes", "Yes-Payload", ""),
    ),
    *(
        (
            InboxSource.META,
            whatsapp(
                type="interactive",
                interactive={
                    "type": kind,
                    kind: {"id": bound("a=1", channel=Channel.WHATSAPP), "title": "Yes"},
                },
            ),
            ("Yes", "a=1", str(KEY)),
        )
        for kind in ("button_reply", "list_reply")
    ),
    (
        InboxSource.META,
        whatsapp(
            type="interactive",
            interactive={
                "button_reply": {
                    "id": bound("I am in", ButtonAction.MESSAGE, Channel.WHATSAPP),
                    "title": "Yes",
                }
            },
        ),
        ("I am in", "", str(KEY)),
    ),
    *(
        case
        for name in ("page", "instagram")
        for case in (
            (InboxSource.META, page(name, message={"mid": "m1", "text": "hi"}), ("hi", "", "")),
            (
                InboxSource.META,
                page(name, message={"mid": "m1", "text": "M", "quick_reply": {"payload": bound("s=m")}}),
                ("M", "s=m", str(KEY)),
            ),
            (
                InboxSource.META,
                page(name, postback={"mid": "m1", "title": "Yes", "payload": bound("a=1")}),
                ("Yes", "a=1", str(KEY)),
            ),
        )
    ),
]


@pytest.mark.parametrize(("source", "body", "wanted"), TOLD)
def test_what_is_written_or_pressed_is_told(
    source: InboxSource, body: dict[str, Any], wanted: tuple[str, str, str]
) -> None:
    assert told(body, source)[0] == wanted


def test_what_is_too_long_is_cut_and_the_event_counts() -> None:
    text, data, key = told(
        line(type="message", message={"type": "text", "text": "好" * 5_000}), InboxSource.LINE
    )[0]
    assert (text, data, key) == ("好" * 500, "", "")
    foreign = page(postback={"mid": "m1", "title": "Yes", "payload": "x" * 1_000})
    assert told(foreign, InboxSource.META)[0] == ("Yes", "", "")


def test_a_press_on_whatsapp_is_an_answer_to_its_message() -> None:
    reply = {"button_reply": {"id": bound("a=1", channel=Channel.WHATSAPP), "title": "Yes"}}
    assert (
        MessageReceipt(KEY, ReceiptKind.REPLIED)
        in told(whatsapp(type="interactive", interactive=reply), InboxSource.META)[1]
    )
    # LINE tells of no message that it came, or was read: a press is no such step there.
    pressed_on_line = told(line(type="postback", postback={"data": bound("a=1")}), InboxSource.LINE)[1]
    assert not any(isinstance(each, MessageReceipt) for each in pressed_on_line)
    assert new_steps(0, ReceiptKind.REPLIED) == (1, 2, 3)
    assert new_steps(ReceiptKind.READ, ReceiptKind.REPLIED) == (3,)
    assert new_steps(ReceiptKind.REPLIED, ReceiptKind.READ) == new_steps(4, ReceiptKind.REPLIED) == ()


@given(st.uuids(), st.text(max_size=256), st.sampled_from(Channel), st.booleans())
def test_a_press_tells_what_its_author_gave_the_button(
    key: UUID, value: str, channel: Channel, says: bool
) -> None:
    action = ButtonAction.MESSAGE if says else ButtonAction.POSTBACK
    [card] = bound_cards([ButtonCard("?", (Button("Yes", action, value),))], key, channel)
    assert isinstance(card, ButtonCard)
    carried = card.buttons[0].value
    assert len(carried) <= LIMITS[channel].data.most
    if says and channel is Channel.LINE:
        assert carried == value  # it is written as the customer's own
    elif carried != value:
        assert pressed(carried) == (Pressed("", key, value) if says else Pressed(value, key))
    else:
        assert channel is Channel.WHATSAPP  # where there is no room
        assert len(value) > 200


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_quick_replies_say_which_send_they_are_of_where_there_is_room(channel: Channel, count: int) -> None:
    data = "x" * 180
    replies = tuple(Button(f"No. {n}", ButtonAction.POSTBACK, f"{n}{data}") for n in range(count))
    [card] = bound_cards([TextCard("?", replies)], KEY, channel)
    assert isinstance(card, TextCard)
    in_a_list = channel is Channel.WHATSAPP and count > 3
    assert [pressed(each.value) for each in card.quick_replies] == [
        Pressed(each.value, None if in_a_list else KEY) for each in replies
    ], "a row of a list carries 200 characters"
    short = tuple(Button(f"No. {n}", ButtonAction.POSTBACK, f"n={n}") for n in range(count))
    [card] = bound_cards([TextCard("?", short)], KEY, channel)
    assert isinstance(card, TextCard)
    assert {pressed(each.value).effect_key for each in card.quick_replies} == {KEY}


@pytest.mark.parametrize(
    "data", ["", "a=1", "oj1.", "oj1.short.p.x", f"oj1.{'A' * 22}.x.y", "oj2." + "A" * 22]
)
def test_data_of_others_is_told_as_it_is(data: str) -> None:
    assert pressed(data) == Pressed(data)


def test_what_is_no_button_is_left_as_it_is() -> None:
    cards: list[FlatCard] = [
        TextCard("Hi"),
        ButtonCard("?", (Button("Go", ButtonAction.URL, "https://example.com"),)),
    ]
    assert bound_cards(cards, KEY, Channel.WHATSAPP) == cards
