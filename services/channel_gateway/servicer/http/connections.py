"""Connections of the HTTP edge: how many, from whom, and for how long each may take over what.

At a bound the connection that has waited longest makes room, so that whoever comes next, a check of health among them,
is served while others hold what they may hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from services.channel_gateway import metrics
from services.channel_gateway.servicer.http import answers

HEAD_S: Final = 10.0
"""From the first byte of a head, or from the beginning of the connection, to its end."""
REQUEST_S: Final = 45.0
"""From the end of a head until its answer is written."""
IDLE_S: Final = 75.0
"""From an answer to the next request of a connection."""
BODY_S: Final = 10.0
"""From the end of a head to the end of its body."""
_IPV6_SITE_BITS: Final = 64
"""A client has a whole network of addresses; it counts as one."""

_log = structlog.get_logger(__name__)


class Phase(Enum):
    """What a connection is at."""

    HEAD = "head"
    BODY = "body"
    WORK = "work"
    """Something is done for a request that was read; it makes no room for others."""
    IDLE = "idle"


class Connections:
    """The connections there are, by client."""

    def __init__(self, most: int, most_of_one: int) -> None:
        """`most` in all, `most_of_one` of one client."""
        self._most = most
        self._most_of_one = most_of_one
        self._count = 0
        self._of: dict[str, dict[Connection, None]] = {}

    def all(self) -> list[Connection]:
        """Every one."""
        return [connection for own in self._of.values() for connection in own]

    def add(self, connection: Connection) -> bool:
        """Takes it in, in place of one that waits where a bound is reached; False where none does."""
        own = self._of.get(connection.peer, {})
        if len(own) >= self._most_of_one and not _evict(own):
            return False
        if self._count >= self._most and not any(
            map(_evict, sorted(self._of.values(), key=len, reverse=True))
        ):
            return False
        self._of.setdefault(connection.peer, {})[connection] = None
        self._count += 1
        metrics.HTTP_CONNECTIONS.set(self._count)
        return True

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        own = self._of.get(connection.peer, {})
        if connection in own:
            del own[connection]
            self._count -= 1
            metrics.HTTP_CONNECTIONS.set(self._count)
        if not own:
            self._of.pop(connection.peer, None)


def _evict(own: dict[Connection, None]) -> bool:
    waiting = [connection for connection in own if connection.phase is not Phase.WORK]
    if not waiting:
        return False
    oldest = min(waiting, key=lambda connection: connection.since_s)
    oldest.drop("evicted")
    return True


class Connection(RequestHandler):
    """One connection: aiohttp's, with deadlines, and without a log of what clients send."""

    def __init__(self, server: web.Server, connections: Connections, **limits: Any) -> None:
        """`limits` of aiohttp's parser."""
        super().__init__(server, loop=asyncio.get_running_loop(), **limits)
        self._connections = connections
        self._raw: asyncio.Transport | None = None
        self.peer = ""
        """The client: an address, of IPv6 its network."""
        self.phase = Phase.HEAD
        self.since_s = 0.0
        """When the phase began, in seconds of the loop."""
        self.deadline_s = 0.0

    def enter(self, phase: Phase, within_s: float | None = None) -> None:
        """Is at something else from here on, which may take `within_s`; by default what was left before."""
        self.phase = phase
        self.since_s = asyncio.get_running_loop().time()
        if within_s is not None:
            self.deadline_s = self.since_s + within_s

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """While the body is read."""
        self.enter(Phase.BODY)
        yield
        self.enter(Phase.WORK)

    def drop(self, why: str) -> None:
        """Ends it at once. It counts no longer."""
        metrics.HTTP_DROPPED.labels(why).inc()
        self._connections.remove(self)
        if self._raw is not None:
            self._raw.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        self.peer = _peer(transport.get_extra_info("peername"))
        self.enter(Phase.HEAD, HEAD_S)
        if self._connections.add(self):
            super().connection_made(transport)
        else:
            self.drop("refused")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if data and self.phase is Phase.IDLE:
            self.enter(Phase.HEAD, HEAD_S)
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - whatever the parser makes of a client's bytes, they end the connection only
            _log.warning("bytes that the parser fell over", error=type(error).__name__)
            self.drop("unparsable")

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.enter(Phase.IDLE, IDLE_S)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what is no HTTP, without quoting it."""
        del request, message
        if status < 500:
            metrics.WEBHOOKS.labels("other", str(status)).inc()
            return answers.malformed()
        self.log_exception(exc_info=exc)
        return answers.failed()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Names the kind only: what it says may hold bytes of the client."""
        del args
        error = kw.get("exc_info")
        if not isinstance(error, (ConnectionError, web.RequestPayloadError, web.PayloadAccessError)):
            _log.error("a connection failed", error=type(error).__name__)


def _peer(name: object) -> str:
    """Whom a connection counts for; the same for all where the system does not say who it is."""
    if not isinstance(name, tuple) or not name:
        return ""
    try:
        address = ipaddress.ip_address(str(name[0]).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_SITE_BITS), strict=False))
