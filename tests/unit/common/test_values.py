"""Times to and from their message: as protobuf itself does it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from libs.common.rpc.values import datetime_of, timestamp

_ZONES = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda span: timezone(timedelta(minutes=span // timedelta(minutes=1)))
)
_TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=_ZONES)  # noqa: DTZ001 - zones are added


@given(_TIMES, st.integers(0, 999))
def test_times_are_converted_as_protobuf_converts_them(at: datetime, nanos: int) -> None:
    expected = Timestamp()
    expected.FromDatetime(at)
    assert timestamp(at) == expected
    expected.nanos += nanos
    assert datetime_of(expected) == expected.ToDatetime(tzinfo=UTC)
    assert datetime_of(expected).tzinfo is UTC


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(253_402_300_800, 0), (-62_135_596_801, 0), (0, -1), (0, 1_000_000_000)],
)
def test_times_that_are_none_are_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(ValueError, match="no time"):
        datetime_of(Timestamp(seconds=seconds, nanos=nanos))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        timestamp(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
