"""Webhooks that are handed on again, a team's of a span of time."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

RUNNING_MAX: Final = 10
"""Replays of a team at once."""
STEP_MAX: Final = 200
"""Webhooks that are handed on again at once; the next when these are worked."""


class ReplayState(IntEnum):
    """Where a replay stands."""

    RUNNING = 1
    SUCCEEDED = 2
    CANCELLED = 3


class Replay(NamedTuple):
    """Which webhooks, and how far it is."""

    team_id: UUID
    replay_id: UUID
    source: int
    """Of `InboxSource`; 0: all."""
    start_at: datetime
    end_at: datetime
    """Received from one on and before the other."""
    refused_only: bool
    reached: int
    """The last sequence that was handed on again."""
    done_count: int
    state: ReplayState
    created_at: datetime
    updated_at: datetime
