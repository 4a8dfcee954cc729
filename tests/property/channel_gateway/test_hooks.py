"""Whatever a signed body of a channel says: it is taken apart, or refused, and what is stored of it can be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain.heard import BodyFaultError, Joined, Left, Wrote
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.line_hooks import line_events
from services.channel_gateway.domain.meta_hooks import Sender, shares
from services.channel_gateway.domain.model import ConnectionKind

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNT = str(UUID(int=7))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(
        [
            *("messages", "user", "follow", "U" + "1" * 32, "886912000001", "1", "failed", "text", "STOP"),
            *("system", "user_changed_number", "886912000002", "TW.1", "1750030073"),
        ]
    ),
)
NAMES = """
    type timestamp source userId webhookEventId message text id changes field value metadata phone_number_id contacts
    wa_id profile name messages from statuses status errors code recipient_id biz_opaque_callback_data messaging
    sender mid postback referral user_preferences category standby is_echo body button payload interactive button_reply
    list_reply title quick_reply data system new_wa_id customer user_id previous_user_id from_user_id user_id_update
    previous current recipient_user_id delivery read mids watermark optin referral reply_to unreachable key
"""
names = st.sampled_from(NAMES.split())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)
line_bodies = st.fixed_dictionaries({"events": st.lists(values, max_size=4)})
meta_bodies = st.fixed_dictionaries(
    {
        "object": st.sampled_from(["whatsapp_business_account", "page", "instagram", "else"]),
        "entry": st.lists(values, max_size=4),
    }
)
cuts = st.one_of(st.just(b""), st.binary(max_size=3))


def body_of(made: Any, cut: bytes, at: int) -> bytes:
    """As it is sent, with some bytes in it that do not belong there."""
    body = json.dumps(made).encode()
    place = at % (len(body) + 1)
    return body[:place] + cut + body[place:]


def read(source: InboxSource, body: bytes) -> None:
    """What is stored is worked: every event goes to a person who can be one, at a time that is one."""
    converted = stored_events(
        StoredWebhook(1, UUID(int=1), source, ACCOUNT, "w", body, NOW), timedelta(minutes=5)
    )
    assert not converted.fault
    for event in converted.events:
        assert 0 < len(event.event_key) <= 200
        assert event.SerializeToString()
    for heard in converted.heard:
        if isinstance(heard, Joined | Left | Wrote):
            assert heard.external_id.isalnum()
            assert heard.at <= NOW + timedelta(minutes=5)


@pytest.mark.rule("C-20d")
@given(line_bodies, cuts, st.integers(0, 10_000))
def test_bodies_of_line(made: Any, cut: bytes, at: int) -> None:
    body = body_of(made, cut, at)
    try:
        line_events(body)
    except BodyFaultError:
        return
    read(InboxSource.LINE, body)


@pytest.mark.rule("C-20d")
@given(meta_bodies, cuts, st.integers(0, 10_000))
def test_bodies_of_meta(made: Any, cut: bytes, at: int) -> None:
    try:
        found = shares(body_of(made, cut, at))
    except BodyFaultError:
        return
    for share in found.values():
        read(InboxSource.META, share.body)


@given(st.lists(st.tuples(st.sampled_from("1234"), st.integers(0, 3)), max_size=8))
def test_each_account_gets_all_of_its_own_and_nothing_else(parts: list[tuple[str, int]]) -> None:
    changes = [
        {
            "field": "messages",
            "value": {
                "metadata": {"phone_number_id": number},
                "messages": [
                    {"from": "886912000001", "id": f"{number}.{place}.{each}", "timestamp": "1750030073"}
                    for each in range(count)
                ],
            },
        }
        for place, (number, count) in enumerate(parts)
    ]
    whole = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": changes}]}
    found = shares(json.dumps(whole).encode())
    assert set(found) == {Sender(ConnectionKind.WHATSAPP, number) for number, _ in parts}
    for sender, share in found.items():
        told = stored_events(
            StoredWebhook(1, UUID(int=1), InboxSource.META, ACCOUNT, "w", share.body, NOW),
            timedelta(minutes=5),
        )
        assert len(told.events) == sum(count for number, count in parts if number == sender.sender_id)
        assert all(event.event_key.startswith(f"{ACCOUNT}:{sender.sender_id}.") for event in told.events)
