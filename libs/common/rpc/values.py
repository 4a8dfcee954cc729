"""Protobuf's well-known types to and from Python's, at the edge."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(at: datetime) -> Timestamp:
    """The message for a time with a zone, to the microsecond. Raises ValueError without one."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be sent")
    message = Timestamp()
    message.FromDatetime(at)
    return message


def datetime_of(message: Timestamp) -> datetime:
    """The time in UTC, cut to the microsecond. Raises ValueError for times that Python has not."""
    return message.ToDatetime(tzinfo=UTC)


def duration(span: timedelta) -> Duration:
    """The message for a span."""
    message = Duration()
    message.FromTimedelta(span)
    return message


def seconds_of(message: Duration) -> float:
    """The span in seconds."""
    return message.seconds + message.nanos / 1e9
