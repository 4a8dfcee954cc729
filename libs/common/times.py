"""Which times and spans are believed when they come from outside."""

from datetime import UTC, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
OUT_OF_RANGE: Final = "must be a time in the years 1970 to 9998"
SPAN_MAX: Final = timedelta(days=36_525)
SPAN_OUT_OF_RANGE: Final = f"must be a span of 0 to {SPAN_MAX.days} days"
"""A hundred years: what is added to a time of today stays a time."""


def in_range(at: datetime) -> bool:
    """Whether a time (with a zone) lies from 1970 up to, not into, 9999.

    Dates that other languages leave unset lie outside, and so do times that overflow when a zone or a span is added.
    """
    return EARLIEST <= at < LATEST
