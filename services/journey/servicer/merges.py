# ruff: noqa: N802 - the generated base names the methods
"""Merges of customers, which segment leads."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge
from omnijourney.internal.v1 import merges_service_pb2 as pb
from omnijourney.internal.v1 import merges_service_pb2_grpc as pb_grpc
from omnijourney.segment.v1 import operation_pb2
from services.journey.servicer.base import Dependencies
from services.journey.store.merges import Merge

_DRAIN, _MOVE = operation_pb2.MERGE_STEP_DRAIN_MAILBOX, operation_pb2.MERGE_STEP_MOVE_ENROLMENTS


class MergesServicer(Edge[Dependencies], pb_grpc.MergesServiceServicer):
    """See `protos/omnijourney/internal/v1/merges_service.proto`."""

    async def TakeMergeStep(self, request: pb.TakeMergeStepRequest, context: Any) -> pb.TakeMergeStepResponse:
        """The part of an actor."""
        check = FieldCheck()
        merge = Merge(
            check.uuid("team_id", request.team_id),
            check.uuid("customer_merge_id", request.customer_merge_id),
            check.uuid("loser_id", request.loser_id),
            check.uuid("survivor_id", request.survivor_id),
        )
        if request.step not in (_DRAIN, _MOVE):
            check.fault("step", "must be DRAIN_MAILBOX or MOVE_ENROLMENTS")
        check.done()
        merges = self._deps.merges
        step = merges.drain if request.step == _DRAIN else merges.move
        waits_for = await step(merge, request.last_mail_number)
        return pb.TakeMergeStepResponse(done=not waits_for, waits_for=waits_for)
