"""Calls within a process, and over a socket, are held to what gRPC does: each test runs all ways."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from libs.common.callers import ITSELF, Caller, StaticDirectory, caller
from libs.common.errors import Aborted, ResourceExhausted
from libs.common.ids import new_id
from libs.common.logging import log_as
from libs.common.rpc import limits, local, operations
from libs.common.rpc.client import DeadlineMissingError, channel, is_too_large, retrying
from libs.common.rpc.errors import remote_error
from libs.common.rpc.server import GrpcServer
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc
from omnijourney.common.v1.scope_pb2 import SCOPE_INTERNAL, SCOPE_OPERATE, SCOPE_READ
from tests.unit.common.conftest import TOKEN

CLIENT = "of-a-client"
READER = "of-a-reader"
ALL = pytest.mark.parametrize("way", ["near", "beside", "far"])


class Servicer(pb_grpc.InstallationServiceServicer):
    """Answers GetClock, or fails; GetLag waits until it is told to go on."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = False
        self.peers: list[str] = []
        self.callers: list[Caller] = []
        self.logged_as: list[str | None] = []
        self.answer = pb.GetClockResponse(version=3)

    async def GetClock(self, request: pb.GetClockRequest, context: Any) -> pb.GetClockResponse:  # noqa: N802
        self.peers.append(context.peer())
        self.callers.append(caller())
        self.logged_as.append(structlog.contextvars.get_contextvars().get("service"))
        assert 0 < context.time_remaining() < 6
        if self.faults:
            raise self.faults.pop(0)
        return self.answer

    async def GetLag(self, request: pb.GetLagRequest, context: Any) -> pb.GetLagResponse:  # noqa: N802
        request.min_clock_version = 77
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return pb.GetLagResponse(pending=7)


@dataclass
class Served:
    """A server, and stubs by the token that they show."""

    servicer: Servicer
    server: GrpcServer
    open: Callable[[str], grpc.aio.Channel]
    opened: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def stub(self, token: str = TOKEN) -> Any:
        """Of one channel a token."""
        if token not in self.opened:
            self.opened[token] = self.open(token)
        return pb_grpc.InstallationServiceStub(self.opened[token])


@contextlib.asynccontextmanager
async def served(way: str) -> AsyncIterator[Served]:
    """A server of this process, called within it or by gRPC."""
    own = Caller.of(new_id(), "points", None, [SCOPE_INTERNAL, SCOPE_OPERATE])
    client = Caller.of(new_id(), "a client", None, [SCOPE_OPERATE])
    reader = Caller.of(new_id(), "a reader", None, [SCOPE_READ])
    with (
        local.together(metrics_of="journey") if way == "near" else contextlib.nullcontext(),
        tempfile.TemporaryDirectory(prefix="oj-") as folder,  # short, unlike pytest's own
    ):
        calls_dir = Path(folder) if way == "beside" else None
        servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
        callers = StaticDirectory({TOKEN: own, CLIENT: client, READER: reader})
        server = GrpcServer(host="127.0.0.1", port=0, callers=callers, calls_dir=calls_dir)
        server.add(pb_grpc.add_InstallationServiceServicer_to_server, servicer, operations.DESCRIPTOR)
        async with server:
            made = Served(
                servicer,
                server,
                lambda token: channel(f"127.0.0.1:{server.port}", token, calls_dir=calls_dir),
            )
            if way == "beside":
                for token in (TOKEN, CLIENT, READER, "wrong"):
                    made.stub(token)
                    await made.opened[token].channel_ready()
            try:
                yield made
            finally:
                for opened in made.opened.values():
                    await opened.close()


async def _failed(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@ALL
async def test_a_call_is_answered_and_its_caller_known_for_the_call_alone(way: str) -> None:
    async with served(way) as on:
        answer = await on.stub().GetClock(pb.GetClockRequest(), timeout=5)
        assert answer.version == 3
        assert [found.name for found in on.servicer.callers] == ["points"]
        assert caller() is ITSELF
        assert (on.servicer.peers == ["in-process"]) == (way != "far")


@ALL
async def test_who_shows_no_good_token_is_refused(way: str) -> None:
    async with served(way) as on:
        error = await _failed(on.stub("wrong").GetClock(pb.GetClockRequest(), timeout=5))
        assert (error.code().name, remote_error(error).reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
        assert on.servicer.callers == []


@ALL
async def test_a_scope_that_is_missing_refuses(way: str) -> None:
    async with served(way) as on:
        error = await _failed(on.stub(READER).GetClock(pb.GetClockRequest(), timeout=5))
        assert (error.code().name, remote_error(error).reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")


@ALL
async def test_a_client_is_held_to_what_clients_are_held_to(way: str) -> None:
    async with served(way) as on:
        assert (await on.stub(CLIENT).GetClock(pb.GetClockRequest(), timeout=5)).version == 3
        assert [found.name for found in on.servicer.callers] == ["a client"]


@ALL
async def test_bytes_that_are_no_request_are_the_callers_fault(way: str) -> None:
    async with served(way) as on:
        on.stub()
        call: Any = on.opened[TOKEN].unary_unary("/omnijourney.common.v1.InstallationService/GetClock")
        told = remote_error(await _failed(call(b"\xff", timeout=5)))
        assert (told.code.name, told.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")


@ALL
async def test_an_error_of_the_domain_keeps_reason_metadata_and_wait(way: str) -> None:
    async with served(way) as on:
        on.servicer.faults = [ResourceExhausted.overloaded("mail", 1.5)]
        told = remote_error(await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=5)))
        assert (told.code.name, told.reason, told.retry_after_s) == ("RESOURCE_EXHAUSTED", "OVERLOADED", 1.5)


@ALL
async def test_what_nobody_foresaw_is_told_as_an_incident(way: str) -> None:
    async with served(way) as on:
        on.servicer.faults = [ZeroDivisionError("secret")]
        error = await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=5))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in (error.details() or "")


