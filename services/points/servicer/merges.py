# ruff: noqa: N802 - the generated base names the methods
"""Merges of customers, which segment leads."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge
from omnijourney.internal.v1 import merges_service_pb2 as pb
from omnijourney.internal.v1 import merges_service_pb2_grpc as pb_grpc
from omnijourney.segment.v1 import operation_pb2
from services.points.servicer.base import Dependencies
from services.points.usecases.merges import MergedCustomer

_MOVE, _UNITE = operation_pb2.MERGE_STEP_MOVE_POINTS, operation_pb2.MERGE_STEP_UNITE_PROFILES
_ACTOR_LENGTH_MAX = 200


class MergesServicer(Edge[Dependencies], pb_grpc.MergesServiceServicer):
    """See `protos/omnijourney/internal/v1/merges_service.proto`."""

    async def TakeMergeStep(self, request: pb.TakeMergeStepRequest, context: Any) -> pb.TakeMergeStepResponse:
        """The part of the ledger."""
        check = FieldCheck()
        merge = MergedCustomer(
            check.uuid("team_id", request.team_id),
            check.uuid("customer_merge_id", request.customer_merge_id),
            check.uuid("loser_id", request.loser_id),
            check.uuid("survivor_id", request.survivor_id),
            check.text("actor", request.actor, length_max=_ACTOR_LENGTH_MAX, length_min=0),
        )
        if request.step not in (_MOVE, _UNITE):
            check.fault("step", "must be MOVE_POINTS or UNITE_PROFILES")
        check.done()
        if request.step == _MOVE:
            await self._deps.merges.move_points(merge)
        else:
            await self._deps.merges.move_later_points(merge)
        return pb.TakeMergeStepResponse(done=True)
