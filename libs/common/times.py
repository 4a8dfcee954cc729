"""Which times are believed when they come from outside."""

from datetime import UTC, datetime
from typing import Final

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
OUT_OF_RANGE: Final = "must be a time in the years 1970 to 9998"


def in_range(at: datetime) -> bool:
    """Whether a time (with a zone) lies from 1970 up to, not into, 9999.

    Dates that other languages leave unset lie outside, and so do times that overflow when a zone or a span is added.
    """
    return EARLIEST <= at < LATEST
