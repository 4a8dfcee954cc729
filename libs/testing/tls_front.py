"""TLS in front of a server that has none: the embedded PostgreSQL and Valkey are built without it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

_HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
"""What a client of PostgreSQL says before anything else when it wants TLS."""


class TlsFront:
    """Takes TLS on `port` and hands the plain text to a port of loopback; anything else is closed at once."""

    def __init__(self, upstream_port: int, context: ssl.SSLContext, *, postgres: bool) -> None:
        """`postgres`: the client asks for TLS first, as that protocol has it."""
        self.port = 0
        self.served = 0
        """Connections on which the handshake was made."""
        self._upstream_port = upstream_port
        self._context = context
        self._postgres = postgres

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, upstream_port: int, context: ssl.SSLContext, *, postgres: bool = False
    ) -> "AsyncIterator[TlsFront]":
        """Listens on a free port while the context lasts."""
        front = cls(upstream_port, context, postgres=postgres)
        server = await asyncio.start_server(front._accept, _HOST, 0)
        front.port = server.sockets[0].getsockname()[1]
        try:
            yield front
        finally:
            server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self._postgres:
                if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                    writer.close()
                    return
                writer.write(b"S")
            await writer.start_tls(self._context)
            self.served += 1
            onward, back = await asyncio.open_connection(_HOST, self._upstream_port)
            await asyncio.gather(_pump(reader, back), _pump(onward, writer))
        writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
    sink.close()
