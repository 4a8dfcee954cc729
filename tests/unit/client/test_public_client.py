# ruff: noqa: N802 - the generated bases name the methods
"""The client for platform teams, async and blocking: request ids, deadlines, repetition, errors, lists, operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

import omnijourney.client as oj
from libs.common.callers import StaticDirectory
from libs.common.errors import Aborted, FieldViolation, InvalidArgument, Unavailable
from libs.common.rpc.server import GrpcServer
from omnijourney.client import calls, errors
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1 import operations_service_pb2_grpc as operations_grpc
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from omnijourney.segment.v1 import customer_pb2, segment_service_pb2_grpc
from omnijourney.segment.v1 import segment_service_pb2 as pb

TOKEN = "of-the-test"
TEAM = "0198c0de-0000-7000-8000-000000000001"
CREATE = pb.CreateCustomerRequest(team_id=TEAM, customer=customer_pb2.Customer(member_id="M-1"))
State = operation_pb2.OperationState


class Segment(segment_service_pb2_grpc.SegmentServiceServicer):
    """Raises the faults it is given, one a call; lists three customers a page."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.request_ids: list[str] = []
        self.tokens: list[str] = []
        self.wait_s = 0.0

    async def CreateCustomer(
        self, request: pb.CreateCustomerRequest, context: Any
    ) -> pb.CreateCustomerResponse:
        self.request_ids.append(request.request_id)
        await asyncio.sleep(self.wait_s)
        if self.faults:
            raise self.faults.pop(0)
        return pb.CreateCustomerResponse(customer=request.customer)

    async def ListCustomers(self, request: pb.ListCustomersRequest, context: Any) -> pb.ListCustomersResponse:
        self.tokens.append(request.page_token)
        if self.faults:
            raise self.faults.pop(0)
        begin = int(request.page_token or "0")
        rows = [customer_pb2.Customer(name=str(each)) for each in range(begin, min(begin + 3, 7))]
        return pb.ListCustomersResponse(
            customers=rows, next_page_token=str(begin + 3) if begin + 3 < 7 else ""
        )


class Points(points_service_pb2_grpc.PointsServiceServicer):
    """Fails uploads."""

    def __init__(self) -> None:
        self.uploads = 0

    async def UploadImportFile(
        self, requests: Any, context: Any
    ) -> points_service_pb2.UploadImportFileResponse:
        self.uploads += 1
        async for _ in requests:
            pass
        raise Unavailable.dependency("postgresql", 0.01)


class Operations(operations_grpc.OperationsServiceServicer):
    """Answers the states that are left, one a call."""

    def __init__(self) -> None:
        self.states: list[int] = []

    async def WaitOperation(
        self, request: operations.WaitOperationRequest, context: Any
    ) -> operations.WaitOperationResponse:
        state = State.ValueType(self.states.pop(0))
        error = (
            operation_pb2.OperationError(message="the file is gone")
            if state == State.Value("OPERATION_STATE_FAILED")
            else None
        )
        return operations.WaitOperationResponse(
            operation=operation_pb2.Operation(
                operation_id=request.operation_id, team_id=TEAM, state=state, error=error
            )
        )


class Served:
    """The services, and clients of them."""

    def __init__(self, port: int, segment: Segment, points: Points, operations: Operations) -> None:
        self.segment, self.points, self.operations = segment, points, operations
        self._targets: dict[oj.ServiceName, str] = {
            "segment": f"127.0.0.1:{port}",
            "points": f"127.0.0.1:{port}",
        }

    def client(self, token: str = TOKEN) -> oj.AsyncClient:
        """For asyncio."""
        return oj.AsyncClient(self._targets, token)

    def blocking(self, token: str = TOKEN) -> oj.Client:
        """For threads."""
        return oj.Client(self._targets, token)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """On a port of its own."""
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN))
    made: tuple[Any, Any, Any] = (Segment(), Points(), Operations())  # type: ignore[abstract]  # parts are enough
    for add, servicer, file, name in (
        (segment_service_pb2_grpc.add_SegmentServiceServicer_to_server, made[0], pb, "SegmentService"),
        (
            points_service_pb2_grpc.add_PointsServiceServicer_to_server,
            made[1],
            points_service_pb2,
            "PointsService",
        ),
        (operations_grpc.add_OperationsServiceServicer_to_server, made[2], operations, "OperationsService"),
    ):
        server.add(add, servicer, file.DESCRIPTOR.services_by_name[name])
    async with server:
        yield Served(server.port, *made)


