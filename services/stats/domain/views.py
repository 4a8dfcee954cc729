"""Rows that edge, use cases and store all name."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

RowPlace = tuple[int, int, int]
"""Number of the source, partition and position of a row of a history."""


class ProjectionState(NamedTuple):
    """How far one history is counted."""

    source: str
    """The service whose history it is."""
    counted: int
    """Rows counted since the beginning."""
    waiting: int
    """Rows that wait, up to a bound."""
    error: str
    """What keeps it from going on; empty if nothing does."""
    set_aside: int
    """Rows that could not be counted."""


class AttributedOrder(NamedTuple):
    """An order that was read, and the journey that it is counted for."""

    customer_id: UUID | None
    ordered_at: datetime
    currency: str
    uncounted: int
    """A `segment.v1.UncountedReason`."""
    journey_id: UUID | None
    """None: of none."""
    node_id: str
    clicked_at: datetime | None
    counted_micros: int
    """What the journey's revenue has of it."""
    before_at: datetime | None
    """The customer's last click before it, whether or not that counts."""


class RowSetAside(NamedTuple):
    """A row of a history that could not be counted, or some facts of it."""

    source: int
    partition: int
    position: int
    reason: str
    create_time: datetime

    @property
    def place(self) -> RowPlace:
        """Where it is found."""
        return self[:3]
