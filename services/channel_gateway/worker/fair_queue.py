"""Sends of one account that wait: journeys take turns, and what one person gets keeps its order. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from uuid import UUID

from services.channel_gateway.domain.model import Job


@dataclass(slots=True)
class _Entry:
    job: Job
    left: bool = False
    """It left in the turn of another journey, and only stands in its own's line."""


class FairQueue:
    """However many sends of one journey wait, the next one of each other journey is at most one round of turns away.

    Where a journey's next send is to somebody for whom another journey's send came first, that one leaves in its place,
    and the journey's own with its next turn.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._journeys: dict[UUID, deque[_Entry]] = {}
        self._turns: deque[UUID] = deque()
        self._people: dict[str, deque[_Entry]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Sends that wait."""
        return self._count

    def count_of(self, journey_id: UUID) -> int:
        """Sends of a journey that wait; those that left in others' turns may be among them."""
        return len(self._journeys.get(journey_id, ()))

    def add(self, job: Job) -> None:
        """Puts a send at the end of its journey's line."""
        line = self._journeys.get(job.journey_id)
        if line is None:
            line = self._journeys[job.journey_id] = deque()
            self._turns.append(job.journey_id)
        entry = _Entry(job)
        line.append(entry)
        self._people.setdefault(job.recipient, deque()).append(entry)
        self._count += 1

    def take(self) -> Job:
        """The send whose turn it is. Raises IndexError when none waits."""
        line = self._next_line()
        entry = self._first_to(line[0].job.recipient)
        entry.left = True
        self._count -= 1
        return entry.job

    def _next_line(self) -> deque[_Entry]:
        """The line whose turn it is, with a send at its head; it is last in turn from here on."""
        while True:
            journey_id = self._turns.popleft()
            line = self._journeys[journey_id]
            while line and line[0].left:
                line.popleft()
            if line:
                self._turns.append(journey_id)
                return line
            del self._journeys[journey_id]

    def _first_to(self, recipient: str) -> _Entry:
        sends = self._people[recipient]
        entry = sends.popleft()
        if not sends:
            del self._people[recipient]
        return entry
