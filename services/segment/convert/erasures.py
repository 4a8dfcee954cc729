"""Erasures as operations."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2
from services.segment.domain.erasure import STEPS, Erasure, ErasureStep


def operation_message(erasure: Erasure) -> operation_pb2.Operation:
    """An erasure; what it counts are steps."""
    done = erasure.step is ErasureStep.DONE
    state = operation_pb2.OPERATION_STATE_SUCCEEDED if done else operation_pb2.OPERATION_STATE_RUNNING
    return operation_pb2.Operation(
        operation_id=str(erasure.erasure_id),
        team_id=str(erasure.team_id),
        kind=operation_pb2.OPERATION_KIND_OTHER,
        state=state,
        done_count=erasure.step - 1,
        total_count=STEPS,
        resource_id=str(erasure.customer_id),
        create_time=timestamp(erasure.created_at),
        update_time=timestamp(erasure.updated_at),
        end_time=timestamp(erasure.updated_at) if done else None,
    )
