# ruff: noqa: N802 - the generated base names the methods
"""Long work, the same way in every service: read, listed, waited for, cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from libs.common.errors import FailedPrecondition, NotFound
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import datetime_of, seconds_of
from omnijourney.common.v1 import operation_pb2, operations_service_pb2_grpc
from omnijourney.common.v1 import operations_service_pb2 as pb

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["OperationsService"]
LOOK_AGAIN_S: Final = 0.2
"""How often a call that waits looks whether the operation has ended, real seconds."""
_ENDED: Final = frozenset(
    {
        operation_pb2.OPERATION_STATE_SUCCEEDED,
        operation_pb2.OPERATION_STATE_FAILED,
        operation_pb2.OPERATION_STATE_CANCELLED,
    }
)

PageKey = tuple[datetime, UUID]
"""When the last operation shown was created, and its id."""


class OperationPage(NamedTuple):
    """Some operations, newest first, and the key to go on after; None: there are no more."""

    operations: Sequence[operation_pb2.Operation]
    following: PageKey | None


class Operations(Protocol):
    """The long work of one service."""

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """One. Raises NotFound."""
        ...

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """Up to `limit` after a key."""
        ...

    async def cancel(
        self, request: pb.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.CancelOperationResponse:
        """Ends one early; one that has ended stays. The request is answered once (`answer_once`).

        Raises NotFound, FailedPrecondition `OPERATION_NOT_CANCELLABLE`, and what `answer_once` raises.
        """
        ...

    async def pause(
        self, request: pb.PauseOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.PauseOperationResponse:
        """Holds one; one that is held or has ended stays. The request is answered once (`answer_once`).

        Raises NotFound, FailedPrecondition `OPERATION_NOT_PAUSABLE`, and what `answer_once` raises.
        """
        ...

    async def resume(
        self, request: pb.ResumeOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.ResumeOperationResponse:
        """Lets one go on; one that is not held stays. Otherwise as `pause`."""
        ...


class _Readable(Protocol):
    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        ...


class Unpausable:
    """What operations of a kind that nobody can pause answer."""

    async def pause(
        self: _Readable, request: pb.PauseOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.PauseOperationResponse:
        """Raises NotFound, FailedPrecondition."""
        raise _not_pausable(await self.read(team_id, operation_id))

    async def resume(
        self: _Readable, request: pb.ResumeOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.ResumeOperationResponse:
        """Raises NotFound, FailedPrecondition."""
        raise _not_pausable(await self.read(team_id, operation_id))


def _not_pausable(found: operation_pb2.Operation) -> FailedPrecondition:
    kind = operation_pb2.OperationKind.Name(found.kind).removeprefix("OPERATION_KIND_")
    return FailedPrecondition(
        "OPERATION_NOT_PAUSABLE", f"an operation of kind {kind} cannot be paused", metadata={"kind": kind}
    )


class OperationsOfKinds:
    """Of a service that has long work of several kinds; each has ids of its own."""

    def __init__(self, *kinds: Operations) -> None:
        """One each."""
        self._kinds = kinds

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return (await self._found(team_id, operation_id))[1]

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        pages = [await kind.page(team_id, after, limit) for kind in self._kinds]
        found = sorted((each for page in pages for each in page.operations), key=_key_of, reverse=True)
        more = len(found) > limit or any(page.following for page in pages)
        shown = found[:limit]
        return OperationPage(shown, _key_of(shown[-1]) if more and shown else None)

    async def cancel(
        self, request: pb.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.CancelOperationResponse:
        """See `Operations`."""
        kind, _ = await self._found(team_id, operation_id)
        return await kind.cancel(request, team_id, operation_id)

    async def pause(
        self, request: pb.PauseOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.PauseOperationResponse:
        """See `Operations`."""
        kind, _ = await self._found(team_id, operation_id)
        return await kind.pause(request, team_id, operation_id)

    async def resume(
        self, request: pb.ResumeOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.ResumeOperationResponse:
        """See `Operations`."""
        kind, _ = await self._found(team_id, operation_id)
        return await kind.resume(request, team_id, operation_id)

    async def _found(self, team_id: UUID, operation_id: UUID) -> tuple[Operations, operation_pb2.Operation]:
        for kind in self._kinds:
            try:
                return kind, await kind.read(team_id, operation_id)
            except NotFound:
                continue
        raise NotFound.of("operation", operation_id)


def _key_of(operation: operation_pb2.Operation) -> PageKey:
    return datetime_of(operation.create_time), UUID(operation.operation_id)


class NoOperations(Unpausable):
    """Of a service that has no long work."""

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """Raises NotFound."""
        raise NotFound.of("operation", operation_id)

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """Nothing."""
        return OperationPage((), None)

    async def cancel(
        self, request: pb.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.CancelOperationResponse:
        """Raises NotFound."""
        raise NotFound.of("operation", operation_id)


class OperationsServicer(operations_service_pb2_grpc.OperationsServiceServicer):
    """See `protos/omnijourney/common/v1/operations_service.proto`."""

    def __init__(self, operations: Operations, draining: asyncio.Event) -> None:
        """`draining` ends calls that wait."""
        self._operations = operations
        self._draining = draining

    async def GetOperation(self, request: pb.GetOperationRequest, context: Any) -> pb.GetOperationResponse:
        """One, as it stands."""
        return pb.GetOperationResponse(operation=await self._operations.read(*_ids(request)))

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Any
    ) -> pb.ListOperationsResponse:
        """A page; with a filter it may hold fewer than asked for though more follow."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        bound = ("operations", team_id, request.state, request.kind)
        after = page_key(request.page_token, tuple[datetime, UUID], *bound)
        page = await self._operations.page(team_id, after, page_size(request.page_size))
        found = [
            each
            for each in page.operations
            if request.state in (0, each.state) and request.kind in (0, each.kind)
        ]
        token = page_token(page.following, *bound) if page.following else ""
        return pb.ListOperationsResponse(operations=found, next_page_token=token)

    async def WaitOperation(self, request: pb.WaitOperationRequest, context: Any) -> pb.WaitOperationResponse:
        """One, as soon as it has ended or the time is over."""
        ids = _ids(request)
        until = time.monotonic() + seconds_of(request.wait)
        found = await self._operations.read(*ids)
        while found.state not in _ENDED and not self._draining.is_set():
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            await asyncio.sleep(min(left_s, LOOK_AGAIN_S))
            found = await self._operations.read(*ids)
        return pb.WaitOperationResponse(operation=found)

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Any
    ) -> pb.CancelOperationResponse:
        """Ends one early."""
        return await self._operations.cancel(request, *_ids(request))

    async def PauseOperation(
        self, request: pb.PauseOperationRequest, context: Any
    ) -> pb.PauseOperationResponse:
        """Holds one."""
        return await self._operations.pause(request, *_ids(request))

    async def ResumeOperation(
        self, request: pb.ResumeOperationRequest, context: Any
    ) -> pb.ResumeOperationResponse:
        """Lets one go on."""
        return await self._operations.resume(request, *_ids(request))


def _ids(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("operation_id", request.operation_id)
    check.done()
    return ids
