"""Rows of history, as other services read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import journey_fact_pb2
from omnijourney.journey.v1 import enrolment_pb2
from services.journey.store import codec


def fact_message(row: Mapping[str, Any]) -> journey_fact_pb2.JourneyFact:
    """A row of history as other services read it."""
    time = timestamp(row["at"])
    return journey_fact_pb2.JourneyFact(
        partition=row["partition"],
        position=row["position"],
        team_id=str(row["team_id"]),
        journey_id=str(row["journey_id"]),
        occur_time=time,
        **_KINDS[row["kind"]](row, time),
    )


# Every enrolment leaves some of these: each message is made by one call, and a time that repeats is made once.


def _run_segment(row: Mapping[str, Any], time: Timestamp) -> dict[str, Any]:
    at, run_segment = row["at"], codec.read_run_segment(row["body"])
    message = journey_fact_pb2.RunSegment(
        enrolment_id=str(row["enrolment_id"]),
        customer_id=str(row["customer_id"]),
        enrolled=run_segment.enrolled,
        steps=[
            enrolment_pb2.Step(
                node_id=step.node_id,
                visit=step.visit,
                result=step.result,  # type: ignore[arg-type]  # the numbers are those of the contract
                detail=step.detail,
                occur_time=time if step.at == at else timestamp(step.at),
                entered=step.entered,
            )
            for step in run_segment.steps
        ],
        state=run_segment.state,  # type: ignore[arg-type]
    )
    return {"run_segment": message}


def _refused(row: Mapping[str, Any], _time: Timestamp) -> dict[str, Any]:
    refusal = codec.read_refusal(row["body"])
    message = journey_fact_pb2.TriggerRefused(
        customer_id=str(row["customer_id"]),
        reason=refusal.reason,  # type: ignore[arg-type]
    )
    return {"trigger_refused": message}


def _status_changed(row: Mapping[str, Any], _time: Timestamp) -> dict[str, Any]:
    change = codec.read_status(row["body"])
    message = journey_fact_pb2.StatusChanged(
        before=change.before,  # type: ignore[arg-type]
        after=change.after,  # type: ignore[arg-type]
        reason=change.reason,  # type: ignore[arg-type]
        journey_name=change.name,
    )
    return {"status_changed": message}


_KINDS: Mapping[int, Callable[[Mapping[str, Any], Timestamp], dict[str, Any]]] = {
    codec.FactKind.RUN_SEGMENT: _run_segment,
    codec.FactKind.TRIGGER_REFUSED: _refused,
    codec.FactKind.STATUS_CHANGED: _status_changed,
}
