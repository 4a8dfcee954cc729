"""Facts: the rows of the gateway's history."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from uuid import UUID

import msgspec


class FactKind(IntEnum):
    """Kinds of rows of the history."""

    SEND_SETTLED = 1
    RECEIPT = 2
    CLICK = 3
    CONTENT_GONE = 4
    SEND_RESOLVED = 6


class GoneKind(IntEnum):
    """What kind of content is gone."""

    BOT_MODULE = 1
    TEMPLATE = 2
    ACCOUNT = 3
    PAYMENT = 4
    """The account is there, and its channel takes nothing that costs."""


class Fact(msgspec.Struct, frozen=True):
    """What happened to content. What happens to sends is written by the functions that settle them."""

    kind: FactKind
    team_id: UUID
    occurred_at: datetime
    content_id: UUID
    outcome: int
    reason: str


def gone(team_id: UUID, kind: GoneKind, content_id: UUID, reason: str, now: datetime) -> Fact:
    """The fact that content can no longer be sent."""
    return Fact(FactKind.CONTENT_GONE, team_id, now, content_id, kind, reason)
