"""What journey wrote before it had records, as others read it now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.feeds import journey_records as r
from libs.common.times import UnreadableTime
from services.journey.convert.history import row_values
from services.journey.domain.enrolment import EnrolmentState, Step, StepResult
from services.journey.domain.model import JourneyStatus, StatusReason
from services.journey.domain.turn import RefusalReason
from services.journey.store import codec

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEAM, JOURNEY, CUSTOMER, ENROLMENT = (UUID(int=number) for number in range(1, 5))


def row(kind: codec.FactKind, body: Any, at: datetime = AT) -> dict[str, Any]:
    return {
        "partition": 7,
        "position": 9,
        "team_id": TEAM,
        "journey_id": JOURNEY,
        "customer_id": CUSTOMER,
        "enrolment_id": ENROLMENT,
        "at": at,
        "kind": kind,
        "body": codec.pack(body),
    }


def fact_of(kind: codec.FactKind, body: Any) -> r.Fact:
    """The only fact of the record that a row is read as."""
    partition, position, team_id, packed = row_values(row(kind, body))
    assert (partition, position, team_id) == (7, 9, TEAM)
    record = r.read_record(packed)
    assert (record.time(0), record.journeys) == (AT, [JOURNEY.bytes])
    (fact,) = record.facts
    return fact


def test_a_run_segment_is_a_record_of_one_fact() -> None:
    steps = (
        Step("wait", 1, StepResult.DELAY_ENDED, AT, detail="x"),
        Step("hello", 2, StepResult.SENT, AT - timedelta(microseconds=5), entered=True),
    )
    body = codec.RunSegmentRecord(True, EnrolmentState.COMPLETED, steps)
    assert fact_of(codec.FactKind.RUN_SEGMENT, body) == r.RunSegmentFact(
        0,
        CUSTOMER.bytes,
        ENROLMENT.bytes,
        True,
        EnrolmentState.COMPLETED,
        [r.StepRecord("wait", 1, 9, False, "x"), r.StepRecord("hello", 2, 2, True, "", -5)],
    )


def test_a_refusal_and_a_change_of_status_are_records_of_one_fact() -> None:
    refusal = codec.RefusalRecord(RefusalReason.CUSTOMER_LIMIT)
    assert fact_of(codec.FactKind.TRIGGER_REFUSED, refusal) == r.RefusalFact(0, CUSTOMER.bytes, 1)
    change = codec.StatusRecord(JourneyStatus.ACTIVE, JourneyStatus.STOPPING, StatusReason(0), "Welcome")
    assert fact_of(codec.FactKind.STATUS_CHANGED, change) == r.StatusFact(
        0, JourneyStatus.ACTIVE, JourneyStatus.STOPPING, 0, "Welcome"
    )


def test_what_cannot_be_read_is_a_fault() -> None:
    refusal = codec.RefusalRecord(RefusalReason.CUSTOMER_LIMIT)
    faulty = [
        row(codec.FactKind.TRIGGER_REFUSED, refusal, UnreadableTime.after()),
        row(codec.FactKind.TRIGGER_REFUSED, "text"),
        row(99, refusal),  # type: ignore[arg-type]
    ]
    for each in faulty:
        with pytest.raises((ValueError, LookupError)):
            row_values(each)
