"""Changes of audiences to the contract. Pure."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2
from services.segment.convert.checks import reason_number
from services.segment.domain.audience_changes import AudienceChange, ChangeState


def operation_message(change: AudienceChange) -> operation_pb2.Operation:
    """As operations are shown."""
    message = operation_pb2.Operation(
        operation_id=str(change.change_id),
        team_id=str(change.team_id),
        kind=operation_pb2.OPERATION_KIND_OTHER,
        state=int(change.state),  # type: ignore[arg-type]  # the numbers are those of the contract
        done_count=change.done_count,
        total_count=max(change.total_count, change.done_count),
        refused_count=change.refused_count,
        create_time=timestamp(change.created_at),
        update_time=timestamp(change.updated_at),
        end_time=timestamp(change.updated_at) if change.state.has_ended else None,
    )
    if change.state is ChangeState.FAILED:
        message.error.reason = reason_number(change.reason)
        message.error.message = change.message
    return message
