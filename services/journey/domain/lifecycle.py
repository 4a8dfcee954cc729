"""What each status of a journey allows, and what it becomes (J-01 to J-07)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from libs.common.errors import FailedPrecondition
from services.journey.domain.model import OPEN, Journey, JourneyStatus, StatusReason, SystemTriggerKind
from services.journey.domain.status import accepts, journey_status_at

NOT_FOUND: Final = "RESOURCE_NOT_FOUND"
"""Why nobody can enter a journey that there is not, and a customer that there is not enters none."""


class JourneyChanged(Exception):
    """A journey was changed while a turn used it: run the turn again with the new one."""


class JourneyAction(StrEnum):
    """What a person can do to a journey. Viewing and copying are always allowed."""

    EDIT = "edit"
    PUBLISH = "publish"
    CLOSE_TRIGGER = "close trigger"
    STOP = "stop"
    DELETE = "delete"


S = JourneyStatus
A = JourneyAction
ALLOWED: Mapping[JourneyStatus, frozenset[JourneyAction]] = {
    S.DRAFT: frozenset({A.EDIT, A.PUBLISH, A.DELETE}),
    S.SCHEDULED: frozenset({A.EDIT, A.STOP, A.DELETE}),
    S.ACTIVE: frozenset({A.EDIT, A.CLOSE_TRIGGER, A.STOP}),
    S.TRIGGER_CLOSED: frozenset({A.STOP}),
    S.STOPPING: frozenset({A.STOP}),
    S.STOPPED: frozenset({A.EDIT, A.DELETE}),
}

MESSAGES: Mapping[StatusReason, tuple[str, str]] = {
    StatusReason.LINE_QUOTA_EXHAUSTED: (
        "LINE messages cannot be sent: the official account has no messages left",
        "LINE 渠道無法發送訊息，官方帳號已無可用訊息則數",
    ),
    StatusReason.WHATSAPP_BALANCE_EXHAUSTED: (
        "WhatsApp messages cannot be sent: the prepaid balance is used up",
        "WhatsApp 渠道無法發送訊息，預付帳戶餘額為 0",
    ),
    StatusReason.LINE_CAP_REACHED: (
        "LINE messages cannot be sent: the journey has reached its cap for this channel",
        "LINE 渠道無法發送訊息，目標渠道訊息量已達上限",
    ),
    StatusReason.WHATSAPP_CAP_REACHED: (
        "WhatsApp messages cannot be sent: the journey has reached its cap for this channel",
        "WhatsApp 渠道無法發送訊息，目標渠道訊息量已達上限",
    ),
    StatusReason.BOT_MODULE_MISSING: ("The bot or bot module is gone", "找不到機器人或機器人模組"),
    StatusReason.WHATSAPP_TEMPLATE_MISSING: ("The WhatsApp template is gone", "找不到 WhatsApp 訊息範本"),
    StatusReason.ATTRIBUTE_UNAVAILABLE: (
        "A custom attribute is gone, archived or of another type",
        "找不到自訂屬性或被封存、資料型態被改變",
    ),
    StatusReason.PLAN_TRIGGER_LIMIT: (
        "The plan's journey triggers are used up",
        "旅程觸發次數已達方案上限",
    ),
}
"""Text of each reason in English and in Traditional Chinese, as people see it in the list."""


def require_allowed(journey: Journey, action: JourneyAction) -> None:
    """Raises `FailedPrecondition` STATUS_FORBIDS_ACTION unless the journey's status allows the action."""
    if action not in ALLOWED[journey.status]:
        raise FailedPrecondition(
            "STATUS_FORBIDS_ACTION",
            f"a journey that is {journey.status.name} does not allow: {action}",
            metadata={"status": journey.status.name, "action": action.value},
        )


def somebody_inside(journey: Journey, action: JourneyAction) -> FailedPrecondition:
    """The refusal of what is allowed only while nobody is inside."""
    return FailedPrecondition(
        "STATUS_FORBIDS_ACTION",
        f"customers are inside the journey, which is {journey.status.name}: stop it first",
        metadata={"status": journey.status.name, "action": action.value},
    )


def published(journey: Journey, now: datetime) -> JourneyStatus:
    """Status after publishing."""
    schedule = journey.definition.schedule
    return S.SCHEDULED if schedule is not None and schedule.start > now else S.ACTIVE


def stopped_by_itself(journey: Journey, reason: StatusReason) -> JourneyStatus | None:
    """Status after a stop for `reason`, or None if the journey is stopping, stopped or closed already."""
    if reason is StatusReason.PLAN_TRIGGER_LIMIT:
        return S.TRIGGER_CLOSED if journey.status in OPEN else None
    return S.STOPPING if journey.status in (S.SCHEDULED, S.ACTIVE, S.TRIGGER_CLOSED) else None


def due_change(journey: Journey, now: datetime) -> JourneyStatus | None:
    """The label that the schedule gives the journey at `now`, or None if it has it. Labels go forward only."""
    after = journey_status_at(journey, now)
    return None if after in (journey.status, S.SCHEDULED) else after


def trigger_refusal(journey: Journey | None, now: datetime) -> str:
    """Why the API cannot enrol anybody in this journey now, a name of ErrorReason; empty if it can."""
    if journey is None:
        return NOT_FOUND
    if not isinstance(journey.definition.trigger, SystemTriggerKind):
        return "TRIGGER_MISMATCH"
    return "" if accepts(journey, now, now) else "STATUS_FORBIDS_ACTION"
