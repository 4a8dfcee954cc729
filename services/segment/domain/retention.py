"""How long a team's records are kept, as the team says it."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple


class Periods(NamedTuple):
    """By kind of record; None: as the installation says."""

    webhook_bodies: timedelta | None = None
    message_contents: timedelta | None = None
    enrolment_steps: timedelta | None = None
    histories: timedelta | None = None
    audit_entries: timedelta | None = None
    hourly_figures: timedelta | None = None


class Retention(NamedTuple):
    """What a team says."""

    periods: Periods
    revision: int
    """Grows with every change; 0: nothing was ever said."""
