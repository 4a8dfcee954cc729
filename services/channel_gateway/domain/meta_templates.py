"""What Meta tells of a business account's templates: approved, refused, paused, another category.

https://developers.facebook.com/docs/whatsapp/business-management-api/webhooks. It names no phone number: it is for all
accounts of the business account.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.hints import line_fault
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.heard import Heard, ItemFaultError, TemplateReport
from services.channel_gateway.domain.hook_bodies import read_part
from services.channel_gateway.domain.meta_notices import template_warning
from services.channel_gateway.domain.meta_parts import CHANGE

_STATUS: Final = "message_template_status_update"
_CATEGORY: Final = "template_category_update"
TEMPLATE_FIELDS: Final = frozenset({_STATUS, _CATEGORY})
_STATES: Final = {
    "APPROVED": TemplateState.APPROVED,
    "REINSTATED": TemplateState.APPROVED,
    "PENDING": TemplateState.PENDING,
    "IN_APPEAL": TemplateState.PENDING,
    "REJECTED": TemplateState.REJECTED,
    "PAUSED": TemplateState.PAUSED,
    "DISABLED": TemplateState.DISABLED,
    "PENDING_DELETION": TemplateState.DISABLED,
    "DELETED": TemplateState.DISABLED,
}
_WARNINGS: Final = {
    "FLAGGED": "its quality is low, and it may be paused",
    "LIMIT_EXCEEDED": "the business account has as many templates as it may",
    "LOCKED": "it cannot be changed for now",
}
"""Events that leave a template as it is."""
_CATEGORIES: Final = frozenset({"MARKETING", "UTILITY", "AUTHENTICATION"})
_NO_REASON: Final = "NONE"
_REASON: Final = re.compile(r"[A-Z0-9_]{1,100}", re.ASCII)
_NAME_MAX: Final = 512
_LANGUAGE_MAX: Final = 20


class _Update(msgspec.Struct, frozen=True):
    message_template_name: str
    message_template_language: str
    event: str = ""
    new_category: str = ""
    reason: Any = None


_UPDATE: Final = msgspec.json.Decoder(_Update)


def is_of_templates(change: msgspec.Raw) -> bool:
    """Whether a change tells of templates."""
    try:
        return read_part(CHANGE, change).field in TEMPLATE_FIELDS
    except ItemFaultError:
        return False


def read_template(change: msgspec.Raw, at: datetime) -> tuple[Heard, ...]:
    """What a change tells of a template; `at` is the time of its entry. Raises ItemFaultError."""
    update = read_part(_UPDATE, read_part(CHANGE, change).value)
    name, language = update.message_template_name, update.message_template_language
    if _is_no_name(name, _NAME_MAX) or _is_no_name(language, _LANGUAGE_MAX):
        raise ItemFaultError("it names no template")
    event = update.event.upper()
    state = _STATES.get(event)
    category = update.new_category.upper()
    if state is None and category not in _CATEGORIES:
        if event in _WARNINGS:
            return template_warning(name, language, at, _WARNINGS[event])
        if event:
            raise ItemFaultError("its event is not known here: nothing was done")
        return ()
    reason = rejected_reason_of(update.reason) if state is TemplateState.REJECTED else ""
    return (TemplateReport(name, language, at, state, category if category in _CATEGORIES else "", reason),)


def rejected_reason_of(given: object) -> str:
    """Why a template was refused, by WhatsApp's name for it; empty for `NONE`, and for what is no such name."""
    name = given.strip().upper() if isinstance(given, str) else ""
    return name if name != _NO_REASON and _REASON.fullmatch(name) else ""


def _is_no_name(text: str, length_max: int) -> bool:
    return not text or line_fault(text, length_max) is not None
