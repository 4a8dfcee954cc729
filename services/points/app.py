"""Composition root of points: builds the store, the posting writer and the servicer as one context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.app import App, runtime
from libs.common.clock import Clock
from libs.common.db.queries import QueryBook
from libs.common.db.requests import keep_forgetting
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.client import channel
from libs.common.rpc.operations import Progress
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from services.points.clients.segment import SegmentClient
from services.points.config import Settings
from services.points.servicer.base import Parts
from services.points.servicer.ledger import PointsServicer
from services.points.store.checks import CheckStore
from services.points.store.coupons import CouponStore
from services.points.store.customers import CustomerStore
from services.points.store.imports import ImportStore
from services.points.store.ledger import LedgerStore
from services.points.store.reports import ReportStore
from services.points.worker.customers import CustomerFollower
from services.points.worker.imports import Importer
from services.points.worker.posting import PostingWriter
from services.points.worker.retention import OutcomeKeeper

_PACKAGE = "services.points"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Points, serving. Drains in the end: the server first, then what still waits to be written.

    Raises what `libs.common.app.runtime` raises.
    """
    async with (
        runtime(settings, package=_PACKAGE, clock=clock) as rt,
        channel(settings.segment_target, rt.token) as to_segment,
    ):
        queries = QueryBook.load(_PACKAGE)
        ledger = LedgerStore(rt.pool, queries, rt.clock)
        customers, segment = CustomerStore(rt.pool, queries), SegmentClient(to_segment)
        notifier, progress = CommitNotifier(), Progress()
        imports = ImportStore(rt.pool, queries, rt.clock, ledger)
        importer = Importer(imports, notifier, progress)
        async with PostingWriter.running(ledger, notifier, progress) as writer:
            parts = Parts(
                pool=rt.pool,
                clock=rt.clock,
                ledger=ledger,
                writer=writer,
                reports=ReportStore(rt.pool, queries),
                checks=CheckStore(rt.pool, queries, rt.clock),
                customers=customers,
                coupons=CouponStore(rt.pool, queries, rt.clock, ledger),
                imports=imports,
                importer=importer,
                finder=segment,
                settings=segment,
                notifier=notifier,
                draining=rt.draining,
            )
            rt.server.add(
                points_service_pb2_grpc.add_PointsServiceServicer_to_server,
                PointsServicer(parts),
                points_service_pb2.DESCRIPTOR.services_by_name["PointsService"],
            )
            rt.spawn("forgetting answers", keep_forgetting(rt.pool, rt.stopping))
            rt.spawn("customers", CustomerFollower(segment, customers).run(rt.stopping))
            rt.spawn("outcomes", OutcomeKeeper(rt.pool, queries, rt.clock).run(rt.stopping))
            rt.spawn("imports", importer.run(rt.stopping))
            # Postings settle within the call that makes them: imports alone are ever pending here.
            async with rt.serving(importer) as serving:
                yield serving
