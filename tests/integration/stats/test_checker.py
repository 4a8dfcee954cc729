"""The checker finds every figure that is not what the records say, and nothing where all agree (T-06b)."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
import pytest

from libs.testing.fixtures import Database
from libs.testing.history_rows import TEAM, WHATSAPP
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import quota_pb2
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.internal.v1 import customers_service_pb2 as customers
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import account_pb2
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.stats.v1 import stats_service_pb2 as pb
from tests.integration.stats.conftest import TIMEOUT_S, Stats
from tests.integration.stats.test_rebuilds import PEOPLE, record_a_day, spoil_a_row

MANY = len(PEOPLE)
TABLES = ("counter", "total", "first_time", "shop_order")


class Told:
    """What the owners of the records say of the day: all as it was recorded."""

    def __init__(self) -> None:
        self.ledger = account_pb2.LedgerSummary(
            entries=MANY, earned=15 * MANY, balance=15 * MANY, cumulative=15 * MANY
        )
        cost = Money(currency_code="HKD", amount_micros=500_000 * MANY)
        self.sends = quota_pb2.ChannelFigures(
            channel=WHATSAPP,
            sends_sent=MANY,
            messages_sent=MANY,
            sends_skipped=1,
            sends_read=MANY,
            costs=[cost],
        )
        self.orders = customers.CountOrdersResponse(order_count=MANY, refund_count=MANY)
        self.runs = journey.CountEnrolmentsResponse(completed_count=2 * MANY, halted_count=1)

    def to(self, stats: Stats) -> None:
        """Has them say it."""
        feeds = stats.feeds
        sends = gateway.GetSendFiguresResponse(figures=[self.sends])
        feeds["points"].answers["GetLedgerSummary"] = points.GetLedgerSummaryResponse(summary=self.ledger)
        feeds["channel_gateway"].answers["GetSendFigures"] = sends
        feeds["segment"].answers["CountOrders"] = self.orders
        feeds["journey"].answers["CountEnrolments"] = self.runs


async def check(stats: Stats) -> tuple[set[str], int]:
    """The figures that do not agree, and how many were compared."""
    request = pb.CheckProjectionsRequest(team_id=str(TEAM))
    pieces = [each async for each in stats.stub.CheckProjections(request, timeout=TIMEOUT_S)]
    return {each.finding.figure for each in pieces if each.HasField("finding")}, pieces[-1].compared_count


@pytest.mark.rule("T-06b")
async def test_each_figure_that_is_not_what_the_records_say_is_found(stats: Stats) -> None:
    record_a_day(stats)
    await stats.settle()
    Told().to(stats)
    found, compared = await check(stats)
    assert found == set()
    assert compared > 30
    for name, field, figure in (
        ("ledger", "earned", "points: earned"),
        ("sends", "messages_sent", f"sends on channel {WHATSAPP}: messages_sent"),
        ("sends", "sends_delivered", f"sends on channel {WHATSAPP}: delivered"),
        ("sends", "sends_read", f"sends on channel {WHATSAPP}: read"),
        ("sends", "sends_replied", f"sends on channel {WHATSAPP}: replied"),
        ("sends", "sends_failed_later", f"sends on channel {WHATSAPP}: failed_later"),
        ("orders", "order_count", "orders: orders"),
        ("orders", "refund_count", "orders: refunds"),
    ):
        off = Told()
        setattr(getattr(off, name), field, getattr(getattr(off, name), field) + 1)
        off.to(stats)
        assert (await check(stats))[0] == {figure}
    off = Told()
    off.sends.refunds.add(currency_code="HKD", amount_micros=1)
    off.to(stats)
    assert (await check(stats))[0] == {f"sends on channel {WHATSAPP}: cost in HKD"}
    off = Told()
    off.runs.completed_count += 1
    off.to(stats)
    assert {figure.split(": ")[1] for figure in (await check(stats))[0]} == {"triggered", "completed"}


async def _spoilt(stats: Stats, admin: asyncpg.Connection[Any], statement: str) -> set[str]:
    """What is found after a statement; all is as before in the end."""
    for table in TABLES:
        await admin.execute(f"CREATE TABLE kept_{table} AS TABLE stats.{table}")
    await admin.execute(statement)
    found, _ = await check(stats)
    for table in TABLES:
        await admin.execute(f"DELETE FROM stats.{table}")
        await admin.execute(f"INSERT INTO stats.{table} TABLE kept_{table}")
        await admin.execute(f"DROP TABLE kept_{table}")
    return found


@pytest.mark.rule("T-06b")
async def test_each_figure_that_is_kept_twice_and_not_alike_is_found(
    stats: Stats, database: Database
) -> None:
    record_a_day(stats)
    await stats.settle()
    Told().to(stats)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        for statement, what in (
            ("DELETE FROM stats.counter WHERE metric = 32", "sums of quarters"),
            ("UPDATE stats.total SET value = value + 1 WHERE metric = 5", "node hello, 5"),
            ("UPDATE stats.total SET value = value + 1 WHERE metric > 1000", "node hello, 10"),
            ("UPDATE stats.total SET value = value + 1 WHERE metric = 10", "node hello, 10, channel 2"),
            (
                "UPDATE stats.total SET currency = 'BLOCKED' WHERE metric = 12",
                "node hello, 12, channel 2, UNBOUND",
            ),
            ("DELETE FROM stats.total WHERE metric = 6", "node hello, 6, JOURNEY_STOPPED"),
            ("UPDATE stats.total SET value = value + 1 WHERE metric = 7", "node hello, 7"),
            ("UPDATE stats.shop_order SET counted_micros = counted_micros + 1", "orders of journeys"),
            ("DELETE FROM stats.first_time WHERE kind = 2", "what counts once"),
            ("DELETE FROM stats.first_time WHERE kind = 1", "what counts once"),
        ):
            found = await _spoilt(stats, admin, statement)
            assert any(what in figure for figure in found), (statement, found)
    finally:
        await admin.close()
    assert (await check(stats))[0] == set()


async def test_a_row_that_cannot_be_read_any_more_is_a_finding(stats: Stats) -> None:
    record_a_day(stats)
    await stats.settle()
    Told().to(stats)
    spoil_a_row(stats)
    found, _ = await check(stats)
    assert found == {"rows of histories that were counted and cannot be read"}


async def test_a_service_that_cannot_be_asked_ends_the_check(stats: Stats) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused_call:
        await check(stats)
    assert refused_call.value.code() is grpc.StatusCode.UNAVAILABLE
