"""Stats as a real service on a database of its own, reading four small servers of the real contracts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from libs.common.clock import SteppedClock
from libs.testing.feeds import FEEDS, FeedServer
from libs.testing.fixtures import Database, Databases, Servers
from libs.testing.history_rows import JOURNEY, NOON, TEAM
from omnijourney.common.v1 import (
    installation_service_pb2,
    installation_service_pb2_grpc,
    operations_service_pb2_grpc,
)
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.journey.v1 import journey_service_pb2
from omnijourney.segment.v1 import team_pb2
from omnijourney.stats.v1 import figures_pb2, stats_service_pb2, stats_service_pb2_grpc
from services.stats.app import app
from services.stats.config import Settings

TIMEOUT_S = 30.0


@dataclass
class Stats:
    """A running service and what it reads."""

    stub: Any
    operations: Any
    long_work: Any
    feeds: dict[str, FeedServer]

    async def settle(self) -> None:
        """Until everything recorded is counted."""
        async with asyncio.timeout(TIMEOUT_S):
            while (await self.lag()).pending:
                await asyncio.sleep(0.01)

    async def lag(self) -> Any:
        """The service's lag."""
        return await self.operations.GetLag(installation_service_pb2.GetLagRequest(), timeout=TIMEOUT_S)

    async def overview(self, **asked: Any) -> figures_pb2.JourneyOverview:
        """The journey's figures."""
        request = stats_service_pb2.GetJourneyOverviewRequest(
            team_id=str(TEAM), journey_id=str(JOURNEY), **asked
        )
        response = await self.stub.GetJourneyOverview(request, timeout=TIMEOUT_S)
        assert isinstance(response, stats_service_pb2.GetJourneyOverviewResponse)
        return response.overview

    async def nodes(self, **asked: Any) -> dict[str, int]:
        """Times entered by node."""
        request = stats_service_pb2.ListNodeFiguresRequest(
            team_id=str(TEAM), journey_id=str(JOURNEY), **asked
        )
        response = await self.stub.ListNodeFigures(request, timeout=TIMEOUT_S)
        return {node.node_id: node.entered_count for node in response.nodes}

    async def team(self, team_id: str = str(TEAM), **asked: Any) -> figures_pb2.TeamOverview:
        """The team's figures."""
        request = stats_service_pb2.GetTeamOverviewRequest(team_id=team_id, **asked)
        response = await self.stub.GetTeamOverview(request, timeout=TIMEOUT_S)
        assert isinstance(response, stats_service_pb2.GetTeamOverviewResponse)
        return response.overview


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the schema of stats."""
    async with databases.fresh({"stats": "services.stats"}) as database:
        yield database


@pytest.fixture
async def feeds() -> AsyncIterator[dict[str, FeedServer]]:
    """The four histories, empty."""
    async with AsyncExitStack() as stack:
        found = {}
        for name in FEEDS:
            found[name] = await stack.enter_async_context(FeedServer(name).serving())
        settings = team_pb2.TeamSettings(team_id=str(TEAM), time_zone="Asia/Kolkata", currency_code="INR")
        found["segment"].answers["BatchGetTeamSettings"] = customers_service_pb2.BatchGetTeamSettingsResponse(
            settings=[settings]
        )
        found["segment"].answers["ListRetentions"] = customers_service_pb2.ListRetentionsResponse()
        found["journey"].answers["CountWaits"] = journey_service_pb2.CountWaitsResponse()
        yield found


StartStats = Callable[[], Awaitable[Stats]]


@pytest.fixture
async def start_stats(
    servers: Servers, database: Database, feeds: dict[str, FeedServer]
) -> AsyncIterator[StartStats]:
    """Starts further processes of stats on the same database."""
    async with AsyncExitStack() as stack:

        async def start() -> Stats:
            targets = {f"{name}_target": f"127.0.0.1:{feed.port}" for name, feed in feeds.items()}
            settings = servers.settings(Settings, database, **targets)
            serving = await stack.enter_async_context(app(settings, clock=SteppedClock(NOON)))
            channel = await stack.enter_async_context(servers.channel(serving.port))
            return Stats(
                stats_service_pb2_grpc.StatsServiceStub(channel),
                installation_service_pb2_grpc.InstallationServiceStub(channel),
                operations_service_pb2_grpc.OperationsServiceStub(channel),
                feeds,
            )

        yield start


@pytest.fixture
async def stats(start_stats: StartStats) -> Stats:
    """One running service."""
    return await start_stats()
