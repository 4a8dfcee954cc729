"""Protobuf's well-known types to and from Python's, at the edge."""

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.times import EARLIEST, LATEST, SPAN_MAX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S: Final = 86_400
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799
"""The years 1 to 9999."""
_BELIEVED: Final = range(int(EARLIEST.timestamp()), int(LATEST.timestamp()))
_SPAN_S_MAX: Final = int(SPAN_MAX.total_seconds())


# Every row of every feed has a time or two: made by hand they take a fifth of what protobuf's own conversion takes.


def timestamp(at: datetime) -> Timestamp:
    """The message for a time with a zone, to the microsecond. Raises ValueError without one."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be sent")
    since = at - _EPOCH
    return Timestamp(seconds=since.days * _DAY_S + since.seconds, nanos=since.microseconds * 1_000)


def datetime_of(message: Timestamp) -> datetime:
    """The time in UTC, cut to the microsecond. Raises ValueError for times that Python has not."""
    seconds, nanos = message.seconds, message.nanos
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos < 1_000_000_000):
        raise ValueError(f"no time: {seconds} s and {nanos} ns since 1970")
    return _EPOCH + timedelta(0, seconds, nanos // 1_000)


def believed_time(message: Timestamp) -> datetime | None:
    """The time in UTC, cut to the microsecond; None for what is none, or is not believed."""
    seconds, nanos = message.seconds, message.nanos
    if seconds in _BELIEVED and 0 <= nanos < 1_000_000_000:
        return _EPOCH + timedelta(0, seconds, nanos // 1_000)
    return None


def is_time(message: Timestamp) -> bool:
    """Whether it is a time, and one that is believed (see `libs.common.times.in_range`)."""
    return message.seconds in _BELIEVED and 0 <= message.nanos < 1_000_000_000


def is_span(message: Duration) -> bool:
    """Whether it is a span of 0 to `SPAN_MAX`."""
    return 0 <= message.seconds <= _SPAN_S_MAX and 0 <= message.nanos < 1_000_000_000


def duration(span: timedelta) -> Duration:
    """The message for a span."""
    message = Duration()
    message.FromTimedelta(span)
    return message


def seconds_of(message: Duration) -> float:
    """The span in seconds."""
    return message.seconds + message.nanos / 1e9
