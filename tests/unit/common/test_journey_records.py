"""The bodies of journey's history."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.feeds import journey_records as r
from libs.common.feeds.records import SHARDS, epoch_us, shard_of, time_of
from libs.common.ids import PARTITIONS

AT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
JOURNEY, CUSTOMER, ENROLMENT = (letter * 16 for letter in (b"j", b"c", b"e"))
STEPS = [r.StepRecord("send", 1, 2, entered=True), r.StepRecord("wait", 1, 8, True, "", 5)]
RECORD = r.Record(
    epoch_us(AT),
    [JOURNEY],
    [
        r.RunSegmentFact(0, CUSTOMER, ENROLMENT, True, 1, STEPS),
        r.RefusalFact(0, CUSTOMER, 1),
        r.StatusFact(0, 3, 5, 1, "Welcome 歡迎", 7),
    ],
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert r.read_record(r.pack_record(RECORD)) == RECORD
    assert RECORD.time(0) == AT
    assert (
        RECORD.time(RECORD.facts[2].after_us) == time_of(epoch_us(AT) + 7) == AT + timedelta(microseconds=7)
    )


def test_tuples_with_their_tags_first_are_the_same_bytes() -> None:
    steps = [("send", 1, 2, True, "", 0, ""), ("wait", 1, 8, True, "", 5, "")]
    facts = [
        (1, 0, CUSTOMER, ENROLMENT, True, 1, steps, 0),
        (2, 0, CUSTOMER, 1, 0),
        (3, 0, 3, 5, 1, "Welcome 歡迎", 7),
    ]
    assert r.pack_record((1, epoch_us(AT), [JOURNEY], facts, [], [])) == r.pack_record(RECORD)


def test_a_fact_of_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        r.read_record(r.pack_record((1, 0, [JOURNEY], [(4, 0)])))
    with pytest.raises(msgspec.ValidationError):
        r.read_record(r.pack_record((2, 0, [JOURNEY], [])))


def test_a_fact_that_a_later_release_has_made_longer_is_read() -> None:
    fact = (2, 0, CUSTOMER, 1, 0, "new")
    assert r.read_record(r.pack_record((1, 0, [JOURNEY], [fact], [], [], "new"))).facts == [
        r.RefusalFact(0, CUSTOMER, 1)
    ]


def test_each_partition_lies_in_one_shard_and_all_shards_are_used() -> None:
    assert PARTITIONS % SHARDS == 0
    assert {shard_of(partition) for partition in range(PARTITIONS)} == set(range(SHARDS))


def test_a_record_of_before_there_were_revisions_is_read() -> None:
    step = ("send", 1, 2, True, "", 0)
    record = r.read_record(
        r.pack_record((1, 0, [JOURNEY], [(1, 0, CUSTOMER, ENROLMENT, True, 1, [step], 0)]))
    )
    assert record.revisions == []
    assert record.facts[0].steps == [r.StepRecord("send", 1, 2, entered=True)]  # type: ignore[union-attr]
