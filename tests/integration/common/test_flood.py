"""What anybody may throw at a server: large messages and silent streams, with and without a token.

The server is a process of its own, and its memory is looked at from outside.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.integration.common.guarded_process import TOKEN
from tools.paths import ROOT

RECORD: Final = "/omnijourney.segment.v1.SegmentService/RecordEvents"
CHECK: Final = "/grpc.health.v1.Health/Check"
EMPTY_ITEMS: Final = b"\x0a\x00" * 7_500_000
ONE_TEXT: Final = b"\x0a\xc0\xc3\x93\x07" + b"a" * 15_000_000
GROWN_BYTES_MAX: Final = 300_000_000
"""It was 5 GB. Some of it is the messages themselves: a few are received before their size is known."""


class Process:
    """The server, and the most memory that it had."""

    def __init__(self, port: int, pid: int) -> None:
        self._target = f"127.0.0.1:{port}"
        self._process = psutil.Process(pid)
        self._begin_bytes = self._bytes()
        self.grown_bytes = 0
        self.healthy = 0

    def _bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def channel(self) -> grpc.aio.Channel:
        """A connection of its own."""
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.insecure_channel(self._target, options=options)

    async def watch(self) -> None:
        """Looks at memory, and asks for health, until it is cancelled."""
        async with self.channel() as anybody:
            stub: Any = health_pb2_grpc.HealthStub(anybody)
            while True:
                self.grown_bytes = max(self.grown_bytes, self._bytes() - self._begin_bytes)
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
                self.healthy += 1
                await asyncio.sleep(0.01)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """Started, watched, and ended with the test."""
    module = "tests.integration.common.guarded_process"
    pipe = asyncio.subprocess.PIPE
    with (tmp_path / "stderr").open("wb") as stderr:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=stderr
        )
    try:
        assert started.stdout is not None
        made = Process(int(await started.stdout.readline()), started.pid)
        watching = asyncio.create_task(made.watch())
        yield made
        assert not watching.done(), watching.exception()
        watching.cancel()
    finally:
        started.kill()
        await started.wait()


async def _reason(
    process: Process,
    method: str,
    sent: bytes,
    token: str,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> str:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with process.channel() as opened:
        call: Any = opened.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(sent, timeout=60, metadata=metadata, compression=compression)
        return caught.value.code().name


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    ("method", "sent", "token", "expected"),
    [
        (RECORD, EMPTY_ITEMS, "", "UNAUTHENTICATED"),
        (RECORD, ONE_TEXT, "", "UNAUTHENTICATED"),
        (RECORD, EMPTY_ITEMS, TOKEN, "RESOURCE_EXHAUSTED"),
        (RECORD, ONE_TEXT, TOKEN, "RESOURCE_EXHAUSTED"),
        (RECORD, EMPTY_ITEMS[: 4 << 20], TOKEN, "RESOURCE_EXHAUSTED"),
        (RECORD, EMPTY_ITEMS[: 200 << 10], TOKEN, "INVALID_ARGUMENT"),
        (CHECK, ONE_TEXT, "", "RESOURCE_EXHAUSTED"),
    ],
    ids=["items", "text", "items-token", "text-token", "4-MiB-token", "200-KiB-token", "health"],
)
async def test_eight_large_messages_at_once_leave_memory_flat_and_health_answering(
    process: Process, method: str, sent: bytes, token: str, expected: str
) -> None:
    answered = process.healthy
    for _ in range(2):
        codes = await asyncio.gather(*(_reason(process, method, sent, token) for _ in range(8)))
        assert set(codes) == {expected}
    assert process.grown_bytes < GROWN_BYTES_MAX
    assert process.healthy > answered


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("token", ["", TOKEN], ids=["nobody", "a client"])
async def test_what_is_compressed_is_refused_as_it_is_and_leaves_no_line(
    process: Process, tmp_path: Path, token: str, compression: grpc.Compression
) -> None:
    for sent in (ONE_TEXT, b""):
        assert await _reason(process, RECORD, sent, token, compression) == "UNIMPLEMENTED"
    assert (tmp_path / "stderr").read_text() == ""


@pytest.mark.rule("X-01d")
async def test_a_thousand_silent_streams_of_reflection_shut_nobody_out(process: Process) -> None:
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # its types know blocking channels only
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(11):
            stub = make_stub(await stack.enter_async_context(process.channel()))
            for _ in range(100):
                call = stub.ServerReflectionInfo(timeout=60)
                await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answered = process.healthy
        async with process.channel() as opened:
            record: Any = opened.unary_unary(RECORD)
            assert await record(b"", timeout=30, metadata=(("authorization", f"Bearer {TOKEN}"),)) == b""
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            replies = make_stub(opened).ServerReflectionInfo(asked, timeout=30)
            assert [reply async for reply in replies]
        while process.healthy < answered + 3:
            await asyncio.sleep(0.01)
    assert process.grown_bytes < GROWN_BYTES_MAX
