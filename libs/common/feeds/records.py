"""What the records of journey and of the gateway have in common: the shards in which they lie, and their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

SHARDS: Final = 8
"""Parts of a history of records, each with positions of its own; fixed, as `PARTITIONS` is, and a divisor of it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def shard_of(partition: int) -> int:
    """The shard in which the records of a partition's customers and journeys lie."""
    return partition % SHARDS


def epoch_us(at: datetime) -> int:
    """Microseconds from 1970 to `at`. Raises TypeError when `at` has no zone."""
    return (at - _EPOCH) // _MICROSECOND


def time_of(us: int) -> datetime:
    """The time so many microseconds after 1970. Raises OverflowError for one that no datetime has."""
    return _EPOCH + timedelta(microseconds=us)
