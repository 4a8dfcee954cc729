"""Which times and spans are believed when they come from outside."""

from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

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


class UnreadableTime(datetime):
    """A stored time of a year that Python has not: the first or the last moment in its stead.

    It can be compared, so that what is due is due, and not be calculated with or sent.
    """

    @classmethod
    def before(cls) -> "UnreadableTime":
        """A time before the year 1."""
        return cls(1, 1, 1, tzinfo=UTC)

    @classmethod
    def after(cls) -> "UnreadableTime":
        """A time from the year 10000 on."""
        return cls(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

    def __sub__(self, other: object) -> NoReturn:
        """Raises ValueError."""
        raise ValueError(UNREADABLE)


UNREADABLE: Final = "a time outside the years 1 to 9999"
