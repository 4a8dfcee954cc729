"""What Meta and LINE tell of an account as a whole is acted on, passed over, or set aside with its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.channel_gateway.domain import meta_hooks
from services.channel_gateway.domain.heard import AccountNotice, AccountRefused, Item
from services.channel_gateway.domain.line_hooks import read_line
from services.channel_gateway.domain.meta_hooks import Sender
from services.channel_gateway.domain.model import ConnectionKind

AT = datetime(2025, 3, 31, 20, 11, 43, tzinfo=UTC)
WABA = "102290129340398"


def told(field: str, value: Any) -> Item:
    """What one change tells, which is for all accounts of the business account."""
    change = {"field": field, "value": value}
    entry = {"id": WABA, "time": 1743451903, "changes": [change]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    ((sender, share),) = meta_hooks.shares(body).items()
    assert sender == Sender(ConnectionKind.WHATSAPP, WABA, owns=True)
    _, (item,) = meta_hooks.read_meta(share.body)
    return item


def ban(state: str) -> dict[str, Any]:
    info = {"waba_ban_state": state, "waba_ban_date": "April 17, 2025"}
    return {"event": "DISABLED_UPDATE", "ban_info": info}


def restricted(kind: str) -> dict[str, Any]:
    info = {"restriction_type": kind, "expiration": 1743455503}
    return {"event": "ACCOUNT_RESTRICTION", "restriction_info": [info]}


@pytest.mark.rule("C-03c", "C-20b")
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("account_update", ban("DISABLE"), "April 17, 2025"),
        ("account_update", {"event": "ACCOUNT_DELETED"}, "deleted"),
        ("account_update", restricted("RESTRICTED_BIZ_INITIATED_MESSAGING"), "until 2025-03-31 21:11 UTC"),
        ("account_review_update", {"decision": "REJECTED"}, "rejected"),
    ],
)
def test_an_account_that_whatsapp_shuts_is_refused(field: str, value: Any, words: str) -> None:
    (refused,) = told(field, value).heard
    assert isinstance(refused, AccountRefused)
    assert (refused.at, words in refused.detail) == (AT, True)


ALERT = {
    "alert_severity": "CRITICAL",
    "alert_status": "ACTIVE",
    "alert_description": "Limits\ncannot be raised.",
}
QUALITY = {"message_template_name": "hello", "message_template_language": "zh_TW"}


@pytest.mark.rule("C-20b")
@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        (
            "account_update",
            ban("SCHEDULE_FOR_DISABLE"),
            "WhatsApp is going to disable the business account: April 17, 2025",
        ),
        ("account_update", ban("REINSTATE"), ""),
        (
            "account_update",
            {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "ADULT"}},
            "a violation of WhatsApp's policy: ADULT",
        ),
        ("account_alerts", {"entity_type": "PHONE_NUMBER", "alert_info": ALERT}, "Limits cannot be raised."),
        ("account_alerts", ALERT, "Limits cannot be raised."),
        ("account_alerts", ALERT | {"alert_status": "NONE"}, ""),
        (
            "phone_number_quality_update",
            {"display_phone_number": "15550783881", "event": "FLAGGED", "current_limit": "TIER_2K"},
            "15550783881: FLAGGED TIER_2K",
        ),
        ("phone_number_quality_update", {"event": "UPGRADE"}, ""),
        (
            "business_capability_update",
            {"max_daily_conversation_per_phone": 250},
            "at most 250 people may be written to first in 24 hours",
        ),
        (
            "security",
            {"display_phone_number": 15550783881, "event": "PIN_CHANGED"},
            "15550783881: PIN_CHANGED",
        ),
        ("message_template_quality_update", QUALITY | {"new_quality_score": "RED"}, "quality RED"),
        ("message_template_quality_update", QUALITY | {"new_quality_score": "GREEN"}, ""),
        (
            "message_template_status_update",
            QUALITY | {"event": "FLAGGED"},
            "its quality is low, and it may be paused",
        ),
    ],
)
def test_what_whatsapp_warns_of_stands_beside_the_account_until_it_is_over(
    field: str, value: Any, detail: str
) -> None:
    (notice,) = told(field, value).heard
    assert isinstance(notice, AccountNotice)
    assert (notice.at, notice.about.split()[0], notice.detail) == (AT, field, detail)


@pytest.mark.rule("C-20b", "C-20d")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_update", {"event": "FROZEN"}),
        ("account_update", {}),
        ("account_update", {"event": 7}),
        ("account_update", "ACCOUNT_DELETED"),
        ("account_update", ban("?")),
        ("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{}, 7]}),
        ("account_review_update", {"decision": "LATER"}),
        ("phone_number_quality_update", {"event": "MIXED"}),
        ("message_template_status_update", QUALITY | {"event": "MOVED"}),
        ("a_field_of_next_year", {"event": "x"}),
    ],
)
def test_what_is_not_known_is_set_aside_with_its_reason(field: str, value: Any) -> None:
    item = told(field, value)
    assert (item.heard, bool(item.fault)) == ((), True)


@pytest.mark.rule("C-20b")
def test_what_says_nothing_of_sending_is_not_even_kept() -> None:
    assert told("account_update", {"event": "PARTNER_ADDED", "waba_info": {"waba_id": "1"}}) == Item()
    change = {"field": "flows", "value": {"event": "FLOW_STATUS_CHANGE"}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": WABA, "time": 1, "changes": [change]}]}
    assert meta_hooks.shares(json.dumps(body).encode()) == {}


def page(**event: Any) -> Item:
    """What one event of a page tells."""
    whole = {"recipient": {"id": "7"}, "timestamp": 1743451903000, **event}
    body = {"object": "page", "entry": [{"id": "7", "time": 1743451903000, "messaging": [whole]}]}
    _, (item,) = meta_hooks.read_meta(json.dumps(body).encode())
    return item


@pytest.mark.rule("C-20b", "C-20d")
def test_pages_are_told_of_their_policy_and_of_threads() -> None:
    warned = page(policy_enforcement={"action": "warning", "reason": "spam"})
    assert warned.heard == (AccountNotice(AT, "policy_enforcement", "spam"),)
    assert page(policy_enforcement={"action": "unblock"}).heard == (
        AccountNotice(AT, "policy_enforcement", ""),
    )
    assert page(policy_enforcement={"action": "?"}).fault
    for harmless in ("pass_thread_control", "take_thread_control", "app_roles", "reaction", "message_edit"):
        assert page(**{harmless: {"previous_owner_app_id": "1"}}) == Item()
    assert page(something_of_next_year={}).fault


def line(kind: str, **event: Any) -> Item:
    """What one event of LINE tells."""
    whole = {"type": kind, "mode": "active", "timestamp": 1743451903000, "webhookEventId": "01", **event}
    (item,) = read_line(json.dumps({"destination": "U", "events": [whole]}).encode())
    return item


@pytest.mark.rule("C-20b", "C-20d")
def test_line_tells_that_it_suspended_an_account() -> None:
    assert line("botSuspended").heard == (AccountRefused(AT, "LINE suspended the account"),)
    user = {"source": {"type": "user", "userId": "U" + "0a" * 16}}
    for harmless in ("botResumed", "activated", "deactivated", "module", "unsend", "join"):
        assert line(harmless) == Item()
    assert line("membership", **user, membership={"type": "joined", "membershipId": 3}) == Item()
    assert line("somethingOfNextYear", **user).fault
