# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Erasures of persons: begun by gRPC, and shown as operations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.errors import FailedPrecondition
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.erasures import operation_message
from services.segment.domain.erasure import Erasure
from services.segment.servicer.base import Base
from services.segment.usecases.erasures import Erasures


class ErasureRpcs(Base):
    """See the contract."""

    async def StartErasure(self, request: pb.StartErasureRequest, context: Any) -> pb.StartErasureResponse:
        """Begins to erase a person."""
        check = Check()
        key = check.customer(request)
        check.done()
        return await self._deps.erasures.start(request, key, pb.StartErasureResponse, _started)


class ErasureOperations(Unpausable):
    """Erasures as operations."""

    def __init__(self, erasures: Erasures) -> None:
        """Of the servicer."""
        self._erasures = erasures

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return operation_message(await self._erasures.read(team_id, operation_id))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._erasures.page(team_id, after, limit + 1)
        page = found[:limit]
        following = (page[-1].created_at, page[-1].erasure_id) if len(found) > limit else None
        return OperationPage([operation_message(each) for each in page], following)

    async def cancel(
        self, request: operations_service_pb2.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations_service_pb2.CancelOperationResponse:
        """See `Operations`: half a person is of no use to anybody."""
        found = await self.read(team_id, operation_id)
        if found.state == operation_pb2.OPERATION_STATE_RUNNING:
            raise FailedPrecondition(
                "OPERATION_NOT_CANCELLABLE",
                "an erasure cannot be ended: a part of the person is gone",
                metadata={"state": "RUNNING"},
            )
        return operations_service_pb2.CancelOperationResponse(operation=found)


def _started(erasure: Erasure) -> pb.StartErasureResponse:
    return pb.StartErasureResponse(operation=operation_message(erasure))
