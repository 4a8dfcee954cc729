"""The port of the HTTP edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Final, NamedTuple

from aiohttp import web

from libs.common.rpc.server import PortTakenError
from libs.common.tasks import any_set, running
from services.channel_gateway.servicer.http.connections import REQUEST_S, Connection, Connections, Phase
from services.channel_gateway.servicer.http.router import Router

LINE_BYTES_MAX: Final = 2_048
"""The line of a request."""
FIELD_BYTES_MAX: Final = 4_096
"""One field of a head."""
FIELDS_MAX: Final = 64
LINGER_S: Final = 1.0
"""What is still sent after an answer that closes is read and dropped for so long: the sender sees the answer."""
LOOK_EVERY_S: Final = 1.0
"""Deadlines of connections are looked at so often."""
GRACE_S: Final = 2.0
"""For requests under way when the edge stops."""
HANDSHAKE_S: Final = 10.0
BACKLOG: Final = 512
_AIOHTTPS_S: Final = 86_400.0
"""aiohttp's own deadline of an idle connection: never before ours."""


class Bounds(NamedTuple):
    """Of connections."""

    connections_max: int
    of_one_max: int
    """Of one client."""


class _Server(web.Server):
    """Makes a `Connection` for each that comes."""

    def __init__(self, router: Router, connections: Connections) -> None:
        super().__init__(self._answer)
        self._router = router
        self._held = connections

    def __call__(self) -> Connection:
        return Connection(
            self,
            self._held,
            keepalive_timeout=_AIOHTTPS_S,
            access_log=None,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            max_headers=FIELDS_MAX,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.enter(Phase.WORK, REQUEST_S)
        return await self._router.answer(request, connection)

    async def run(self, stopping: asyncio.Event) -> None:
        """A loop, see `libs.common.tasks`: ends connections that are over time."""
        while not stopping.is_set():
            now_s = asyncio.get_running_loop().time()
            for connection in self._held.all():
                if connection.deadline_s < now_s:
                    connection.drop(f"late_{connection.phase.value}")
            await any_set(stopping, timeout_s=LOOK_EVERY_S)


@asynccontextmanager
async def listening(
    router: Router, host: str, port: int, bounds: Bounds, ssl: SSLContext | None = None
) -> AsyncIterator[int]:
    """Serves for as long as the block; gives the port. Raises PortTakenError."""
    server = _Server(router, Connections(bounds.connections_max, bounds.of_one_max))
    handshake_s = None if ssl is None else HANDSHAKE_S
    try:
        listener = await asyncio.get_running_loop().create_server(
            server, host, port, ssl=ssl, backlog=BACKLOG, ssl_handshake_timeout=handshake_s
        )
    except OSError as error:
        raise PortTakenError(host, port, error, "http_port") from error
    try:
        async with running(server, name="HTTP deadlines"):
            yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        server.pre_shutdown()
        await server.shutdown(GRACE_S)
