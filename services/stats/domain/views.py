"""Rows that edge, use cases and store all name."""

from __future__ import annotations

from typing import NamedTuple


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
