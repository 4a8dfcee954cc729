"""Connections that make no call make room for others, and clients of ours do not notice that theirs was closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.common.callers import StaticDirectory
from libs.common.rpc import limits
from libs.common.rpc.client import channel
from libs.common.rpc.server import GrpcServer

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"idleidle"
_STRANGERS = {"says nothing": b"", "speaks HTTP/2": _PREFACE, "pings": _PREFACE + _PING}
_PATIENCE_S = 30.0


@contextlib.asynccontextmanager
async def _serving() -> AsyncIterator[GrpcServer]:
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation("t"))
    async with server:
        yield server


async def _strangers(stack: contextlib.AsyncExitStack, server: GrpcServer) -> list[asyncio.StreamReader]:
    """Connections that the server has accepted and that make no call."""
    readers = []
    for said in _STRANGERS.values():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        stack.callback(writer.close)
        writer.write(said)
        assert await reader.read(1), "the server speaks first"
        readers.append(reader)
    return readers


async def _check(opened: grpc.aio.Channel, *, patient: bool) -> int:
    stub: Any = health_pb2_grpc.HealthStub(opened)
    request = health_pb2.HealthCheckRequest()
    return int((await stub.Check(request, timeout=_PATIENCE_S, wait_for_ready=patient)).status)


async def test_at_the_bound_a_new_connection_is_refused_until_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", len(_STRANGERS))
    async with _serving() as server, contextlib.AsyncExitStack() as stack:
        await _strangers(stack, server)
        async with channel(f"127.0.0.1:{server.port}", "t") as late:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await _check(late, patient=False)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            await stack.aclose()
            assert await _check(late, patient=True) == health_pb2.HealthCheckResponse.SERVING


async def test_connections_without_a_call_are_closed_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", len(_STRANGERS))
    monkeypatch.setattr(limits, "CONNECTION_IDLE_MAX_MS", 1_000)
    async with _serving() as server, contextlib.AsyncExitStack() as stack:
        strangers = await _strangers(stack, server)
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*(reader.read() for reader in strangers))
        async with channel(f"127.0.0.1:{server.port}", "t") as opened:
            assert await _check(opened, patient=True) == health_pb2.HealthCheckResponse.SERVING


async def test_a_channel_whose_connection_was_idle_connects_again_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONNECTION_IDLE_MAX_MS", 300)
    async with _serving() as server, channel(f"127.0.0.1:{server.port}", "t") as opened:
        for _ in range(3):
            assert await _check(opened, patient=False) == health_pb2.HealthCheckResponse.SERVING
            async with asyncio.timeout(_PATIENCE_S):
                while opened.get_state() is grpc.ChannelConnectivity.READY:
                    await opened.wait_for_state_change(grpc.ChannelConnectivity.READY)


class _Says(health_pb2_grpc.HealthServicer):
    """Answers with a number of its own."""

    def __init__(self, status: int) -> None:
        self._status = status

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        """See the contract."""
        return health_pb2.HealthCheckResponse(status=self._status)


@contextlib.asynccontextmanager
async def _says(status: int) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(_Says(status), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(None)


async def test_calls_go_to_every_process_behind_an_address_and_to_the_others_when_one_is_gone() -> None:
    async with (
        _says(1) as (goes, first),
        _says(2) as (_, second),
        channel(f"ipv4:127.0.0.1:{first},127.0.0.1:{second}", "t") as opened,
    ):
        async with asyncio.timeout(_PATIENCE_S):
            answers: set[int] = set()
            while answers != {1, 2}:
                answers.add(await _check(opened, patient=True))
        await goes.stop(None)
        in_a_row = 0
        async with asyncio.timeout(_PATIENCE_S):
            while in_a_row < 10:
                try:
                    assert await _check(opened, patient=True) == 2
                    in_a_row += 1
                except grpc.aio.AioRpcError as error:
                    # What was on its way when it went, or before that was heard of, may fail; then nothing does.
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    in_a_row = 0
