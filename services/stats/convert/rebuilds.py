"""Rebuilds to contract."""

from __future__ import annotations

from libs.common.rpc.errors import reason_named
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2
from services.stats.domain.rebuild import Rebuild, RebuildState


def operation_message(found: Rebuild) -> operation_pb2.Operation:
    """A rebuild as the operation that does it."""
    shown = operation_pb2.Operation(
        operation_id=str(found.key.rebuild_id),
        team_id=str(found.key.team_id),
        kind=operation_pb2.OPERATION_KIND_OTHER,
        state=operation_pb2.OperationState.ValueType(found.state),
        done_count=found.done,
        total_count=max(found.total, found.done),
        resource_id=str(found.key.team_id),
        create_time=timestamp(found.created_at),
        end_time=timestamp(found.ended_at) if found.ended_at else None,
    )
    if found.state is RebuildState.FAILED:
        shown.error.reason = reason_named(found.reason)
        shown.error.message = found.message
    return shown