def _passing() -> list[Exception]:
    return [Unavailable.dependency("postgresql", 0.01), Aborted.write_conflict()]


async def test_a_write_gets_a_request_id_that_is_the_same_in_each_repetition(served: Served) -> None:
    async with served.client() as client:
        for _ in range(2):
            served.segment.faults = _passing()
            await client.segment.CreateCustomer(CREATE)
        ids = served.segment.request_ids
        assert len(ids) == 6
        assert len(set(ids[:3])) == len(set(ids[3:])) == 1
        assert ids[0] != ids[3]
        assert all(ids)
        assert not CREATE.request_id, "the caller's message stays as it was"
        own = pb.CreateCustomerRequest(request_id="mine")
        own.MergeFrom(CREATE)
        await client.segment.CreateCustomer(own)
        assert ids[-1] == "mine"


async def test_what_does_not_pass_is_raised_at_once_with_all_that_was_told(served: Served) -> None:
    fault = FieldViolation("customer.email", "is no address")
    async with served.client() as client:
        for error, kind, name in (
            (InvalidArgument.of(fault), errors.InvalidArgumentError, "INVALID_FIELDS"),
            (Aborted.etag_mismatch("7"), errors.AbortedError, "ETAG_MISMATCH"),
        ):
            served.segment.request_ids.clear()
            served.segment.faults = [error]
            with pytest.raises(kind) as caught:
                await client.segment.CreateCustomer(CREATE)
            assert isinstance(caught.value, oj.reason(name))
            assert not isinstance(caught.value, oj.reason("RESOURCE_NOT_FOUND"))
            assert caught.value.reason == name
            assert len(served.segment.request_ids) == 1
        assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
        assert caught.value.metadata == {"etag": "7"}
        served.segment.faults = [InvalidArgument.of(fault)]
        with pytest.raises(oj.CallError, match=r"INVALID_FIELDS: faulty fields: customer\.email") as caught:
            await client.segment.CreateCustomer(CREATE)
        assert caught.value.violations == (fault,)
    async with served.client("wrong") as client:
        with pytest.raises(errors.UnauthenticatedError):
            await client.segment.CreateCustomer(CREATE)


def test_a_reason_that_the_contract_has_not_is_no_class() -> None:
    with pytest.raises(ValueError, match="ETAG_MISSMATCH"):
        oj.reason("ETAG_MISSMATCH")


async def test_the_deadline_is_for_all_attempts_and_a_late_return_is_not_waited_for(served: Served) -> None:
    async with served.client() as client:
        served.segment.faults = [Unavailable.dependency("postgresql", 60.0)]
        with pytest.raises(errors.UnavailableError) as caught:
            await client.segment.CreateCustomer(CREATE, timeout=5)
        assert caught.value.retry_after_s == 60.0
        assert len(served.segment.request_ids) == 1
        served.segment.wait_s = 30.0
        with pytest.raises(errors.DeadlineExceededError):
            await client.segment.CreateCustomer(CREATE, timeout=0.1)


def test_time_is_shared_by_all_attempts() -> None:
    now = 0.0
    attempts = calls.Attempts(calls.Rpc(repeatable=True, request_id=True), None, lambda: now)
    assert attempts.left_s() == calls.TIMEOUT_S
    now = 29.0
    assert attempts.left_s() == 1.0
    now = 31.0
    assert attempts.left_s() == 0.0


