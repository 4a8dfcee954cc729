"""Whose order an order is: the last click within the window, in whatever order clicks and orders are read (T-02)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, permutations
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import open_pool
from libs.common.ids import derived_id
from libs.testing.fixtures import Database
from libs.testing.history_rows import JOURNEY, NOON, TEAM, WHATSAPP, opened, order, refund, stored
from libs.testing.mails import customers
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.segment.v1 import history_pb2, team_pb2
from omnijourney.stats.v1 import attribution_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.store.persons import PersonStore
from services.stats.worker.old_clicks import OldClicks
from tests.integration.stats.conftest import TIMEOUT_S, Stats

PEOPLE = list(islice(customers(), 50))
OTHER = UUID("01890000-0000-7000-8000-0000000000bb")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def key(order_id: str) -> bytes:
    """As segment derives keys of orders."""
    return derived_id(TEAM, "order", "shop", order_id).bytes


def bought(who: UUID, order_id: str, at: datetime, micros: int = 90_000_000) -> Any:
    """An order."""
    return order(who, at, order=key(order_id), micros=micros, currency="TWD")


def returned(who: UUID, order_id: str, at: datetime, micros: int) -> Any:
    """A refund."""
    return refund(who, at, order=key(order_id), micros=micros, currency="TWD")


async def figures(stats: Stats, journey: UUID = JOURNEY, **asked: Any) -> tuple[int, int]:
    """Orders and revenue of a journey."""
    request = pb.GetJourneyOverviewRequest(team_id=str(TEAM), journey_id=str(journey), **asked)
    overview = (await stats.stub.GetJourneyOverview(request, timeout=TIMEOUT_S)).overview
    return overview.order_count.value, sum(money.amount_micros for money in overview.revenue.amounts)


async def explained(stats: Stats, order_id: str) -> attribution_pb2.OrderExplanation:
    """Why an order is whose."""
    request = pb.ExplainOrderRequest(team_id=str(TEAM), shop_id="shop", order_id=order_id)
    answer: pb.ExplainOrderResponse = await stats.stub.ExplainOrder(request, timeout=TIMEOUT_S)
    return answer.explanation


@pytest.mark.rule("T-02a", "T-02b")
async def test_the_last_click_within_the_window_wins_whichever_history_is_read_first(stats: Stats) -> None:
    gateway, segment = stats.feeds["channel_gateway"], stats.feeds["segment"]
    orders = list(permutations(range(4)))
    for who, places in zip(PEOPLE, orders, strict=False):
        steps = [
            (gateway, opened(who, NOON, journey_id=JOURNEY)),
            (gateway, opened(who, NOON + HOUR, journey_id=OTHER)),
            (segment, bought(who, str(who), NOON + 2 * HOUR)),
            (segment, returned(who, str(who), NOON + 3 * HOUR, 30_000_000)),
        ]
        for place in places:
            feed, row = steps[place]
            feed.record(row)
    await stats.settle()
    count = len(orders)
    assert await figures(stats, OTHER) == (count, count * 60_000_000)
    assert await figures(stats, JOURNEY) == (0, 0)
    request = pb.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=str(OTHER))
    (node,) = (await stats.stub.ListMessageFigures(request, timeout=TIMEOUT_S)).figures
    assert (node.node_id, node.channel, node.orders.value) == ("hello", WHATSAPP, count)
    assert [money.amount_micros for money in node.revenue.amounts] == [count * 60_000_000]


async def test_a_click_that_is_read_after_the_order_takes_it_over(stats: Stats) -> None:
    who = PEOPLE[0]
    gateway, segment = stats.feeds["channel_gateway"], stats.feeds["segment"]
    gateway.record(opened(who, NOON))
    segment.record(bought(who, "1", NOON + 2 * HOUR))
    await stats.settle()
    assert await figures(stats) == (1, 90_000_000)
    gateway.record(opened(who, NOON + HOUR, journey_id=OTHER), opened(who, NOON + 3 * HOUR))
    await stats.settle()
    assert (await figures(stats), await figures(stats, OTHER)) == ((0, 0), (1, 90_000_000))
    segment.record(bought(who, "1", NOON + 2 * HOUR), returned(who, "1", NOON + DAY, 200_000_000))
    await stats.settle()
    assert await figures(stats, OTHER) == (1, 0)


@pytest.mark.rule("T-02a", "T-02c")
async def test_the_window_is_the_teams_and_an_order_is_explained(stats: Stats) -> None:
    settings = team_pb2.TeamSettings(team_id=str(TEAM), time_zone="Asia/Taipei", currency_code="TWD")
    settings.attribution_window.FromTimedelta(DAY)
    answer = customers_service_pb2.BatchGetTeamSettingsResponse(settings=[settings])
    stats.feeds["segment"].answers["BatchGetTeamSettings"] = answer
    stats.feeds["channel_gateway"].record(opened(PEOPLE[0]), opened(PEOPLE[1]))
    anonymous = stored(7)
    anonymous.order, anonymous.micros, anonymous.currency = key("anonymous"), 5, "TWD"
    unsigned = stored(7, history_pb2.UNCOUNTED_REASON_UNSIGNED)
    unsigned.order, unsigned.micros, unsigned.currency = key("unsigned"), 5, "TWD"
    stats.feeds["segment"].record(
        bought(PEOPLE[0], "in time", NOON + DAY),
        bought(PEOPLE[1], "too late", NOON + DAY + timedelta(seconds=1)),
        bought(PEOPLE[1], "before", NOON - HOUR),
        bought(PEOPLE[2], "no click", NOON + HOUR),
        anonymous,
        unsigned,
    )
    await stats.settle()
    assert await figures(stats) == (1, 90_000_000)
    mine = await explained(stats, "in time")
    assert (mine.reason, mine.journey_id, mine.node_id) == (
        attribution_pb2.ATTRIBUTION_REASON_LAST_CLICK,
        str(JOURNEY),
        "hello",
    )
    assert mine.click_time.ToDatetime(NOON.tzinfo) == NOON
    assert [money.amount_micros for money in mine.revenue.amounts] == [90_000_000]
    late = await explained(stats, "too late")
    assert late.reason == attribution_pb2.ATTRIBUTION_REASON_CLICK_TOO_OLD
    assert (late.journey_id, late.click_time.ToDatetime(NOON.tzinfo)) == ("", NOON)
    reasons = {
        "before": attribution_pb2.ATTRIBUTION_REASON_NO_CLICK,
        "no click": attribution_pb2.ATTRIBUTION_REASON_NO_CLICK,
        "anonymous": attribution_pb2.ATTRIBUTION_REASON_ANONYMOUS,
        "unsigned": attribution_pb2.ATTRIBUTION_REASON_NOT_COUNTED,
    }
    for order_id, reason in reasons.items():
        assert (await explained(stats, order_id)).reason == reason
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await explained(stats, "none")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.rule("T-02a", "T-02c")
async def test_the_window_is_seven_days_where_the_team_says_nothing(stats: Stats) -> None:
    stats.feeds["channel_gateway"].record(*(opened(who) for who in PEOPLE[:3]))
    stats.feeds["segment"].record(
        bought(PEOPLE[0], "in time", NOON + 7 * DAY),
        bought(PEOPLE[1], "too late", NOON + 7 * DAY + timedelta(microseconds=1)),
        bought(PEOPLE[2], "at once", NOON),
    )
    await stats.settle()
    assert await figures(stats) == (2, 180_000_000)
    reasons = {each: (await explained(stats, each)).reason for each in ("in time", "too late", "at once")}
    assert reasons == {
        "in time": attribution_pb2.ATTRIBUTION_REASON_LAST_CLICK,
        "too late": attribution_pb2.ATTRIBUTION_REASON_CLICK_TOO_OLD,
        "at once": attribution_pb2.ATTRIBUTION_REASON_LAST_CLICK,
    }


async def test_clicks_are_counted_once_a_send_and_a_quiet_node_has_zero(stats: Stats) -> None:
    feed = stats.feeds["channel_gateway"]
    feed.record(opened(PEOPLE[0]), opened(PEOPLE[0], NOON + HOUR), opened(PEOPLE[1], effect_key=UUID(int=8)))
    await stats.settle()
    request = pb.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=str(JOURNEY))
    (node,) = (await stats.stub.ListMessageFigures(request, timeout=TIMEOUT_S)).figures
    assert node.clicked.value == 2
    assert (node.orders.value, node.orders.HasField("value")) == (0, True)


async def test_old_clicks_go_but_those_that_an_order_is_counted_by(stats: Stats, database: Database) -> None:
    gateway, segment = stats.feeds["channel_gateway"], stats.feeds["segment"]
    buyer, reader = PEOPLE[:2]
    gateway.record(opened(buyer, NOON), opened(reader, NOON), opened(reader, NOON + 100 * DAY))
    gateway.record(opened(buyer, NOON - HOUR, journey_id=OTHER))
    segment.record(bought(buyer, "1", NOON + HOUR))
    await stats.settle()
    async with await open_pool(database.dsn_of("stats"), name="test") as pool:
        store = PersonStore(pool)
        clock = SteppedClock(NOON + 91 * DAY)
        assert await OldClicks(store, clock, 1).step(1) == 1, "a few at a time"
        assert await OldClicks(store, clock, 1).step(100) == 1
        assert await OldClicks(store, clock, 1).step(100) == 0
        kept = [len(await store.clicks((TEAM, who))) for who in (buyer, reader)]
    assert kept == [1, 1], "the one of the order, and the one that is young"
    segment.record(returned(buyer, "1", NOON + 95 * DAY, 30_000_000))
    await stats.settle()
    assert await figures(stats) == (1, 60_000_000), "a late refund finds the order's click"
