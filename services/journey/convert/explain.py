"""Explanations, as the contract shows them."""

from __future__ import annotations

from libs.common.rpc.errors import reason_named
from libs.common.rpc.values import timestamp
from omnijourney.journey.v1 import explain_pb2, journey_pb2
from services.journey.convert.enrolments import enrolment_message, step_message
from services.journey.convert.faults import fault_messages
from services.journey.domain.explain import Explained


def explanation_message(explained: Explained) -> explain_pb2.EntryExplanation:
    """What an event led to, as the contract shows it."""
    why, stored = explained.why, explained.enrolment
    return explain_pb2.EntryExplanation(
        event_id=str(explained.event_id),
        result=explain_pb2.EntryResult.ValueType(why.result),
        field=why.field,
        value=why.value,
        message=why.message,
        reason=reason_named(why.reason),
        occur_time=timestamp(explained.occurred_at) if explained.occurred_at else None,
        enrolment_id=str(stored.enrolment.enrolment_id) if stored else "",
        enrolment=enrolment_message(stored) if stored else None,
        steps=map(step_message, explained.steps),
        trigger_data=explained.trigger_data,
        message_faults=fault_messages(explained.message_faults),
        cause=explain_pb2.EntryCause.ValueType(why.cause),
        cause_time=timestamp(why.at) if why.at else None,
        closed_reason=journey_pb2.StatusReason.ValueType(why.closed),
    )