def test_only_what_the_contract_marks_is_repeated() -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert calls.Attempts(calls.Rpc(repeatable=True, request_id=False), 30).wait_s(error) <= 0.05
    with pytest.raises(errors.UnavailableError):
        calls.Attempts(calls.Rpc(repeatable=False, request_id=False), 30).wait_s(error)


def test_every_rpc_of_the_contract_says_whether_it_may_be_repeated() -> None:
    for service in (
        pb.DESCRIPTOR.services_by_name["SegmentService"],
        points_service_pb2.DESCRIPTOR.services_by_name["PointsService"],
    ):
        for method in service.methods:
            rpc = calls.Rpc.of(f"/{service.full_name}/{method.name}")
            assert rpc.repeatable, method.name


async def test_an_upload_is_made_once(served: Served) -> None:
    async with served.client() as client:
        parts = iter([points_service_pb2.UploadImportFileRequest(team_id=TEAM, csv=b"a")])
        with pytest.raises(oj.reason("DEPENDENCY_UNAVAILABLE")):
            await client.points.UploadImportFile(parts)
    assert served.points.uploads == 1


async def test_items_of_all_pages_come_in_order_and_a_page_is_asked_for_again(served: Served) -> None:
    request = pb.ListCustomersRequest(team_id=TEAM)
    async with served.client() as client:
        served.segment.faults = _passing()
        found = client.items(client.segment.ListCustomers, request, lambda page: page.customers)
        assert [each.name async for each in found] == [str(each) for each in range(7)]
    assert served.segment.tokens == ["", "", "", "3", "6"]
    assert not request.page_token


async def test_an_operation_is_waited_for_and_one_that_ended_early_is_raised(served: Served) -> None:
    running, failed, done = (
        State.Value(f"OPERATION_STATE_{each}") for each in ("RUNNING", "FAILED", "SUCCEEDED")
    )
    begun = operation_pb2.Operation(operation_id=TEAM, team_id=TEAM, state=running)
    async with served.client() as client:
        served.operations.states = [running, running, done]
        assert (await client.ended("segment", begun)).state == done
        served.operations.states = [running, failed]
        with pytest.raises(oj.OperationEndedError, match=f"operation {TEAM} is FAILED: the file is gone"):
            await client.ended("segment", begun)
        served.operations.states = [running] * 100_000
        with pytest.raises(TimeoutError):
            await client.ended("segment", begun, within=timedelta(milliseconds=50))


async def test_the_blocking_client_does_the_same(served: Served) -> None:
    running, done = (State.Value(f"OPERATION_STATE_{each}") for each in ("RUNNING", "SUCCEEDED"))
    begun = operation_pb2.Operation(operation_id=TEAM, team_id=TEAM, state=running)

    def use() -> list[str]:
        with served.blocking() as client:
            served.segment.faults = _passing()
            client.segment.CreateCustomer(CREATE)
            served.segment.faults = [Aborted.etag_mismatch("7")]
            with pytest.raises(oj.reason("ETAG_MISMATCH")):
                client.segment.CreateCustomer(CREATE)
            parts = iter([points_service_pb2.UploadImportFileRequest(team_id=TEAM, csv=b"a")])
            with pytest.raises(errors.UnavailableError):
                client.points.UploadImportFile(parts)
            served.operations.states = [running, done]
            assert client.ended("segment", begun).state == done
            served.operations.states = [running] * 100_000
            with pytest.raises(TimeoutError):
                client.ended("segment", begun, within=timedelta(milliseconds=50))
            request = pb.ListCustomersRequest(team_id=TEAM)
            found = client.items(client.segment.ListCustomers, request, lambda page: page.customers)
            return [each.name for each in found]

    assert await asyncio.to_thread(use) == [str(each) for each in range(7)]
    assert len(served.segment.request_ids) == 4
    assert len(set(served.segment.request_ids[:3])) == 1
    assert served.points.uploads == 1
    with served.blocking("wrong") as client, pytest.raises(errors.UnauthenticatedError):
        await asyncio.to_thread(client.segment.CreateCustomer, CREATE)
