"""A service's gRPC server: its servicers, health, reflection, and an orderly end."""

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from libs.common.callers import CallerDirectory
from libs.common.rpc import limits
from libs.common.rpc.audited import NoteWrite
from libs.common.rpc.frame_server import FrameServer, socket_of
from libs.common.rpc.guard import Guard
from libs.common.rpc.local import LocalServer, local_servers
from libs.common.rpc.open_services import Health
from libs.common.rpc.reflection import DescribingReflection
from libs.common.rpc.teams import Teams
from libs.common.tls import Tls

Servicer = TypeVar("Servicer")

DRAIN_GRACE_S: Final = 3.0
"""How long calls that are being worked on may take to end when the service stops."""


class PortTakenError(Exception):
    """The address cannot be had: something else listens there, or it is not of this machine."""

    def __init__(self, host: str, port: int, error: Exception, setting: str = "port") -> None:
        """`error` of the system; `setting` is the field of the service's settings that holds the port."""
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        super().__init__(f"cannot listen on {host}:{port}: {'the port is taken' if taken else error}")
        self.setting = setting
        self.variable = ""
        """That holds the port, once it is known whose it is."""


def refuse_taken(host: str, port: int, setting: str = "port") -> None:
    """Raises PortTakenError when nothing could listen there now."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise PortTakenError(host, port, error, setting) from error


class GrpcServer:
    """Add servicers, `start`, and `drain` in the end. One event loop, one use."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        callers: CallerDirectory,
        teams: Teams | None = None,
        client_rate: float = limits.CLIENT_RATE_DEFAULT,
        tls: Tls | None = None,
        audit: NoteWrite | None = None,
        calls_dir: Path | None = None,
    ) -> None:
        """Opens port `port` (0: any free one) at `start`, for the `callers`. Clients among them may name `teams` that
        are there (None: any), and call `client_rate` times a second; `audit` writes down what they change. Without TLS
        it has a socket in `calls_dir` as well, which is closed to other users. Raises PortTakenError when the port is
        taken already."""
        self._server = grpc.aio.server(options=_options())
        guard = Guard(self._server, callers, teams, client_rate, audit=audit)
        # To generated code it is a server.
        self._guard = cast("grpc.aio.Server", guard)
        self._local = LocalServer(guard)
        self._calls_dir = calls_dir if tls is None else None
        self._frames: FrameServer | None = None
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._guard)
        self._names: list[str] = []
        self._host = host
        self._tls = tls
        self.port = port
        """The port that it listens on, once it is started."""
        # gRPC says only that it failed, and writes lines of its own to stderr: ask the system first.
        refuse_taken(host, port)

    def add(
        self,
        register: Callable[[Servicer, Any], None],
        servicer: Servicer,
        service: ServiceDescriptor,
    ) -> None:
        """Adds a servicer by its generated `add_…_to_server` and its descriptor
        (`points_service_pb2.DESCRIPTOR.services_by_name["PointsService"]`)."""
        register(servicer, self._guard)
        self._names.append(service.full_name)

    async def start(self) -> None:
        """Serves, and reports SERVING for every service added. Raises PortTakenError, OSError where no socket can be
        made in `calls_dir`."""
        address = f"{self._host}:{self.port}"
        try:
            if self._tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, self._tls.server_credentials())
        except RuntimeError as error:
            raise PortTakenError(self._host, self.port, error) from error
        names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            DescribingReflection(names), self._guard
        )
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        servers = local_servers()
        if servers is not None:
            servers.offer(self._host, self.port, self._local)
        path = socket_of(self._calls_dir, self.port) if self._calls_dir is not None else None
        if path is not None:
            self._frames = FrameServer(self._local, path)
            await self._frames.start()

    async def drain(self, grace_s: float = DRAIN_GRACE_S) -> None:
        """Reports NOT_SERVING, takes no new call, lets the running ones end within `grace_s` and cancels the rest."""
        await self._health.enter_graceful_shutdown()
        servers = local_servers()
        if servers is not None:
            servers.withdraw(self._local)
        if self._frames is not None:
            self._frames.stop_taking()
        await asyncio.gather(self._server.stop(grace_s), self._local.drain(grace_s))
        if self._frames is not None:
            await self._frames.close()

    async def __aenter__(self) -> "GrpcServer":
        """Starts."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drains."""
        await asyncio.shield(self.drain())


def _options() -> tuple[tuple[str, int], ...]:
    return (
        # Without this, two servers could share a port and each would get half of the calls.
        ("grpc.so_reuseport", 0),
        # As it is sent, nothing else: a few kilobytes would have to be made millions before any limit sees them.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.max_receive_message_length", limits.MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", limits.MESSAGE_BYTES_MAX),
        ("grpc.keepalive_time_ms", limits.KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", limits.KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", limits.KEEPALIVE_MS // 2),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.max_concurrent_streams", limits.STREAMS_MAX),
        ("grpc.max_connection_idle_ms", limits.CONNECTION_IDLE_MAX_MS),
        ("grpc.server_handshake_timeout_ms", limits.HANDSHAKE_MAX_MS),
        ("grpc.max_allowed_incoming_connections", limits.CONNECTIONS_MAX),
    )
