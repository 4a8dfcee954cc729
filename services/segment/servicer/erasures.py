# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Erasures of persons: begun by gRPC, and shown as operations; and all that is held of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final
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

PART_MAX: Final = 256 * 1024
"""Characters of lines in one message, the last line may go beyond."""


class ErasureRpcs(Base):
    """See the contract."""

    async def StartErasure(self, request: pb.StartErasureRequest, context: Any) -> pb.StartErasureResponse:
        """Begins to erase a person."""
        check = Check()
        key = check.customer(request)
        check.done()
        return await self._deps.erasures.start(request, key, pb.StartErasureResponse, _started)

    async def ExportPerson(
        self, request: pb.ExportPersonRequest, context: Any
    ) -> AsyncIterator[pb.ExportPersonResponse]:
        """Everything that is held of a person."""
        check = Check()
        key = check.customer(request)
        check.done()
        async for lines in self._deps.person_exports.lines(key):
            for part in _parts(lines):
                yield pb.ExportPersonResponse(content=part)


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


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, so many together as have about `PART_MAX` characters."""
    part, size = [], 0
    for line in lines:
        part.append(f"{line}\n")
        size += len(line)
        if size >= PART_MAX:
            yield "".join(part)
            part, size = [], 0
    if part:
        yield "".join(part)


def _started(erasure: Erasure) -> pb.StartErasureResponse:
    return pb.StartErasureResponse(operation=operation_message(erasure))
