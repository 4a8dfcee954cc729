"""One address for several: a load balancer in front of hosts; and, run on a host, a way out to the channels.

A gateway calls channels by https, or on its own host: `python -m tests.failover.edge 10.0.0.1:8100 …` listens on the
same ports of loopback.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final, Self

_LOOPBACK: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 1.0


class Edge:
    """Hands each connection to a host that takes it."""

    def __init__(self, upstreams: Sequence[tuple[str, int]], rng: random.Random) -> None:
        self._upstreams = list(upstreams)
        self._rng = rng
        self.url = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, upstreams: Sequence[tuple[str, int]], rng: random.Random, port: int = 0
    ) -> AsyncIterator[Self]:
        """Listens while the context lasts; on any free port unless one is given."""
        edge = cls(upstreams, rng)
        server = await asyncio.start_server(edge._accept, _LOOPBACK, port)
        edge.url = f"http://{_LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        try:
            yield edge
        finally:
            server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for host, port in self._rng.sample(self._upstreams, k=len(self._upstreams)):
            try:
                async with asyncio.timeout(_CONNECT_S):
                    far_reader, far_writer = await asyncio.open_connection(host, port)
            except OSError:
                continue
            with contextlib.suppress(OSError):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            far_writer.close()
            break
        writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends, which ends the sink, too."""
    try:
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


async def _ways_out(upstreams: Sequence[str]) -> None:
    rng = random.Random(0)
    async with contextlib.AsyncExitStack() as stack:
        for upstream in upstreams:
            host, _, port = upstream.rpartition(":")
            await stack.enter_async_context(Edge.running([(host, int(port))], rng, int(port)))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_ways_out(sys.argv[1:]))
