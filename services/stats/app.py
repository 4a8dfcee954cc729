"""Composition root of stats: a reader for each history, and the servicer."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from libs.common.app import App, runtime
from libs.common.clients.retention import RetentionClient
from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clock import Clock
from libs.common.rpc.followers import serve_followers
from libs.common.rpc.operations import Progress
from libs.common.rpc.persons import serve_persons
from libs.embedded import attach
from omnijourney.stats.v1 import stats_service_pb2, stats_service_pb2_grpc
from services.stats.clients.histories import Peers, histories
from services.stats.clients.opens import GatewayOpens
from services.stats.clients.records import GrpcRecords
from services.stats.clients.waits import Waits
from services.stats.config import Settings
from services.stats.servicer import Dependencies, RebuildOperations, StatsServicer
from services.stats.store.counters import CounterStore
from services.stats.store.days import DayStore
from services.stats.store.opens import OpensStore
from services.stats.store.orders import OrderStore
from services.stats.store.persons import PersonStore
from services.stats.store.projections import ProjectionStore
from services.stats.store.rebuilds import RebuildStore
from services.stats.store.series import SeriesStore
from services.stats.usecases.figures import Hours, Lifts, Ranges, Series, Worth, attribution_windows
from services.stats.usecases.persons import Persons
from services.stats.usecases.projections import Projections
from services.stats.usecases.rebuilds import Rebuilds
from services.stats.usecases.recounts import Recounts
from services.stats.worker.days import Days
from services.stats.worker.log_archive import measure_log_archive
from services.stats.worker.old_clicks import OldClicks
from services.stats.worker.opens import OpensAsker
from services.stats.worker.readers import Reader, ReadersLag
from services.stats.worker.rebuilds import Rebuilder

_PACKAGE = "services.stats"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Stats, serving. Raises what `libs.common.app.runtime` raises."""
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(runtime(settings, package=_PACKAGE, servers=attach, clock=clock))
        targets = (
            settings.journey_target,
            settings.points_target,
            settings.channel_gateway_target,
            settings.segment_target,
        )
        peers = Peers(*[await stack.enter_async_context(rt.channel(target)) for target in targets])
        counters, projections, progress = CounterStore(rt.pool), ProjectionStore(rt.pool), Progress()
        settings_of = TeamSettingsClient(peers.segment)
        windows = functools.partial(attribution_windows, settings_of)
        readers = [Reader(history, projections, progress, windows) for history in histories(peers)]
        store = RebuildStore(rt.pool)
        rebuilder = Rebuilder(store, histories(peers), windows, rt.clock)
        recounts = Recounts(histories(peers), projections, store)
        opens, days, series = OpensStore(rt.pool), DayStore(rt.pool), SeriesStore(rt.pool)
        hours = Hours(days, settings_of)
        asker = OpensAsker(opens, GatewayOpens(peers.channel_gateway), rt.clock, settings.opens_poll_seconds)
        dependencies = Dependencies(
            counters=counters,
            series=Series(series, settings_of, hours),
            ranges=Ranges(counters, series, hours),
            lifts=Lifts(counters, settings_of),
            worth=Worth(settings_of),
            waits=Waits(peers.journey),
            orders=OrderStore(rt.pool),
            projections=Projections(
                rt.pool,
                readers,
                projections,
                counters=counters,
                records=GrpcRecords(peers),
                recounts=recounts,
            ),
            rebuilds=Rebuilds(store, rt.clock, rebuilder.wake),
            opens=opens,
        )
        rt.server.add(
            stats_service_pb2_grpc.add_StatsServiceServicer_to_server,
            StatsServicer(dependencies),
            stats_service_pb2.DESCRIPTOR.services_by_name["StatsService"],
        )
        persons = PersonStore(rt.pool)
        serve_persons(rt.server, Persons(persons))
        serve_followers(rt.server, projections.taken)
        rt.spawn("old clicks", OldClicks(persons, rt.clock, settings.click_retention_days).run)
        kept_days = settings.hourly_figures_retention_days
        hours_kept = None if kept_days is None else timedelta(days=kept_days)
        own = RetentionClient(peers.segment).own("hourly_figures")
        rt.spawn("days of figures", Days(days, settings_of, rt.clock, hours_kept, own).run)
        for reader in readers:
            rt.spawn(f"reader of {reader.name} {reader.source.value}", reader.run)
        rt.spawn("rebuilds", rebuilder.run)
        rt.spawn("opens of messages", asker.run)
        rt.measures.append(functools.partial(measure_log_archive, rt.pool))
        serving = rt.serving(ReadersLag(readers, progress), RebuildOperations(dependencies.rebuilds))
        yield await stack.enter_async_context(serving)
