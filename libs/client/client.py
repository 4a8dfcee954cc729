"""One object with a typed stub for each service, for our own tools."""

import asyncio
from collections.abc import Mapping
from types import TracebackType

import grpc

from libs.client.internal import Internal
from libs.client.services import SERVICES, ServiceName
from libs.client.stubs import Stubs
from libs.common.rpc.client import channel
from libs.common.tls import Tls

CONNECT_TIMEOUT_S = 10.0


class Client(Stubs):
    """Stubs of the services whose addresses it was given. Every call needs `timeout=` in seconds.

        async with Client(targets, token) as client:
            await client.points.GetLedgerSummary(request, timeout=5)

    Belongs to the event loop in which it is first used.
    """

    def __init__(
        self,
        targets: Mapping[ServiceName, str],
        token: str,
        tools_token: str = "",
        tls: Tls | None = None,
    ) -> None:
        """`targets`: `host:port` by service. `tools_token` is shown where only `internal` asks; without it, `token` is.
        Connects when first used."""
        self.targets = dict(targets)
        self.tls = tls
        self._token = token
        self._tools_token = tools_token or token
        self._tools_channels: dict[ServiceName, grpc.aio.Channel] = {}
        self._channels: dict[ServiceName, grpc.aio.Channel] = {}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all channels; calls that are under way fail."""
        opened = (*self._channels.values(), *self._tools_channels.values())
        await asyncio.gather(*(one.close() for one in opened))
        self._channels.clear()
        self._tools_channels.clear()

    def channel(self, service: ServiceName) -> grpc.aio.Channel:
        """The channel to one service, for stubs that are not here. Errors: KeyError without an address for it."""
        if service not in self._channels:
            self._channels[service] = channel(self.targets[service], self._token, self.tls)
        return self._channels[service]

    def internal(self, service: ServiceName) -> Internal:
        """What our own services ask of one. Errors: KeyError without an address for it."""
        if service not in self._tools_channels:
            self._tools_channels[service] = channel(self.targets[service], self._tools_token, self.tls)
        return Internal(self._tools_channels[service])

    async def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Waits until every service can be reached. Errors: TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(self.channel(service).channel_ready() for service in self.targets))

    @property
    def known(self) -> list[ServiceName]:
        """The services whose addresses it was given, in their usual order."""
        return [service for service in SERVICES if service in self.targets]
