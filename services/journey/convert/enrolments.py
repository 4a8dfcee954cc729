"""Enrolments and their steps, as the contract shows them."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from services.journey.domain.views import KeptStep, StoredEnrolment, Visitor, WaitRow


def enrolment_message(stored: StoredEnrolment) -> enrolment_pb2.Enrolment:
    """An enrolment as the contract shows it."""
    enrolment = stored.enrolment
    return enrolment_pb2.Enrolment(
        enrolment_id=str(enrolment.enrolment_id),
        journey_id=str(enrolment.journey_id),
        customer_id=str(enrolment.customer_id),
        state=enrolment_pb2.EnrolmentState.ValueType(enrolment.state),
        node_id=enrolment.node_id,
        wait_reason=enrolment_pb2.WaitReason.ValueType(enrolment.wait),
        wake_time=timestamp(enrolment.wake_at) if enrolment.wake_at else None,
        create_time=timestamp(enrolment.created_at),
        update_time=timestamp(stored.updated_at),
        causation_depth=enrolment.depth,
        trigger_event_id=str(enrolment.trigger_event_id),
    )


def visitor_message(visitor: Visitor) -> enrolment_pb2.Enrolment:
    """An enrolment that was at a node, with when."""
    message = enrolment_message(visitor.stored)
    message.visit_time.CopyFrom(timestamp(visitor.at))
    return message


def wait_message(row: WaitRow) -> explain_pb2.WaitCount:
    """How many wait at a node, as the contract shows it."""
    return explain_pb2.WaitCount(
        node_id=row.node_id or "",
        wait_reason=enrolment_pb2.WaitReason.ValueType(row.wait),
        enrolment_count=row.number,
        next_wake_time=timestamp(row.wake_at) if row.wake_at else None,
    )


def step_message(kept: KeptStep) -> enrolment_pb2.Step:
    """A step as the contract shows it."""
    step = kept.step
    return enrolment_pb2.Step(
        node_id=step.node_id,
        visit=step.visit,
        result=enrolment_pb2.StepResult.ValueType(step.result),
        detail=step.detail,
        occur_time=timestamp(step.at),
        entered=step.entered,
        revision=kept.revision,
        seen=step.seen,
    )
