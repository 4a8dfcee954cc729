"""What journey's history consists of: a record is what one commit did to the customers of one team and one shard.

The body of a record is msgpack, an array a struct, and is handed on as it is stored: readers decode and count. Ids are
16 bytes, times microseconds since 1970 in domain time. A struct may gain fields at its end, each with a default; what
else changes needs a new tag, which old readers refuse.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from libs.common.feeds.records import time_of
from libs.common.ids import PARTITIONS

FEED_START: Final = PARTITIONS
"""What feeds call shard 0: numbers below are partitions of what was written before there were records."""


class StepRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One step of an enrolment; `result` is a `journey.v1.StepResult`, `after_us` counts from the record's time.

    `seen` is what decided a condition and what the customer had there, for people; written where there is any.
    """

    node_id: str
    visit: int
    result: int
    entered: bool
    detail: str = ""
    after_us: int = 0
    seen: str = ""


class RunSegmentFact(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What one enrolment did between two waits.

    `journey` is an index of the record's `journeys`; `state` a `journey.v1.EnrolmentState`, the one after it.
    """

    journey: int
    customer_id: bytes
    enrolment_id: bytes
    enrolled: bool
    state: int
    steps: list[StepRecord]
    after_us: int = 0


class RefusalFact(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A trigger that met all conditions and did not enrol; `reason` is a `RefusalReason` of journey."""

    journey: int
    customer_id: bytes
    reason: int
    after_us: int = 0


class StatusFact(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A change of a journey's status.

    `before` and `after` are `journey.v1.JourneyStatus`, `reason` is a `StatusReason`.
    """

    journey: int
    before: int
    after: int
    reason: int
    name: str
    after_us: int = 0


Fact = RunSegmentFact | RefusalFact | StatusFact


class Record(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The body of a row: `at_us` is the time from which `after_us` counts. The facts of an enrolment are in order.

    `revisions` are those of `journeys`, by which the commit decided; 0 is not known, none are known where it is empty.
    `traces` are the contexts of sampled traces that had a part in it, whichever facts they are of.
    """

    at_us: int
    journeys: list[bytes]
    facts: list[Fact]
    revisions: list[int] = []
    traces: list[bytes] = []

    def time(self, after_us: int) -> datetime:
        """A domain time of this record. Raises OverflowError for one that no datetime has."""
        return time_of(self.at_us + after_us)


_decoder: Final = msgspec.msgpack.Decoder(Record)
_encoder: Final = msgspec.msgpack.Encoder()

read_record: Final = _decoder.decode
"""The record of a body. Raises `msgspec.ValidationError` or `DecodeError` if it is none."""
pack_record: Final = _encoder.encode
"""The body of a record; a tuple in place of a struct gives the same bytes, its tag first."""
