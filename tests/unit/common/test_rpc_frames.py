"""Calls over a socket: what they do that calls within a process cannot."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from libs.common.callers import StaticDirectory
from libs.common.rpc import limits, operations
from libs.common.rpc.client import channel, is_too_large
from libs.common.rpc.frame_client import frame_client_at
from libs.common.rpc.frame_server import ELSEWHERE, OK, FrameServer, make_folder, socket_of
from libs.common.rpc.local import LocalServer
from libs.common.rpc.server import GrpcServer
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc
from tests.unit.common.conftest import TOKEN

METHOD = "/omnijourney.common.v1.InstallationService/GetClock"
MEBIBYTE = 1024 * 1024


class Servicer(pb_grpc.InstallationServiceServicer):
    """Says by which way it was called; GetLag waits."""

    def __init__(self) -> None:
        self.ways: list[str] = []
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def GetClock(self, request: pb.GetClockRequest, context: Any) -> pb.GetClockResponse:  # noqa: N802
        self.ways.append("socket" if context.peer() == "in-process" else "gRPC")
        return pb.GetClockResponse(version=len(self.ways))

    async def GetLag(self, request: pb.GetLagRequest, context: Any) -> pb.GetLagResponse:  # noqa: N802
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError


@pytest.fixture
def folder() -> Any:
    """Short, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory(prefix="oj-") as path:
        yield Path(path)


@contextlib.asynccontextmanager
async def served(folder: Path, servicer: Servicer, port: int = 0) -> AsyncIterator[GrpcServer]:
    """A server with a socket."""
    callers = StaticDirectory.installation(TOKEN)
    server = GrpcServer(host="127.0.0.1", port=port, callers=callers, calls_dir=folder)
    server.add(pb_grpc.add_InstallationServiceServicer_to_server, servicer, operations.DESCRIPTOR)
    async with server:
        yield server


async def _clock(opened: grpc.aio.Channel) -> int:
    stub: Any = pb_grpc.InstallationServiceStub(opened)
    answer = await stub.GetClock(pb.GetClockRequest(), timeout=5)
    return int(answer.version)


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not seen():
            await asyncio.sleep(0.01)


async def test_the_first_call_waits_for_no_socket_and_the_next_ones_take_it(folder: Path) -> None:
    servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with (
        served(folder, servicer) as server,
        channel(f"127.0.0.1:{server.port}", TOKEN, calls_dir=folder) as opened,
    ):
        await _clock(opened)
        assert servicer.ways == ["gRPC"]
        await opened.channel_ready()
        await _clock(opened)
        assert servicer.ways == ["gRPC", "socket"]


async def test_a_server_that_starts_again_is_found_again(folder: Path) -> None:
    first, second = Servicer(), Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with served(folder, first) as server:
        port = server.port
        opened = channel(f"127.0.0.1:{port}", TOKEN, calls_dir=folder)
        await opened.channel_ready()
        await _clock(opened)
        assert first.ways == ["socket"]
    async with opened:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _clock(opened)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        async with served(folder, second, port):
            await asyncio.wait_for(opened.channel_ready(), 10)
            await _clock(opened)
            assert second.ways == ["socket"]


async def test_a_connection_that_breaks_ends_its_calls_on_both_sides(folder: Path) -> None:
    servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with served(folder, servicer) as server:
        opened = channel(f"127.0.0.1:{server.port}", TOKEN, calls_dir=folder)
        await opened.channel_ready()
        stub: Any = pb_grpc.InstallationServiceStub(opened)
        calling = asyncio.ensure_future(stub.GetLag(pb.GetLagRequest(), timeout=60))
        await servicer.entered.wait()
        await opened.close()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calling
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(servicer.cancelled.wait(), 10)


async def test_where_a_socket_was_left_by_a_process_that_was_killed_grpc_is_asked(folder: Path) -> None:
    servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with served(folder, servicer) as server:
        path = socket_of(folder, server.port)
        assert path is not None
        path.unlink()
        path.touch()
        async with channel(f"127.0.0.1:{server.port}", TOKEN, calls_dir=folder) as opened:
            await _clock(opened)
            await asyncio.sleep(0)
            await _clock(opened)
        assert servicer.ways == ["gRPC", "gRPC"]


async def test_frames_may_come_in_pieces_and_a_broken_one_closes_its_connection_only(folder: Path) -> None:
    servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with served(folder, servicer) as server:
        path = socket_of(folder, server.port)
        reader, writer = await asyncio.open_unix_connection(str(path))
        metadata = [("authorization", f"Bearer {TOKEN}")]
        frame = msgspec.msgpack.encode((7, METHOD, 5.0, metadata, b""))
        for byte in len(frame).to_bytes(4) + frame:
            writer.write(bytes([byte]))
            await writer.drain()
        size = int.from_bytes(await reader.readexactly(4))
        number, code, body, *_ = msgspec.msgpack.decode(await reader.readexactly(size))
        assert (number, code, pb.GetClockResponse.FromString(body).version) == (7, OK, 1)
        for broken in (b"\xff\xff\xff\xff", _framed(b"\xc1\xc1"), *map(_framed, _rubbish(metadata))):
            answers, second = await asyncio.open_unix_connection(str(path))
            second.write(broken)
            with contextlib.suppress(ConnectionResetError):
                assert await answers.read() == b""
            second.close()
        writer.write(len(frame).to_bytes(4) + frame)
        assert await reader.readexactly(4)
        writer.close()


