"""One object with a typed stub for each service."""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

import grpc

from libs.client.internal import Internal
from libs.client.services import SERVICES, ServiceName
from libs.common.rpc.client import channel
from libs.common.tls import Tls
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceStub
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceStub
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from omnijourney.stats.v1.stats_service_pb2_grpc import StatsServiceStub

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub
    from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceAsyncStub
    from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceAsyncStub
    from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceAsyncStub
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub
    from omnijourney.stats.v1.stats_service_pb2_grpc import StatsServiceAsyncStub

CONNECT_TIMEOUT_S = 10.0


class Client:
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

    def installation(self, service: ServiceName) -> "InstallationServiceAsyncStub":
        """Lag and clock, which every service offers."""
        return InstallationServiceStub(self.channel(service))

    def operations(self, service: ServiceName) -> "OperationsServiceAsyncStub":
        """Long work, which every service shows alike."""
        return OperationsServiceStub(self.channel(service))

    @property
    def known(self) -> list[ServiceName]:
        """The services whose addresses it was given, in their usual order."""
        return [service for service in SERVICES if service in self.targets]

    @cached_property
    def journey(self) -> "JourneyServiceAsyncStub":
        """Definitions, lifecycle, enrolments, mailboxes."""
        return JourneyServiceStub(self.channel("journey"))

    @cached_property
    def points(self) -> "PointsServiceAsyncStub":
        """Formula, ledger, balances, coupons."""
        return PointsServiceStub(self.channel("points"))

    @cached_property
    def channel_gateway(self) -> "ChannelGatewayServiceAsyncStub":
        """Accounts, content, sends, webhooks."""
        return ChannelGatewayServiceStub(self.channel("channel_gateway"))

    @cached_property
    def segment(self) -> "SegmentServiceAsyncStub":
        """Teams, customers, tags, attributes, audiences."""
        return SegmentServiceStub(self.channel("segment"))

    @cached_property
    def stats(self) -> "StatsServiceAsyncStub":
        """Overviews, node figures, series."""
        return StatsServiceStub(self.channel("stats"))
