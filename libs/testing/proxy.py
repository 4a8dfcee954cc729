"""A TCP proxy on loopback that makes a link slow, silent or broken while both ends stay as they are."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

_CHUNK_BYTES = 64 * 1024
_HOST = "127.0.0.1"


class FaultProxy:
    """Forwards connections to one port of loopback; made by `FaultProxy.running`.

    A stalled direction keeps what is sent into it and lets it go when the stall ends: what the far end did is not
    undone, only nobody hears of it in time.
    """

    def __init__(self, name: str, upstream_port: int, rng: random.Random) -> None:
        """`name` for messages; `rng` spreads delays."""
        self.name = name
        self.port = 0
        self._upstream_port = upstream_port
        self._rng = rng
        self._delay_s = 0.0
        self._requests_pass = asyncio.Event()
        self._answers_pass = asyncio.Event()
        self._requests_pass.set()
        self._answers_pass.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, name: str, upstream_port: int, rng: random.Random) -> "AsyncIterator[FaultProxy]":
        """Listens on a free port (`.port`) while the context lasts."""
        proxy = cls(name, upstream_port, rng)
        server = await asyncio.start_server(proxy._accept, _HOST, 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.heal()
            proxy.cut()
            await server.wait_closed()
            await asyncio.gather(*proxy._serving)

    def stall(self, *, requests: bool = True, answers: bool = True) -> None:
        """Lets nothing through in these directions until `heal`."""
        if requests:
            self._requests_pass.clear()
        if answers:
            self._answers_pass.clear()

    def slow(self, delay_s: float) -> None:
        """Keeps every piece of data for up to `delay_s` until `heal`."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Forwards at once again, what was kept first."""
        self._delay_s = 0.0
        self._requests_pass.set()
        self._answers_pass.set()

    def cut(self) -> int:
        """Breaks all connections without a goodbye; new ones are taken. Returns how many there were."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(_HOST, self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        pumps = {
            asyncio.create_task(self._pump(reader, far_writer, self._requests_pass)),
            asyncio.create_task(self._pump(far_reader, writer, self._answers_pass)),
        }
        try:
            # Either end's goodbye ends both: no protocol here speaks on after one.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._writers -= both
            for end in both:
                end.transport.abort()
            await asyncio.gather(*pumps, *(end.wait_closed() for end in both), return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._rng.uniform(0, self._delay_s))
                await passes.wait()
                writer.write(data)
                await writer.drain()