@ALL
async def test_an_answer_that_is_none_ends_the_call_and_makes_it_no_second_time(way: str) -> None:
    async with served(way) as on:
        on.servicer.answer = "no message"  # type: ignore[assignment]  # a fault of the handler
        error = await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=5))
        assert error.code() is grpc.StatusCode.UNKNOWN
        assert len(on.servicer.peers) == 1


@ALL
async def test_a_handler_that_is_cancelled_by_itself_ends_the_call(way: str) -> None:
    async with served(way) as on:
        on.servicer.faults = [asyncio.CancelledError()]
        error = await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=5))
        assert remote_error(error).reason == "INTERNAL"


@ALL
async def test_a_channel_that_is_closed_ends_the_calls_that_went_by_grpc(way: str) -> None:
    async with served(way) as on:
        calling = asyncio.ensure_future(on.stub(CLIENT).GetLag(pb.GetLagRequest(), timeout=5))
        await on.servicer.entered.wait()
        await on.opened[CLIENT].close()
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)) as caught:
            await asyncio.wait_for(asyncio.shield(calling), 4)
        assert not isinstance(caught.value, TimeoutError)


@ALL
async def test_a_passing_fault_is_repeated(way: str) -> None:
    async with served(way) as on:
        on.servicer.faults = [Aborted("WRITE_CONFLICT", "x")]
        answer = await retrying(lambda: on.stub().GetClock(pb.GetClockRequest(), timeout=5))
        assert answer.version == 3


@ALL
async def test_a_late_call_ends_and_its_handler_with_it(way: str) -> None:
    async with served(way) as on:
        error = await _failed(on.stub().GetLag(pb.GetLagRequest(), timeout=0.1))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await _until(lambda: on.servicer.cancelled)


@ALL
async def test_a_caller_that_is_cancelled_cancels_the_handler(way: str) -> None:
    async with served(way) as on:
        calling = asyncio.ensure_future(on.stub().GetLag(pb.GetLagRequest(), timeout=5))
        await on.servicer.entered.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await _until(lambda: on.servicer.cancelled)


@ALL
async def test_a_call_needs_a_deadline(way: str) -> None:
    async with served(way) as on:
        with pytest.raises(DeadlineMissingError):
            await on.stub().GetClock(pb.GetClockRequest())


@ALL
async def test_what_one_side_does_with_its_message_the_other_does_not_see(way: str) -> None:
    async with served(way) as on:
        request = pb.GetLagRequest(min_clock_version=1)
        on.servicer.release.set()
        await on.stub().GetLag(request, timeout=5)
        assert request.min_clock_version == 1
        answer = await on.stub().GetClock(pb.GetClockRequest(), timeout=5)
        answer.version = 99
        assert on.servicer.answer.version == 3


@ALL
async def test_a_method_that_no_servicer_has_is_unimplemented(way: str) -> None:
    async with served(way) as on:
        on.stub()
        unknown: Any = on.opened[TOKEN].unary_unary(
            "/omnijourney.common.v1.InstallationService/Fly",
            pb.GetClockRequest.SerializeToString,
            pb.GetClockResponse.FromString,
        )
        error = await _failed(unknown(pb.GetClockRequest(), timeout=5))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@ALL
async def test_draining_lets_running_calls_end_and_takes_no_new_ones(way: str) -> None:
    async with served(way) as on:
        running = asyncio.ensure_future(on.stub().GetLag(pb.GetLagRequest(), timeout=5))
        await on.servicer.entered.wait()
        draining = asyncio.create_task(on.server.drain())
        await asyncio.sleep(0.05)
        error = await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=1))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        on.servicer.release.set()
        assert (await running).pending == 7
        await asyncio.wait_for(draining, 10)


@ALL
async def test_draining_cuts_off_what_does_not_end_and_its_caller_is_told(way: str) -> None:
    async with served(way) as on:
        running = asyncio.ensure_future(on.stub().GetLag(pb.GetLagRequest(), timeout=5))
        await on.servicer.entered.wait()
        await asyncio.wait_for(on.server.drain(grace_s=0.1), 10)
        error = await _failed(running)
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert on.servicer.cancelled


async def test_what_is_too_large_for_a_message_is_too_large_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served("near") as on:
        await on.stub().GetClock(pb.GetClockRequest(), timeout=5)
        monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 1)
        assert is_too_large(await _failed(on.stub().GetClock(pb.GetClockRequest(), timeout=5)))
        assert is_too_large(await _failed(on.stub().GetLag(pb.GetLagRequest(min_clock_version=1), timeout=5)))
        assert not on.servicer.entered.is_set()


async def test_a_target_elsewhere_is_called_by_grpc() -> None:
    async with served("far") as away:
        with local.together(metrics_of="journey"):
            async with channel(f"127.0.0.1:{away.server.port}", TOKEN) as opened:
                stub: Any = pb_grpc.InstallationServiceStub(opened)
                await stub.GetClock(pb.GetClockRequest(), timeout=5)
        assert away.servicer.peers != ["in-process"]


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not seen():
            await asyncio.sleep(0.01)


async def test_a_call_is_logged_by_the_service_that_answers_it() -> None:
    with structlog.contextvars.bound_contextvars():
        log_as("segment")
        async with served("near") as on:
            log_as("journey")
            await on.stub().GetClock(pb.GetClockRequest(), timeout=5)
            assert on.servicer.logged_as == ["segment"]
