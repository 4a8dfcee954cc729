"""Answers to single items of a batch."""

from __future__ import annotations

from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.errors import Aborted, DomainError


class EventStatus(IntEnum):
    """What became of a report; numbers as in the contract."""

    ACCEPTED = 1
    DUPLICATE = 2
    REFUSED = 3


class EventResult(msgspec.Struct, frozen=True):
    """Answer to one report."""

    status: EventStatus
    customer_id: UUID | None = None
    customer_created: bool = False
    reason: str = ""
    """Name of an `ErrorReason` for a refused one."""
    message: str = ""


class ChangeStatus(IntEnum):
    """What became of a change; numbers as in the contract."""

    APPLIED = 1
    UNCHANGED = 2
    REFUSED = 3


class ChangeResult(msgspec.Struct, frozen=True):
    """Answer to one change."""

    status: ChangeStatus
    reason: str = ""
    replayed: bool = False


APPLIED: Final = ChangeResult(ChangeStatus.APPLIED)
"""It is different now."""


def refused_event(reason: str, message: str) -> EventResult:
    """An event that is not stored."""
    return EventResult(EventStatus.REFUSED, reason=reason, message=message)


def failed_event(error: Exception) -> EventResult | None:
    """An event whose write failed each time that it was tried, beside others that were stored; it may come again. None
    for an error that says nothing of the event."""
    if not isinstance(error, DomainError):
        return refused_event("INTERNAL", "it could not be stored: send it again later")
    return refused_event(error.reason, error.message) if isinstance(error, Aborted) else None
