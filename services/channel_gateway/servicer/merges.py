# ruff: noqa: N802 - the generated base names the methods
"""Merges of customers, which segment leads."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.fields import FieldCheck
from omnijourney.internal.v1 import merges_service_pb2 as pb
from omnijourney.internal.v1 import merges_service_pb2_grpc as pb_grpc
from omnijourney.segment.v1 import operation_pb2
from services.channel_gateway.domain.consents import ACTOR_MAX
from services.channel_gateway.servicer.base import Dependencies
from services.channel_gateway.usecases.merges import MergedCustomer


class MergesServicer(pb_grpc.MergesServiceServicer):
    """See `protos/omnijourney/internal/v1/merges_service.proto`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` outlive the servicer."""
        self._deps = deps

    async def TakeMergeStep(self, request: pb.TakeMergeStepRequest, context: Any) -> pb.TakeMergeStepResponse:
        """Consents and caps."""
        check = FieldCheck()
        merge = MergedCustomer(
            check.uuid("team_id", request.team_id),
            check.uuid("customer_merge_id", request.customer_merge_id),
            check.uuid("loser_id", request.loser_id),
            check.uuid("survivor_id", request.survivor_id),
            check.text("actor", request.actor, length_max=ACTOR_MAX, length_min=0),
        )
        if request.step != operation_pb2.MERGE_STEP_UNITE_PROFILES:
            check.fault("step", "must be UNITE_PROFILES")
        check.done()
        await self._deps.merges.unite(merge)
        return pb.TakeMergeStepResponse(done=True)
