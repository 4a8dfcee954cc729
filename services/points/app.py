"""Composition root of points: builds the store, the posting writer and the servicer as one context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.app import App, runtime
from libs.common.clock import Clock
from libs.common.db.history import HistoryBell
from libs.common.db.queries import QueryBook
from libs.common.db.requests import keep_forgetting
from libs.common.rpc.operations import NothingPending, Progress
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from services.points.config import Settings
from services.points.coupons import CouponStore
from services.points.reports import ReportStore
from services.points.servicer import PointsServicer
from services.points.store import LedgerStore
from services.points.worker import PostingWriter

_PACKAGE = "services.points"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Points, serving. Drains in the end: the server first, then what still waits to be written.

    Raises what `libs.common.app.runtime` raises.
    """
    async with runtime(settings, package=_PACKAGE, clock=clock) as rt:
        queries = QueryBook.load(_PACKAGE)
        ledger = LedgerStore(rt.pool, queries, rt.clock)
        bell, progress = HistoryBell(), Progress()
        async with PostingWriter.running(ledger, bell, progress) as writer:
            servicer = PointsServicer(  # type: ignore[abstract]  # what is missing answers UNIMPLEMENTED
                pool=rt.pool,
                ledger=ledger,
                coupons=CouponStore(rt.pool, queries, rt.clock, ledger),
                reports=ReportStore(rt.pool, queries),
                writer=writer,
                clock=rt.clock,
                bell=bell,
                draining=rt.draining,
            )
            rt.server.add(
                points_service_pb2_grpc.add_PointsServiceServicer_to_server,
                servicer,
                points_service_pb2.DESCRIPTOR.services_by_name["PointsService"],
            )
            rt.spawn("forgetting answers", keep_forgetting(rt.pool, rt.stopping))
            # Postings settle within the call that makes them, so that nothing is ever pending here.
            async with rt.serving(NothingPending(progress)) as serving:
                yield serving
