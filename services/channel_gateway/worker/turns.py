"""Whose turn it is among teams whose work must not wait for each other's. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final
from uuid import UUID

LANES_MAX: Final = 16
"""Teams at work at once that were not found to be slow."""
SLOW_MAX: Final = 16
"""Teams that were slow in their last turn take part in so many lanes of their own."""
WORKING_MAX: Final = 64
"""Teams at work at once in all: those that turn out to be slow make room for others, up to here."""


class Turns:
    """Teams with work, in the order in which they came, each at work once at a time.

    A team that turns out to be slow gives its lane to the others, and its next turn is in a lane of the slow ones:
    however many teams are slow, the others find lanes.
    """

    def __init__(self) -> None:
        """Nobody has work."""
        self._ready: deque[UUID] = deque()
        self._slow_ready: deque[UUID] = deque()
        self._waiting: set[UUID] = set()
        """All of both."""
        self.working: set[UUID] = set()
        self._slow: set[UUID] = set()
        """Of those at work."""

    @property
    def waiting_count(self) -> int:
        """Teams that wait for their turn."""
        return len(self._waiting)

    def offer(self, teams: Iterable[UUID]) -> None:
        """These have work; those that wait or are at work already stay where they are."""
        for team in teams:
            if team not in self._waiting and team not in self.working:
                self._waiting.add(team)
                self._ready.append(team)

    def take(self) -> UUID | None:
        """The team whose turn it is, at work from here on; None while there is nobody or no lane is free."""
        quick = len(self.working) - len(self._slow)
        if self._ready and quick < LANES_MAX and len(self.working) < WORKING_MAX:
            team = self._ready.popleft()
        elif self._slow_ready and len(self._slow) < SLOW_MAX:
            team = self._slow_ready.popleft()
            self._slow.add(team)
        else:
            return None
        self._waiting.remove(team)
        self.working.add(team)
        return team

    def found_slow(self, team: UUID) -> bool:
        """The team at work takes long: its lane is free for another. Whether that is news."""
        if team not in self.working or team in self._slow:
            return False
        self._slow.add(team)
        return True

    def ended(self, team: UUID, *, again: bool) -> None:
        """The team's turn is over; `again`: it has more work, and goes to the end of its line."""
        self.working.remove(team)
        was_slow = team in self._slow
        self._slow.discard(team)
        if again:
            self._waiting.add(team)
            (self._slow_ready if was_slow else self._ready).append(team)

    def clear(self) -> None:
        """Forgets those that wait."""
        self._ready.clear()
        self._slow_ready.clear()
        self._waiting.clear()
