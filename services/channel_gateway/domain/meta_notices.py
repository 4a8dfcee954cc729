"""What Meta tells of a business account on WhatsApp as a whole: bans, restrictions, quality, limits, security.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview. It names no phone number by
its id: it is for all accounts of the business account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from libs.common.text import as_seen
from services.channel_gateway.domain.heard import (
    AccountNotice,
    AccountRefused,
    Heard,
    ItemFaultError,
    time_of_ms,
)
from services.channel_gateway.domain.hook_bodies import read_part
from services.channel_gateway.domain.meta_parts import CHANGE

DETAIL_MAX: Final = 300
"""Characters kept of what is said."""
PASSED_OVER: Final = frozenset(
    {
        "account_settings_update",
        "automatic_events",
        "calls",
        "flows",
        "group_lifecycle_update",
        "group_participants_update",
        "group_settings_update",
        "group_status_update",
        "history",
        "message_echoes",
        "message_template_components_update",
        "messaging_handovers",
        "partner_solutions",
        "payment_configuration_update",
        "smb_app_state_sync",
        "smb_message_echoes",
        "standby",
        "tracking_events",
    }
)
"""Fields that say nothing of whether and to whom messages can be sent."""
_HARMLESS: Final = frozenset(
    {
        "ACCOUNT_OFFBOARDED",
        "ACCOUNT_RECONNECTED",
        "AD_ACCOUNT_LINKED",
        "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
        "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
        "MM_LITE_TERMS_SIGNED",
        "PARTNER_ADDED",
        "PARTNER_APP_INSTALLED",
        "PARTNER_APP_UNINSTALLED",
        "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE",
        "PARTNER_REMOVED",
        "VERIFIED_ACCOUNT",
        "VOLUME_BASED_PRICING_TIER_UPDATE",
    }
)
"""Events of an account; those of partners are about accounts of others."""
_STARTS_NOTHING: Final = "RESTRICTED_BIZ_INITIATED_MESSAGING"
"""The account may answer, and not begin: what journeys send is refused."""


class _Value(msgspec.Struct, frozen=True):
    """Of whichever of the fields; each has some of it."""

    event: str = ""
    decision: str = ""
    ban_info: Any = None
    violation_info: Any = None
    restriction_info: Any = None
    alert_info: Any = None
    alert_severity: str = ""
    alert_status: str = ""
    alert_description: str = ""
    display_phone_number: Any = ""
    current_limit: Any = ""
    max_daily_conversations_per_business: Any = None
    max_daily_conversation_per_phone: Any = None
    requested_verified_name: str = ""
    rejection_reason: Any = None
    message_template_name: str = ""
    message_template_language: str = ""
    new_quality_score: str = ""


_VALUE: Final = msgspec.json.Decoder(_Value)
Said = Callable[[str, datetime, _Value], tuple[Heard, ...]]


def read_notice(change: msgspec.Raw, at: datetime) -> tuple[Heard, ...]:
    """What a change tells of the account; `at` is the time of its entry. Raises ItemFaultError."""
    field = read_part(CHANGE, change).field
    said = _SAID.get(field)
    if said is None:
        raise ItemFaultError(f"{_shown(field) or 'its field'} is not known here: nothing was done")
    return said(field, at, read_part(_VALUE, read_part(CHANGE, change).value))


def _account(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    event = value.event.upper()
    match event:
        case "DISABLED_UPDATE":
            return _banned(field, at, value.ban_info)
        case "ACCOUNT_DELETED":
            return (AccountRefused(at, "WhatsApp: the business account was deleted"),)
        case "ACCOUNT_VIOLATION":
            kind = _text(value.violation_info, "violation_type")
            return _notice(field, at, f"a violation of WhatsApp's policy: {kind or 'not said which'}")
        case "ACCOUNT_RESTRICTION":
            return _restricted(field, at, value.restriction_info)
    if event in _HARMLESS:
        return ()
    raise ItemFaultError(f"the event {_shown(event) or 'of it'} is not known here: nothing was done")


def _banned(field: str, at: datetime, ban: Any) -> tuple[Heard, ...]:
    state, date = _text(ban, "waba_ban_state").upper(), _text(ban, "waba_ban_date")
    match state:
        case "DISABLE":
            return (AccountRefused(at, f"WhatsApp disabled the business account: {date or 'not said when'}"),)
        case "SCHEDULE_FOR_DISABLE":
            return _notice(field, at, f"WhatsApp is going to disable the business account: {date}")
        case "REINSTATE":
            return _notice(field, at, "")
    raise ItemFaultError("ban_info does not say what became of the account: nothing was done")


def _restricted(field: str, at: datetime, restrictions: Any) -> tuple[Heard, ...]:
    found = restrictions if isinstance(restrictions, list) else [restrictions]
    named = {kind: each for each in found if (kind := _text(each, "restriction_type"))}
    if not named:
        raise ItemFaultError("restriction_info names no restriction: nothing was done")
    detail = "WhatsApp restricts the account: " + ", ".join(
        f"{kind}{_until(each)}" for kind, each in sorted(named.items())
    )
    if _STARTS_NOTHING in named:
        return (AccountRefused(at, detail[:DETAIL_MAX]),)
    return _notice(field, at, detail)


def _until(restriction: Mapping[str, Any]) -> str:
    seconds = restriction.get("expiration")
    if not isinstance(seconds, int):
        return ""
    try:
        return f" until {time_of_ms(seconds * 1_000).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ItemFaultError:
        return ""


def _alert(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    info = value.alert_info
    severity = _text(info, "alert_severity") or value.alert_severity
    status = _text(info, "alert_status") or value.alert_status
    detail = _text(info, "alert_description") or value.alert_description or _text(info, "alert_type")
    if status.upper() == "NONE" or severity.upper() == "INFORMATIONAL":
        return _notice(field, at, "") if status.upper() == "NONE" else ()
    return _notice(field, at, detail or "not said what")


def _number_quality(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    event = value.event.upper()
    if event in {"UNFLAGGED", "UPGRADE", "ONBOARDING", "THROUGHPUT_UPGRADE"}:
        return _notice(field, at, "")
    if event not in {"FLAGGED", "DOWNGRADE"}:
        raise ItemFaultError(f"the event {_shown(event) or 'of it'} is not known here: nothing was done")
    number, limit = _shown(value.display_phone_number), value.max_daily_conversations_per_business
    return _notice(field, at, f"{number or 'a number'}: {event} {_shown(limit or value.current_limit)}")


def _capability(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    limit = value.max_daily_conversations_per_business or value.max_daily_conversation_per_phone
    if limit in (None, -1, "-1", "TIER_UNLIMITED"):
        return _notice(field, at, "")
    return _notice(field, at, f"at most {_shown(limit)} people may be written to first in 24 hours")


def _review(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    decision = value.decision.upper()
    match decision:
        case "APPROVED":
            return _notice(field, at, "")
        case "REJECTED":
            return (AccountRefused(at, "WhatsApp rejected the business account after its review"),)
        case "PENDING" | "DEFERRED":
            return _notice(field, at, f"WhatsApp reviews the business account: {decision}")
    raise ItemFaultError("decision is not known here: nothing was done")


def _name(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    if value.decision.upper() != "REJECTED":
        return _notice(field, at, "")
    name, why = _shown(value.requested_verified_name), _shown(value.rejection_reason)
    return _notice(field, at, f"WhatsApp refused the name {name}: {why or 'not said why'}")


def _security(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    number = _shown(value.display_phone_number)
    return _notice(field, at, f"{number or 'a number'}: {_shown(value.event) or 'not said what'}")


def _template_quality(field: str, at: datetime, value: _Value) -> tuple[Heard, ...]:
    about = f"{field} {_shown(value.message_template_name)} {_shown(value.message_template_language)}"
    score = value.new_quality_score.upper()
    return _notice(about, at, f"quality {score}" if score in {"RED", "YELLOW"} else "")


def template_warning(name: str, language: str, at: datetime, event: str) -> tuple[Heard, ...]:
    """Of an event that leaves the template as it is."""
    return _notice(f"message_template_status_update {_shown(name)} {_shown(language)}", at, event)


def _notice(about: str, at: datetime, detail: str) -> tuple[Heard, ...]:
    return (AccountNotice(at, about[:DETAIL_MAX], _shown(detail)),)


def _text(body: Any, name: str) -> str:
    found = body.get(name) if isinstance(body, dict) else None
    return _shown(found) if isinstance(found, str | int) else ""


def _shown(said: object) -> str:
    """On one line, for people."""
    text = "" if said is None else str(said)
    printable = "".join(char if char.isprintable() else " " for char in text[: DETAIL_MAX * 2])
    return " ".join(as_seen(printable).split())[:DETAIL_MAX]


_SAID: Final[Mapping[str, Said]] = {
    "account_update": _account,
    "account_alerts": _alert,
    "account_review_update": _review,
    "business_capability_update": _capability,
    "message_template_quality_update": _template_quality,
    "phone_number_name_update": _name,
    "phone_number_quality_update": _number_quality,
    "security": _security,
}
