"""What the servicers of all nouns share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clients.using_journeys import UsingJourneys
from libs.common.clock import Clock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.servicing import Edge
from libs.common.stepping import StepWorker
from omnijourney.points.v1 import points_service_pb2_grpc as pb_grpc
from services.points.clients.modules import PointsModule
from services.points.domain.model import Posting, PostingAnswer
from services.points.store.coupons import CouponStore
from services.points.store.imports import ImportStore
from services.points.store.ledger import LedgerStore
from services.points.store.reports import ReportStore
from services.points.usecases.adjustments import Adjustments
from services.points.usecases.checks import LedgerChecks
from services.points.usecases.coupons import Coupons
from services.points.usecases.customers import Customers
from services.points.usecases.imports import Imports
from services.points.usecases.ledger import Ledger
from services.points.usecases.merges import Merges
from services.points.usecases.persons import Persons
from services.points.usecases.reports import HistoryReport
from services.points.usecases.rows_set_aside import RowsSetAside


class Writer(Protocol):
    """Who posts."""

    async def post(self, postings: Sequence[Posting]) -> list[PostingAnswer]:
        """Posts; answers in the order of the postings."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the servicer calls: use cases for what is written or takes several reads, stores for single reads."""

    clock: Clock
    writer: Writer
    adjustments: Adjustments
    ledger: Ledger
    ledger_store: LedgerStore
    reports: ReportStore
    history_report: HistoryReport
    checks: LedgerChecks
    coupons: Coupons
    coupon_store: CouponStore
    merges: Merges
    imports: Imports
    import_store: ImportStore
    importer: StepWorker
    customers: Customers
    rows_set_aside: RowsSetAside
    persons: Persons
    modules: PointsModule
    """Asked by every RPC that sets, earns, spends or shows points (P-09)."""
    journeys: UsingJourneys
    """Asked who uses a coupon that is about to be archived."""
    settings: TeamSettingsClient
    """Asked only where days are named, and where a coupon is claimed on a channel."""
    notifier: CommitNotifier
    """Notified when entries were written."""
    draining: asyncio.Event
    """Ends waiting reads."""


class Base(Edge[Dependencies], pb_grpc.PointsServiceServicer):
    """The base of each noun's part of the servicer."""
