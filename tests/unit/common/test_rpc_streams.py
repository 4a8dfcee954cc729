"""Calls that stream, which no contract shared by all has: served here by plain handlers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from libs.common.callers import StaticDirectory
from libs.common.errors import Aborted
from libs.common.rpc import limits
from libs.common.rpc.client import DeadlineMissingError, channel
from libs.common.rpc.errors import remote_error
from libs.common.rpc.operations import DESCRIPTOR
from libs.common.rpc.server import GrpcServer
from tests.unit.common.conftest import TOKEN


class Streams:
    """Answers bytes with bytes."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for n in range(int(request)):
            yield str(n).encode()
        if request == b"3":
            raise Aborted.etag_mismatch("3")

    async def wait(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def add(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        total = 0
        async for request in requests:
            total += int(request)
        return str(total).encode()

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


def _register(streams: Streams, server: grpc.aio.Server) -> None:
    handlers: dict[str, Any] = {
        "Count": grpc.unary_stream_rpc_method_handler(streams.count),
        "Wait": grpc.unary_stream_rpc_method_handler(streams.wait),
        "Add": grpc.stream_unary_rpc_method_handler(streams.add),
        "Echo": grpc.stream_stream_rpc_method_handler(streams.echo),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Streams", handlers),))


@pytest.fixture
async def streams() -> Streams:
    return Streams()


@pytest.fixture
async def opened(streams: Streams) -> AsyncIterator[Any]:
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN))
    server.add(_register, streams, DESCRIPTOR)
    async with server, channel(f"127.0.0.1:{server.port}", TOKEN) as made:
        yield made


async def _numbers() -> AsyncIterator[bytes]:
    for n in (1, 2, 3):
        yield str(n).encode()


async def test_all_kinds_of_calls_are_served(opened: Any) -> None:
    assert [m async for m in opened.unary_stream("/tests.Streams/Count")(b"2", timeout=5)] == [b"0", b"1"]
    assert await opened.stream_unary("/tests.Streams/Add")(_numbers(), timeout=5) == b"6"
    echoed = [m async for m in opened.stream_stream("/tests.Streams/Echo")(_numbers(), timeout=5)]
    assert echoed == [b"1", b"2", b"3"]


async def test_a_fault_in_the_middle_of_a_stream_has_its_reason(opened: Any) -> None:
    got = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:  # noqa: PT012 - what came before counts too
        async for message in opened.unary_stream("/tests.Streams/Count")(b"3", timeout=5):
            got.append(message)  # noqa: PERF401 - kept although the loop ends by an error
    assert got == [b"0", b"1", b"2"]
    assert remote_error(caught.value).reason == "ETAG_MISMATCH"


@pytest.mark.rule("X-01a")
async def test_streams_need_token_and_deadline(opened: Any) -> None:
    with pytest.raises(DeadlineMissingError):
        async for _ in opened.unary_stream("/tests.Streams/Count")(b"2"):
            pass
    with pytest.raises(DeadlineMissingError):
        await opened.stream_unary("/tests.Streams/Add")(_numbers())
    with pytest.raises(DeadlineMissingError):
        async for _ in opened.stream_stream("/tests.Streams/Echo")(_numbers()):
            pass


async def test_a_caller_that_leaves_ends_the_handler(opened: Any, streams: Streams) -> None:
    call = opened.unary_stream("/tests.Streams/Wait")(b"", timeout=5)
    assert await call.read() == b"begun"
    call.cancel()
    await asyncio.wait_for(streams.ended.wait(), 30)


async def test_a_stream_without_deadline_gets_the_services(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_DEADLINE_DEFAULT_S", 0.05)
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN))
    server.add(_register, streams, DESCRIPTOR)
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as plain:
        wait: Any = plain.unary_stream("/tests.Streams/Wait")
        call = wait(b"", metadata=(("authorization", f"Bearer {TOKEN}"),))
        with pytest.raises(grpc.aio.AioRpcError) as caught:  # noqa: PT012 - the first message comes
            async for message in call:
                assert message == b"begun"
    assert remote_error(caught.value).reason == "DEADLINE_EXCEEDED"