def _framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4) + frame


def _rubbish(metadata: Any) -> list[bytes]:
    """Frames that no caller of ours would send."""
    calls = [(1, METHOD, deadline_s, metadata, b"") for deadline_s in (float("nan"), float("inf"), -1.0)]
    return [msgspec.msgpack.encode(each) for each in (*calls, "a text", [1, 2], {})]


async def test_a_number_that_is_under_way_closes_the_connection_and_ends_the_call(folder: Path) -> None:
    servicer = Servicer()  # type: ignore[abstract]  # a part of the service is enough
    async with served(folder, servicer) as server:
        path = socket_of(folder, server.port)
        reader, writer = await asyncio.open_unix_connection(str(path))
        metadata = [("authorization", f"Bearer {TOKEN}")]
        waits = METHOD.replace("GetClock", "GetLag")
        frame = _framed(msgspec.msgpack.encode((7, waits, 60.0, metadata, b"")))
        writer.write(frame)
        await servicer.entered.wait()
        writer.write(frame)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        await asyncio.wait_for(servicer.cancelled.wait(), 10)
        writer.close()


async def test_messages_of_any_size_that_is_allowed_go_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Echo:
        def find(self, details: grpc.HandlerCallDetails) -> Any:
            async def echo(request: bytes, context: Any) -> bytes:
                return request

            return grpc.unary_unary_rpc_method_handler(echo, bytes, bytes)

    path = folder / "1.sock"
    server = FrameServer(LocalServer(Echo()), path)
    await server.start()
    frames = frame_client_at("127.0.0.1:1", folder, "127.0.0.1")
    assert frames is not None
    await frames.ready()
    opened = channel("127.0.0.1:1", TOKEN, calls_dir=folder)
    call: Any = opened.unary_unary("/a.B/C")
    await opened._frames.ready()  # type: ignore[attr-defined]  # gRPC's is not there
    sent = [bytes([number]) * size for number, size in enumerate((0, 1, 70_000, 5 * MEBIBYTE, 3))]
    assert [await call(body, timeout=30) for body in sent] == sent
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"123", timeout=5)
    assert is_too_large(caught.value)
    server.stop_taking()
    await opened.close()
    await frames.close()
    await server.close()


async def test_who_writes_faster_than_is_read_goes_by_grpc(folder: Path) -> None:
    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopping.wait()
        writer.close()

    stopping = asyncio.Event()
    server = await asyncio.start_unix_server(deaf, str(folder / "1.sock"), limit=1)
    opened = channel("127.0.0.1:1", TOKEN, calls_dir=folder)
    frames = opened._frames  # type: ignore[attr-defined]
    await frames.ready()
    call: Any = opened.unary_unary("/a.B/C")
    calls = [call(bytes(MEBIBYTE), timeout=0.2) for _ in range(4)]
    assert frames.find() is None
    for each in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(each, grpc.aio.AioRpcError)
    stopping.set()
    await _until(lambda: frames._connection.transport is None)
    await opened.close()
    server.close()


@pytest.mark.parametrize(
    ("target", "bind_host", "is_near"),
    [
        ("127.0.0.1:7401", "127.0.0.1", True),
        ("127.0.0.1:7401", "0.0.0.0", True),
        ("10.0.0.7:7401", "10.0.0.7", True),
        ("10.0.0.8:7401", "10.0.0.7", False),
        ("journey:7401", "0.0.0.0", False),
        (":7401", "", False),
    ],
)
def test_only_what_listens_on_this_machine_is_near(target: str, bind_host: str, is_near: bool) -> None:
    assert (frame_client_at(target, Path("/run/calls"), bind_host) is not None) == is_near


def test_a_path_that_no_socket_could_have_is_none() -> None:
    assert socket_of(Path("/" + "x" * 90), 7401) is None
    assert socket_of(Path("/" + "x" * 80), 7401) is not None


def test_no_status_means_elsewhere() -> None:
    assert ELSEWHERE not in {code.value[0] for code in grpc.StatusCode}


def test_the_folder_of_sockets_is_closed_and_holds_none_of_before(folder: Path) -> None:
    calls = folder / "calls"
    calls.mkdir(mode=0o755)
    (calls / "7401.sock").touch()
    make_folder(calls)
    make_folder(calls)
    assert calls.stat().st_mode & 0o777 == 0o700
    assert list(calls.iterdir()) == []
