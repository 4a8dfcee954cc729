"""Figures counted anew, as work that goes on after the call that asked for it."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from libs.common.ids import ALL_TEAMS

UNFINISHED_MAX: Final = 10
"""Rebuilds that wait or run; each reads all histories."""
KEPT_MAX: Final = 100
"""Rebuilds of a team that have ended and are kept; the oldest go."""
TRIES_MAX: Final = 5
"""How often one is taken up without getting on: what it reads may be away."""


class RebuildState(IntEnum):
    """Where it stands; the numbers are those of the contract's OperationState."""

    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def has_ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self > RebuildState.RUNNING


class RebuildKey(NamedTuple):
    """Which one."""

    team_id: UUID
    rebuild_id: UUID

    def counts(self, team_id: UUID) -> bool:
        """Whether a team's figures are among them."""
        return self.team_id in (ALL_TEAMS, team_id)

    def shadow_of(self, team_id: UUID) -> UUID:
        """The id that stands for a team until its new figures are shown; no team has it."""
        return uuid5(self.rebuild_id, team_id.hex)


class Rebuild(NamedTuple):
    """A rebuild as it stands."""

    key: RebuildKey
    state: RebuildState
    done: int
    """Rows of histories gone through."""
    total: int
    """Rows that there were when it was taken up last."""
    tries: int
    reason: str
    """Why it failed: the name of an ErrorReason."""
    message: str
    created_at: datetime
    ended_at: datetime | None
