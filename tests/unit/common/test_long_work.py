"""Long work is read, listed, waited for and cancelled alike, whatever does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
import pytest

from libs.common.callers import StaticDirectory
from libs.common.errors import NotFound
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.long_work import DESCRIPTOR, OperationPage, OperationsServicer, PageKey
from libs.common.rpc.server import GrpcServer
from omnijourney.common.v1 import operation_pb2, operations_service_pb2_grpc
from omnijourney.common.v1 import operations_service_pb2 as pb
from omnijourney.common.v1.operation_pb2 import (
    OPERATION_KIND_POINTS_IMPORT,
    OPERATION_STATE_CANCELLED,
    OPERATION_STATE_PAUSED,
    OPERATION_STATE_RUNNING,
    OPERATION_STATE_SUCCEEDED,
    Operation,
)

if TYPE_CHECKING:
    from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceAsyncStub

TEAM = new_id()
CREATED = datetime(2026, 3, 4, tzinfo=UTC)


class Works:
    """Operations of one team in memory, the newest first."""

    def __init__(self, *states: operation_pb2.OperationState.ValueType) -> None:
        self.all = {new_id(): Operation(kind=OPERATION_KIND_POINTS_IMPORT, state=state) for state in states}
        for key, each in self.all.items():
            each.operation_id = str(key)

    async def read(self, team_id: UUID, operation_id: UUID) -> Operation:
        if operation_id not in self.all:
            raise NotFound.of("operation", operation_id)
        return self.all[operation_id]

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        ids = list(self.all)
        start = ids.index(after[1]) + 1 if after else 0
        page = list(self.all.values())[start : start + limit]
        more = start + limit < len(ids)
        return OperationPage(page, (CREATED, ids[start + limit - 1]) if more else None)

    async def cancel(
        self, request: pb.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.CancelOperationResponse:
        found = await self.read(team_id, operation_id)
        found.state = OPERATION_STATE_CANCELLED
        return pb.CancelOperationResponse(operation=found)

    async def pause(
        self, request: pb.PauseOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.PauseOperationResponse:
        found = await self.read(team_id, operation_id)
        found.state = OPERATION_STATE_PAUSED
        return pb.PauseOperationResponse(operation=found)

    async def resume(
        self, request: pb.ResumeOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.ResumeOperationResponse:
        found = await self.read(team_id, operation_id)
        found.state = OPERATION_STATE_RUNNING
        return pb.ResumeOperationResponse(operation=found)


@pytest.fixture
def works() -> Works:
    return Works(OPERATION_STATE_RUNNING, OPERATION_STATE_SUCCEEDED, OPERATION_STATE_RUNNING)


@pytest.fixture
async def stub(works: Works) -> AsyncIterator[OperationsServiceAsyncStub]:
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation("t"))
    servicer = OperationsServicer(works, asyncio.Event())
    server.add(operations_service_pb2_grpc.add_OperationsServiceServicer_to_server, servicer, DESCRIPTOR)
    async with server, channel(f"127.0.0.1:{server.port}", "t") as to_server:
        yield operations_service_pb2_grpc.OperationsServiceStub(to_server)


async def test_all_operations_are_listed_by_pages(stub: OperationsServiceAsyncStub, works: Works) -> None:
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListOperationsRequest(team_id=str(TEAM), page_size=2, page_token=token)
        page = await stub.ListOperations(request, timeout=5)
        found += [each.operation_id for each in page.operations]
        token = page.next_page_token
        if not token:
            break
    assert found == list(map(str, works.all))


async def test_operations_are_listed_by_state(stub: OperationsServiceAsyncStub) -> None:
    request = pb.ListOperationsRequest(team_id=str(TEAM), state=OPERATION_STATE_SUCCEEDED)
    page = await stub.ListOperations(request, timeout=5)
    assert [each.state for each in page.operations] == [OPERATION_STATE_SUCCEEDED]


async def test_a_wait_ends_with_the_operation(stub: OperationsServiceAsyncStub, works: Works) -> None:
    operation_id, operation = next(iter(works.all.items()))
    request = pb.WaitOperationRequest(team_id=str(TEAM), operation_id=str(operation_id))
    request.wait.seconds = 30
    waiting = asyncio.ensure_future(stub.WaitOperation(request, timeout=20))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    operation.state = OPERATION_STATE_SUCCEEDED
    assert (await asyncio.wait_for(waiting, 10)).operation.state == OPERATION_STATE_SUCCEEDED


async def test_a_wait_that_is_over_tells_how_it_stands(
    stub: OperationsServiceAsyncStub, works: Works
) -> None:
    request = pb.WaitOperationRequest(team_id=str(TEAM), operation_id=str(next(iter(works.all))))
    assert (await stub.WaitOperation(request, timeout=5)).operation.state == OPERATION_STATE_RUNNING


async def test_a_cancelled_operation_is_told_as_such_and_an_unknown_one_is_not_found(
    stub: OperationsServiceAsyncStub, works: Works
) -> None:
    def cancel(operation_id: UUID) -> pb.CancelOperationRequest:
        return pb.CancelOperationRequest(
            team_id=str(TEAM), request_id="end it", operation_id=str(operation_id)
        )

    answer = await stub.CancelOperation(cancel(next(iter(works.all))), timeout=5)
    assert answer.operation.state == OPERATION_STATE_CANCELLED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CancelOperation(cancel(new_id()), timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
