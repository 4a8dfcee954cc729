"""Composition root of points: builds the store, the posting writer and the servicer as one context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.app import App, runtime
from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clients.using_journeys import UsingJourneys
from libs.common.clock import Clock
from libs.common.db.queries import QueryBook
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.operations import Progress
from libs.embedded import attach
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from services.points.clients.modules import PointsModule
from services.points.clients.segment import SegmentClient, customer_history
from services.points.config import Settings
from services.points.servicer import internal
from services.points.servicer.base import Dependencies
from services.points.servicer.ledger import PointsServicer
from services.points.servicer.operations import ImportOperations
from services.points.store.checks import CheckStore
from services.points.store.coupons import CouponStore
from services.points.store.customers import CustomerStore
from services.points.store.imports import ImportStore
from services.points.store.ledger import LedgerStore
from services.points.store.merges import MergeStore
from services.points.store.outcomes import OutcomeStore
from services.points.store.persons import PersonStore
from services.points.store.reports import ReportStore
from services.points.usecases.adjustments import Adjustments
from services.points.usecases.checks import LedgerChecks
from services.points.usecases.coupons import Coupons
from services.points.usecases.customers import Customers
from services.points.usecases.imports import ImportChunks, Imports
from services.points.usecases.ledger import Ledger
from services.points.usecases.merges import Merges
from services.points.usecases.persons import Persons
from services.points.usecases.reports import HistoryReport
from services.points.usecases.rows_set_aside import RowsSetAside
from services.points.worker.customers import CustomerProjection, customer_follower
from services.points.worker.imports import importer_of
from services.points.worker.posting import PostingWriter
from services.points.worker.retention import OutcomeRetention

_PACKAGE = "services.points"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Points, serving. Drains in the end: the server first, then what still waits to be written.

    Raises what `libs.common.app.runtime` raises.
    """
    async with (
        runtime(settings, package=_PACKAGE, servers=attach, clock=clock) as rt,
        rt.channel(settings.segment_target) as to_segment,
        rt.channel(settings.journey_target) as to_journey,
    ):
        queries, notifier, progress = QueryBook.load(_PACKAGE), CommitNotifier(), Progress()
        segment, customers = SegmentClient(to_segment), CustomerStore(rt.pool, queries)
        ledger_store, reports = LedgerStore(rt.pool, queries), ReportStore(rt.pool, queries)
        merge_store = MergeStore(rt.pool, queries)
        coupon_store, import_store = CouponStore(rt.pool, queries), ImportStore(rt.pool, queries)
        settings_of = TeamSettingsClient(to_segment)
        modules = PointsModule(settings_of)
        ledger = Ledger(rt.pool, ledger_store, rt.clock, modules)
        importer = importer_of(ImportChunks(rt.pool, import_store, ledger, rt.clock), notifier, progress)
        retention = OutcomeRetention(OutcomeStore(rt.pool, queries), rt.clock)
        history = customer_history(to_segment)
        follower = customer_follower(history, CustomerProjection(segment, customers))
        writer = PostingWriter(ledger, notifier, progress)
        dependencies = Dependencies(
            clock=rt.clock,
            writer=writer,
            adjustments=Adjustments(writer),
            ledger=ledger,
            ledger_store=ledger_store,
            reports=reports,
            history_report=HistoryReport(reports, customers),
            checks=LedgerChecks(CheckStore(rt.pool, queries, rt.clock), rt.clock),
            coupons=Coupons(rt.pool, coupon_store, ledger, rt.clock, modules),
            coupon_store=coupon_store,
            merges=Merges(merge_store, writer),
            imports=Imports(rt.pool, import_store, ledger_store, segment, rt.clock, modules=modules),
            import_store=import_store,
            importer=importer,
            modules=modules,
            journeys=UsingJourneys(to_journey),
            settings=settings_of,
            customers=Customers(customers, segment, merge_store),
            rows_set_aside=RowsSetAside(rt.pool, history, segment, customers),
            persons=Persons(PersonStore(rt.pool, queries)),
            notifier=notifier,
            draining=rt.draining,
        )
        rt.server.add(
            points_service_pb2_grpc.add_PointsServiceServicer_to_server,
            PointsServicer(dependencies),
            points_service_pb2.DESCRIPTOR.services_by_name["PointsService"],
        )
        internal.serve(rt.server, dependencies)
        rt.spawn("customers", follower.run)
        rt.spawn("outcomes", retention.run)
        rt.spawn("imports", importer.run)
        # Postings settle within the call that makes them: imports alone are ever pending here.
        try:
            async with rt.serving(importer, ImportOperations(dependencies)) as serving:
                yield serving
        finally:
            await writer.drain()
