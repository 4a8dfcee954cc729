"""Typed stubs of the five services over whatever channels there are."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

import grpc

from libs.client.services import ServiceName
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


class Stubs(ABC):
    """A stub for each service, made when it is first asked for."""

    @abstractmethod
    def channel(self, service: ServiceName) -> grpc.aio.Channel:
        """The channel to one service. Errors: KeyError without an address for it."""

    def installation(self, service: ServiceName) -> "InstallationServiceAsyncStub":
        """Lag and clock, which every service offers."""
        return InstallationServiceStub(self.channel(service))

    def operations(self, service: ServiceName) -> "OperationsServiceAsyncStub":
        """Long work, which every service shows alike."""
        return OperationsServiceStub(self.channel(service))

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
