"""The fault proxy: what is stalled comes later, what is cut is gone, what is healed passes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from libs.testing.proxy import FaultProxy

SOON_S = 0.1


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of a server that answers in capitals."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with FaultProxy.running("echo", port, random.Random(1)) as running:
        yield running
    server.close()
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left)  # the server's own ends of the connections


async def _say(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    return reader, writer


async def test_it_forwards_both_ways_slowly_if_told(proxy: FaultProxy) -> None:
    proxy.slow(0.01)
    reader, writer = await _say(proxy)
    assert await reader.readexactly(5) == b"HELLO"
    writer.close()


@pytest.mark.parametrize("requests", [True, False])
async def test_a_stalled_link_keeps_what_is_sent_until_it_is_healed(
    proxy: FaultProxy, requests: bool
) -> None:
    proxy.stall(requests=requests)
    reader, writer = await _say(proxy)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(5), SOON_S)
    proxy.heal()
    assert await reader.readexactly(5) == b"HELLO"
    writer.close()


async def test_cut_connections_are_broken_and_new_ones_are_taken(proxy: FaultProxy) -> None:
    reader, broken = await _say(proxy)
    assert await reader.readexactly(5) == b"HELLO"
    assert proxy.cut() == 1
    with contextlib.suppress(ConnectionError):
        assert await reader.read(5) == b""
    broken.close()
    again, writer = await _say(proxy)
    assert await again.readexactly(5) == b"HELLO"
    writer.close()
