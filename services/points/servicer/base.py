"""What the parts of the servicer share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.feeds.notifier import CommitNotifier
from omnijourney.points.v1 import points_service_pb2_grpc as pb_grpc
from services.points.clients.segment import CustomerFinder, TeamSettings
from services.points.domain.model import Answer, Posting
from services.points.store.checks import CheckStore
from services.points.store.coupons import CouponStore
from services.points.store.customers import CustomerStore
from services.points.store.imports import ImportStore
from services.points.store.ledger import LedgerStore
from services.points.store.reports import ReportStore
from services.points.worker.imports import Importer


class Writer(Protocol):
    """Who posts."""

    async def post(self, postings: Sequence[Posting]) -> list[Answer]:
        """Posts; answers in the order of the postings."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicer calls."""

    pool: Pool
    clock: Clock
    ledger: LedgerStore
    writer: Writer
    reports: ReportStore
    checks: CheckStore
    customers: CustomerStore
    coupons: CouponStore
    imports: ImportStore
    importer: Importer
    finder: CustomerFinder
    settings: TeamSettings
    """Asked only where days are named, and where a coupon is claimed on a channel."""
    notifier: CommitNotifier
    """Rung when entries were written."""
    draining: asyncio.Event
    """Ends waiting reads."""


class Base(pb_grpc.PointsServiceServicer):
    """Holds the parts."""

    def __init__(self, parts: Parts) -> None:
        """`parts` outlive the servicer."""
        self._parts = parts
