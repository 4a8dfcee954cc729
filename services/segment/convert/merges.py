"""Merges of customers as answers."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2 as common_pb2
from omnijourney.segment.v1 import operation_pb2
from services.segment.domain.merging import Merge, MergeStep


def merge_message(merge: Merge) -> operation_pb2.CustomerMerge:
    """As the contract has it."""
    return operation_pb2.CustomerMerge(
        customer_merge_id=str(merge.merge_id),
        survivor_id=str(merge.survivor_id),
        loser_id=str(merge.loser_id),
        operation=operation_message(merge),
        step=operation_pb2.MergeStep.ValueType(merge.step),
        create_time=timestamp(merge.create_time),
    )


def operation_message(merge: Merge) -> common_pb2.Operation:
    """The work that it is: steps are its items."""
    done = merge.step if merge.end_time is not None else merge.step - 1
    return common_pb2.Operation(
        operation_id=str(merge.merge_id),
        team_id=str(merge.team_id),
        kind=common_pb2.OPERATION_KIND_CUSTOMER_MERGE,
        state=common_pb2.OperationState.ValueType(merge.state),
        done_count=done,
        total_count=MergeStep.DONE,
        resource_id=str(merge.merge_id),
        create_time=timestamp(merge.create_time),
        end_time=timestamp(merge.end_time) if merge.end_time is not None else None,
    )
