"""Recorded outcomes: kept for 13 months of domain time, then dropped; the ledger stays whole without them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.db.pool import open_pool
from libs.common.db.queries import QueryBook
from libs.common.ids import new_id
from omnijourney.points.v1 import account_pb2, posting_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.domain.errors import OutcomeKeptError
from services.points.store.outcomes import OutcomeStore
from services.points.worker.retention import OutcomeRetention
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Points


async def summary(points: Points) -> account_pb2.LedgerSummary:
    request = pb.GetLedgerSummaryRequest(team_id=str(points.team_id))
    return (await points.stub.GetLedgerSummary(request, timeout=TIMEOUT_S)).summary


async def dropped(points: Points) -> int:
    pool = await open_pool(points.dsn, name="test")
    try:
        return await OutcomeRetention(
            OutcomeStore(pool, QueryBook.load("services.points")), points.clock
        ).step()
    finally:
        await pool.close()


async def outcomes(points: Points) -> int:
    return (await points.check())[1].outcomes


async def test_outcomes_are_dropped_after_thirteen_months_and_their_sums_stay(points: Points) -> None:
    team, customer = points.team_id, new_id()
    await points.set_formula("1", "1")
    lost = build.refund(team, customer, 30_000_000)
    first = build.manual(team, customer, 20)
    await points.post(first, build.manual(team, customer, -90), build.coupon(team, customer, 20), lost)
    before = await summary(points)
    assert (before.refund_shortfall, before.rejected, before.skipped) == (30, 1, 1)
    points.clock.advance(timedelta(days=390))
    assert await dropped(points) == 0
    # The database goes by the installation's clock, be the caller's what it may.
    points.clock.advance(timedelta(days=11))
    young = await points.post(build.manual(team, customer, 5))
    points.clock.advance(timedelta(days=10_000))
    with pytest.raises(OutcomeKeptError, match="kept for 13 months"):
        await dropped(points)
    await points.corrupt("UPDATE platform.clock SET domain_anchor = $1", points.clock.now())
    # The three that have entries are told by these, for ever.
    assert (await outcomes(points), await dropped(points), await outcomes(points)) == (5, 2, 3)
    (again,) = await points.post(first)
    assert (again.status, again.replayed) == (posting_pb2.POSTING_STATUS_POSTED, True)
    assert young[0].status == posting_pb2.POSTING_STATUS_POSTED
    after = await summary(points)
    assert (after.refund_shortfall, after.rejected, after.skipped) == (30, 1, 1)
    assert (after.entries, after.balance) == (3, 5)
