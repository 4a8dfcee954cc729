"""Domain to contract: enrolments, steps, history and mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.mailbox.api import Depth
from libs.common.mailbox.mail import Mail, MailSource
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import journey_fact_pb2
from omnijourney.journey.v1 import actor_pb2, enrolment_pb2
from services.journey.domain import model as d
from services.journey.domain.parked import ParkedMail, ParkedRow
from services.journey.store import records
from services.journey.store.actors import Lease, WorkerRow
from services.journey.store.journeys import StoredEnrolment

SOURCE_NAMES: Mapping[int, str] = {
    MailSource.SEGMENT: "segment",
    MailSource.GATEWAY: "channel_gateway",
    MailSource.JOURNEY: "journey",
}


def enrolment_message(stored: StoredEnrolment) -> enrolment_pb2.Enrolment:
    """An enrolment as the contract shows it."""
    enrolment = stored.enrolment
    return enrolment_pb2.Enrolment(
        enrolment_id=str(enrolment.enrolment_id),
        journey_id=str(enrolment.journey_id),
        customer_id=str(enrolment.customer_id),
        state=enrolment_pb2.EnrolmentState.ValueType(enrolment.state),
        node_id=enrolment.node_id,
        rest_reason=enrolment_pb2.RestReason.ValueType(enrolment.wait),
        wake_time=timestamp(enrolment.wake_at) if enrolment.wake_at else None,
        create_time=timestamp(enrolment.created_at),
        update_time=timestamp(stored.updated_at),
        causation_depth=enrolment.depth,
        trigger_event_id=str(enrolment.trigger_event_id),
    )


def step_message(step: d.Step) -> enrolment_pb2.Step:
    """A step as the contract shows it."""
    return enrolment_pb2.Step(
        node_id=step.node_id,
        visit=step.visit,
        result=enrolment_pb2.StepResult.ValueType(step.result),
        detail=step.detail,
        time=timestamp(step.at),
        entered=step.entered,
    )


def fact_message(row: Mapping[str, Any]) -> journey_fact_pb2.JourneyFact:
    """A row of history as other services read it."""
    time = timestamp(row["at"])
    return journey_fact_pb2.JourneyFact(
        partition=row["partition"],
        position=row["position"],
        team_id=str(row["team_id"]),
        journey_id=str(row["journey_id"]),
        time=time,
        **_KINDS[row["kind"]](row, time),
    )


# Every enrolment leaves some of these: each message is made by one call, and a time that repeats is made once.


def _run_segment(row: Mapping[str, Any], time: Timestamp) -> dict[str, Any]:
    at, run_segment = row["at"], records.read_run_segment(row["body"])
    told = journey_fact_pb2.RunSegment(
        enrolment_id=str(row["enrolment_id"]),
        customer_id=str(row["customer_id"]),
        enrolled=run_segment.enrolled,
        steps=[
            enrolment_pb2.Step(
                node_id=step.node_id,
                visit=step.visit,
                result=step.result,  # type: ignore[arg-type]  # the numbers are those of the contract
                detail=step.detail,
                time=time if step.at == at else timestamp(step.at),
                entered=step.entered,
            )
            for step in run_segment.steps
        ],
        state=run_segment.state,  # type: ignore[arg-type]
    )
    return {"run_segment": told}


def _refused(row: Mapping[str, Any], _time: Timestamp) -> dict[str, Any]:
    refusal = records.read_refusal(row["body"])
    told = journey_fact_pb2.TriggerRefused(
        customer_id=str(row["customer_id"]),
        reason=refusal.reason,  # type: ignore[arg-type]
    )
    return {"trigger_refused": told}


def _status_changed(row: Mapping[str, Any], _time: Timestamp) -> dict[str, Any]:
    change = records.read_status(row["body"])
    told = journey_fact_pb2.StatusChanged(
        before=change.before,  # type: ignore[arg-type]
        after=change.after,  # type: ignore[arg-type]
        reason=change.reason,  # type: ignore[arg-type]
        journey_name=change.name,
    )
    return {"status_changed": told}


_KINDS: Mapping[int, Callable[[Mapping[str, Any], Timestamp], dict[str, Any]]] = {
    records.FactKind.RUN_SEGMENT: _run_segment,
    records.FactKind.TRIGGER_REFUSED: _refused,
    records.FactKind.STATUS_CHANGED: _status_changed,
}


def partition_message(partition: int, depth: Depth, lease: Lease | None) -> actor_pb2.Partition:
    """A partition as operators see it."""
    message = actor_pb2.Partition(
        partition=partition, ready_customers=depth.ready, taken_customers=depth.taken
    )
    if lease is not None:
        message.worker_id = lease.owner
        message.epoch = lease.epoch
        message.lease_expire_time.CopyFrom(timestamp(lease.expires_at))
    return message


def worker_message(worker: WorkerRow, partitions: int) -> actor_pb2.Worker:
    """A worker as operators see it."""
    return actor_pb2.Worker(
        worker_id=worker.worker_id,
        draining=worker.draining,
        partition_count=partitions,
        expire_time=timestamp(worker.expires_at),
    )


def parked_message(row: ParkedRow, mail: ParkedMail) -> actor_pb2.ParkedCustomer:
    """A parked customer as operators see them."""
    return actor_pb2.ParkedCustomer(
        customer_id=str(row.customer_id),
        error=row.error,
        attempts=row.attempts,
        park_time=timestamp(row.parked_at),
        mails=map(mail_item, mail.mails),
        silent_sources=[SOURCE_NAMES[source] for source in mail.silent],
    )


def mail_item(mail: Mail) -> actor_pb2.MailItem:
    """A mail as operators see it."""
    return actor_pb2.MailItem(
        source=SOURCE_NAMES[mail.source],
        number=mail.number,
        kind=type(mail.body).__name__,
        time=timestamp(mail.occurred_at),
        event_id=str(mail.event_id),
    )
