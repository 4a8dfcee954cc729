"""Servers and clients: tokens, deadlines, limits, health, reflection, draining, repetition."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from prometheus_client import REGISTRY

from libs.common.callers import StaticDirectory
from libs.common.errors import Aborted, Unavailable
from libs.common.rpc import limits, operations
from libs.common.rpc.client import DeadlineMissingError, channel, retrying
from libs.common.rpc.errors import remote_error
from libs.common.rpc.server import GrpcServer, PortTakenError
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc
from tests.unit.common.conftest import TOKEN, Serve

SERVICE = "omnijourney.common.v1.InstallationService"


class Slow(pb_grpc.InstallationServiceServicer):
    """Answers GetLag when told to, fails GetClock a few times."""

    def __init__(self, faults: list[Exception] | None = None) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.faults = faults or []
        self.calls = 0

    async def GetLag(self, request: pb.GetLagRequest, context: Any) -> pb.GetLagResponse:  # noqa: N802
        self.entered.set()
        await self.release.wait()
        return pb.GetLagResponse(pending=7)

    async def GetClock(self, request: pb.GetClockRequest, context: Any) -> pb.GetClockResponse:  # noqa: N802
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return pb.GetClockResponse(version=3)


def _slow(faults: list[Exception] | None = None) -> Slow:
    return Slow(faults)  # type: ignore[abstract]  # a part of the service is enough


def _server(servicer: Any) -> GrpcServer:
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN))
    server.add(pb_grpc.add_InstallationServiceServicer_to_server, servicer, operations.DESCRIPTOR)
    return server


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", TOKEN),)])
async def test_calls_without_the_token_are_refused(metadata: tuple[tuple[str, str], ...]) -> None:
    server = _server(_slow())
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        stub: Any = pb_grpc.InstallationServiceStub(opened)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetClock(pb.GetClockRequest(), timeout=5, metadata=metadata)
        assert remote_error(caught.value).reason == "TOKEN_INVALID"


async def test_bytes_that_are_no_request_are_the_callers_fault() -> None:
    async def code_of(opened: grpc.aio.Channel, sent: bytes, *metadata: tuple[str, str]) -> grpc.StatusCode:
        call: Any = opened.unary_unary(f"/{SERVICE}/GetClock")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(sent, timeout=5, metadata=metadata)
        return caught.value.code()

    server = _server(_slow())
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        token = ("authorization", f"Bearer {TOKEN}")
        assert await code_of(opened, b"\xff", token) is grpc.StatusCode.INVALID_ARGUMENT
        assert await code_of(opened, b"\xff") is grpc.StatusCode.UNAUTHENTICATED


async def test_health_and_reflection_are_open() -> None:
    server = _server(_slow())
    async with server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
            health: Any = health_pb2_grpc.HealthStub(opened)
            for name in ("", SERVICE):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING

        def reflect() -> tuple[list[str], bool]:
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
                database = ProtoReflectionDescriptorDatabase(opened)
                file = database.FindFileContainingSymbol(SERVICE)
                return list(database.get_services()), file.service[0].name == "InstallationService"

        names, found = await asyncio.to_thread(reflect)
        assert found
        assert {SERVICE, "grpc.health.v1.Health"} <= set(names)


@pytest.mark.rule("X-01a")
async def test_a_call_needs_a_deadline(serve: Serve) -> None:
    async with serve(_slow()) as stub:
        with pytest.raises(DeadlineMissingError, match="without a timeout"):
            await stub.GetClock(pb.GetClockRequest())


async def test_a_caller_without_deadline_gets_the_services(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEADLINE_DEFAULT_S", 0.05)
    server = _server(_slow())
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        stub: Any = pb_grpc.InstallationServiceStub(opened)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetLag(pb.GetLagRequest(), metadata=(("authorization", f"Bearer {TOKEN}"),))
        told = remote_error(caught.value)
        assert (told.code.name, told.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


async def test_a_taken_port_is_told() -> None:
    server = _server(_slow())
    async with server:
        with pytest.raises(PortTakenError, match=rf"127\.0\.0\.1:{server.port}: the port is taken"):
            GrpcServer(host="127.0.0.1", port=server.port, callers=StaticDirectory.installation(TOKEN))
    GrpcServer(host="127.0.0.1", port=server.port, callers=StaticDirectory.installation(TOKEN))


async def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 192\.0\.2\.1:0"):
        GrpcServer(host="192.0.2.1", port=0, callers=StaticDirectory.installation(TOKEN))


@pytest.mark.rule("X-05")
async def test_draining_lets_running_calls_end_and_takes_no_new_ones() -> None:
    slow = _slow()
    server = _server(slow)
    await server.start()
    async with channel(f"127.0.0.1:{server.port}", TOKEN) as opened:
        stub: Any = pb_grpc.InstallationServiceStub(opened)
        running = asyncio.ensure_future(stub.GetLag(pb.GetLagRequest(), timeout=5))
        await slow.entered.wait()
        draining = asyncio.create_task(server.drain())
        # A call that crosses the word that the server goes is cancelled; this one comes after it.
        await asyncio.wait_for(opened.wait_for_state_change(grpc.ChannelConnectivity.READY), 10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetClock(pb.GetClockRequest(), timeout=1)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        slow.release.set()
        assert (await running).pending == 7
        await asyncio.wait_for(draining, 10)


async def test_draining_cancels_what_does_not_end() -> None:
    slow = _slow()
    server = _server(slow)
    await server.start()
    async with channel(f"127.0.0.1:{server.port}", TOKEN) as opened:
        stub: Any = pb_grpc.InstallationServiceStub(opened)
        running = asyncio.ensure_future(stub.GetLag(pb.GetLagRequest(), timeout=5))
        await slow.entered.wait()
        await asyncio.wait_for(server.drain(grace_s=0.1), 10)
        with pytest.raises(grpc.aio.AioRpcError):
            await running


def _requests(method: str, code: str) -> float:
    labels = {"service": SERVICE, "method": method, "code": code}
    return REGISTRY.get_sample_value("omnijourney_rpc_requests_total", labels) or 0.0


async def test_calls_are_counted_by_their_outcome(serve: Serve) -> None:
    before = _requests("GetClock", "OK"), _requests("GetClock", "ABORTED")
    async with serve(_slow([Aborted.etag_mismatch("1")])) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetClock(pb.GetClockRequest(), timeout=5)
        await stub.GetClock(pb.GetClockRequest(), timeout=5)
    assert (_requests("GetClock", "OK"), _requests("GetClock", "ABORTED")) == (before[0] + 1, before[1] + 1)
    in_flight = REGISTRY.get_sample_value("omnijourney_rpc_in_flight_count", {"service": SERVICE})
    assert in_flight == 0


async def test_passing_faults_are_repeated(serve: Serve) -> None:
    slow = _slow([Unavailable.dependency("segment"), Aborted("WRITE_CONFLICT", "x")])
    async with serve(slow) as stub:
        answer = await retrying(lambda: stub.GetClock(pb.GetClockRequest(), timeout=5))
    assert (answer.version, slow.calls) == (3, 3)


async def test_lasting_faults_are_not_repeated_and_passing_ones_not_for_ever(serve: Serve) -> None:
    slow = _slow([Aborted.etag_mismatch("1")])
    async with serve(slow) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await retrying(lambda: stub.GetClock(pb.GetClockRequest(), timeout=5))
        assert slow.calls == 1
        slow.faults = [Unavailable.dependency("segment") for _ in range(9)]
        with pytest.raises(grpc.aio.AioRpcError):
            await retrying(lambda: stub.GetClock(pb.GetClockRequest(), timeout=5), attempts=3)
        assert slow.calls == 4
