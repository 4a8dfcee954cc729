"""Audience triggers, and what became of triggers, as the contracts have them. Pure."""

from __future__ import annotations

from libs.common.rpc.errors import reason_named
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2
from omnijourney.journey.v1 import audience_trigger_pb2, explain_pb2
from services.journey.domain.audience_trigger import ENROLLED, Outcome, StoredAudienceTrigger
from services.journey.domain.simulation_work import SimulationState as State


def operation_message(found: StoredAudienceTrigger) -> operation_pb2.Operation:
    """One as the operation that it is."""
    shown = operation_pb2.Operation(
        operation_id=str(found.asked.operation_id),
        team_id=str(found.asked.team_id),
        kind=operation_pb2.OPERATION_KIND_AUDIENCE_TRIGGER,
        state=operation_pb2.OPERATION_STATE_PAUSED
        if found.paused and not found.state.has_ended
        else operation_pb2.OperationState.ValueType(found.state),
        done_count=found.settled,
        total_count=found.found if found.found_all else 0,
        refused_count=found.settled - found.outcomes.get(ENROLLED, 0),
        resource_id=str(found.asked.journey_id),
        create_time=timestamp(found.created_at),
        end_time=timestamp(found.ended_at) if found.ended_at else None,
    )
    if found.state is State.FAILED:
        shown.error.reason = reason_named(found.reason)
        shown.error.message = found.message
    return shown


def audience_trigger_message(found: StoredAudienceTrigger) -> audience_trigger_pb2.AudienceTrigger:
    """One with what became of its customers."""
    return audience_trigger_pb2.AudienceTrigger(
        operation=operation_message(found),
        journey_id=str(found.asked.journey_id),
        audience_id=str(found.asked.audience_id),
        customers_per_second=found.asked.rate,
        found_count=found.found,
        found_all=found.found_all,
        triggered_count=found.handed,
        counts=[
            audience_trigger_pb2.AudienceTriggerCount(
                result=explain_pb2.EntryResult.ValueType(outcome.result),
                reason=reason_named(outcome.reason),
                customer_count=count,
            )
            for outcome, count in found.outcomes.items()
        ],
        start_time=timestamp(found.started_at) if found.started_at else None,
    )


def outcome_message(key: str, outcome: Outcome, enrolment_id: str) -> explain_pb2.TriggerOutcome:
    """What became of one trigger."""
    return explain_pb2.TriggerOutcome(
        event_key=key,
        result=explain_pb2.EntryResult.ValueType(outcome.result),
        enrolment_id=enrolment_id,
        reason=reason_named(outcome.reason),
    )
