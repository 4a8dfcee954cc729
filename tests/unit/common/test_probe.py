"""The health check of containers: right about whoever listens there, and small."""

import asyncio
import json
import subprocess
import sys

import pytest

from libs import probe
from libs.common.callers import StaticDirectory
from libs.common.rpc.server import GrpcServer
from tests.unit.common.conftest import TOKEN
from tools.paths import ROOT


async def _exit_code(target: str) -> int | None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "libs.probe", target, cwd=ROOT)
    return await process.wait()


async def test_a_service_that_serves_and_one_that_drains() -> None:
    async with GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN)) as server:
        target = f"127.0.0.1:{server.port}"
        assert await _exit_code(target) == 0
        await server.drain()
        assert await _exit_code(target) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\0\0\0\4\0\0\0\0\0",
        b"\0\0\7\0\1\0\0\0\1\0\0\0\0\2\x08\x02",
        b"\0\0\0\7\0\0\0\0\0",
    ],
    ids=["another protocol", "nothing", "settings, and no more", "NOT_SERVING", "a farewell"],
)
async def test_whatever_else_listens_there_does_not_serve(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert not await asyncio.to_thread(_serves, f"127.0.0.1:{port}")
    assert await _exit_code(f"127.0.0.1:{port}") == 1, "nobody listens"


def _serves(target: str) -> bool:
    try:
        return probe.serves(target, {})
    except OSError:
        return False


def test_it_loads_the_standard_library_alone() -> None:
    """It is started anew for every look: what it imports is what it costs."""
    program = "import sys, libs.probe, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"__main__", "libs"}
    assert not {"asyncio", "ssl", "typing"} & loaded
    assert len(loaded) < 80
