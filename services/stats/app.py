"""Composition root of stats: a reader for each history, and the servicer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.client import Client, ServiceName
from libs.common.app import App, runtime
from libs.common.clock import Clock
from libs.common.rpc.operations import Progress
from omnijourney.stats.v1 import stats_service_pb2, stats_service_pb2_grpc
from services.stats.clients import SegmentZones, feeds
from services.stats.config import Settings
from services.stats.servicer import StatsServicer
from services.stats.store import CounterStore
from services.stats.worker import Reader, ReadersLag

_PACKAGE = "services.stats"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Stats, serving. Raises what `libs.common.app.runtime` raises."""
    async with (
        runtime(settings, package=_PACKAGE, clock=clock) as rt,
        Client(_targets(settings), rt.token) as client,
    ):
        store, progress = CounterStore(rt.pool), Progress()
        readers = [Reader(feed, store, progress) for feed in feeds(client)]
        rt.server.add(
            stats_service_pb2_grpc.add_StatsServiceServicer_to_server,
            StatsServicer(store, readers, SegmentZones(client)),  # type: ignore[abstract]  # the rest: UNIMPLEMENTED
            stats_service_pb2.DESCRIPTOR.services_by_name["StatsService"],
        )
        for reader in readers:
            rt.spawn(f"reader of {reader.feed.name}", reader.run(rt.stopping))
        async with rt.serving(ReadersLag(readers, progress)) as serving:
            yield serving


def _targets(settings: Settings) -> dict[ServiceName, str]:
    return {
        "journey": settings.journey_target,
        "points": settings.points_target,
        "channel_gateway": settings.channel_gateway_target,
        "segment": settings.segment_target,
    }
