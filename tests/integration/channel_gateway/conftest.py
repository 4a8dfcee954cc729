"""The gateway as a real service on a database of its own, with its neighbours replaced by small gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import Running, running
from libs.testing.fixtures import Database, Databases, Servers
from omnijourney.channel_gateway.v1 import (
    channel_gateway_service_pb2_grpc as pb_grpc,
)
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.internal.v1 import (
    customers_service_pb2_grpc,
)
from omnijourney.points.v1 import points_service_pb2_grpc
from omnijourney.segment.v1 import (
    segment_service_pb2_grpc,
)
from services.channel_gateway.app import app
from services.channel_gateway.config import Settings
from services.channel_gateway.worker import recovery
from tests.integration.channel_gateway.running_gateway import (
    INSTAGRAM,
    INSTAGRAM_ID,
    LINE,
    MESSENGER,
    PAGE_ID,
    START,
    TIMEOUT_S,
    VAULT,
    WHATSAPP,
    Gateway,
    facts_of,
)
from tests.integration.channel_gateway.stand_ins import Neighbours, PointsStandIn, SegmentStandIn

__all__ = [
    "INSTAGRAM",
    "INSTAGRAM_ID",
    "LINE",
    "MESSENGER",
    "PAGE_ID",
    "START",
    "TIMEOUT_S",
    "VAULT",
    "WHATSAPP",
    "Gateway",
    "Neighbours",
    "PointsStandIn",
    "SegmentStandIn",
    "facts_of",
]


@pytest.fixture
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends that nobody works on are looked for soon, not every two seconds."""
    monkeypatch.setattr(recovery, "INTERVAL_S", 0.5)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the gateway's schema."""
    async with databases.fresh({"channel_gateway": "services.channel_gateway"}) as made:
        yield made


@pytest.fixture
async def neighbours() -> AsyncIterator[Neighbours]:
    """Segment and points."""
    server = grpc.aio.server()
    segment, points = SegmentStandIn(), PointsStandIn()  # type: ignore[abstract]  # only what is asked
    segment_service_pb2_grpc.add_SegmentServiceServicer_to_server(segment, server)
    customers_service_pb2_grpc.add_CustomersServiceServicer_to_server(segment, server)
    points_service_pb2_grpc.add_PointsServiceServicer_to_server(points, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Neighbours(f"127.0.0.1:{port}", segment, points)
    finally:
        await server.stop(None)


@pytest.fixture
async def emulators(tmp_path: Path) -> AsyncIterator[Running]:
    """All channels."""
    settings = EmulatorSettings(
        whatsapp_port=0,
        line_port=0,
        messenger_port=0,
        instagram_port=0,
        data_dir=tmp_path / "emulators",
        whatsapp_rate=100_000,
        line_rate=100_000,
        pages_rate=100_000,
    )
    async with running(settings, clock=EmulatorClock(lambda: START)) as started:
        yield started


@dataclass
class GatewayMaker:
    """Starts gateways on one database: to start one again after its end, or two at once."""

    servers: Servers
    database: Database
    neighbours: Neighbours
    emulators: Running

    @asynccontextmanager
    async def start(self, clock: SteppedClock | None = None, **changes: Any) -> AsyncIterator[Gateway]:
        """A gateway, serving."""
        clock = clock or SteppedClock(START)
        values: dict[str, Any] = {
            "http_port": 0,
            "segment_target": self.neighbours.target,
            "points_target": self.neighbours.target,
            "whatsapp_url": self.emulators.urls["whatsapp"],
            "line_url": self.emulators.urls["line"],
            "messenger_url": self.emulators.urls["messenger"],
            "instagram_url": self.emulators.urls["instagram"],
        }
        settings = self.servers.settings(Settings, self.database, **{**values, **changes})
        async with (
            app(settings, clock=clock) as serving,
            self.servers.channel(serving.port) as channel,
            # A connection that is kept may be evicted in the moment in which it is used again.
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        ):
            yield Gateway(
                serving,
                pb_grpc.ChannelGatewayServiceStub(channel),
                InstallationServiceStub(channel),
                Internal(channel),
                clock,
                self.neighbours,
                self.emulators,
                self.database,
                http,
            )


@pytest.fixture
def maker(
    servers: Servers, database: Database, neighbours: Neighbours, emulators: Running, redis: object
) -> GatewayMaker:
    """Starts gateways."""
    return GatewayMaker(servers, database, neighbours, emulators)


@pytest.fixture
async def gateway(maker: GatewayMaker) -> AsyncIterator[Gateway]:
    """A gateway, serving."""
    async with maker.start() as started:
        yield started
