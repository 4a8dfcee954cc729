"""Orders and refunds as they are stored: read again, and decided on by two writers at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.mailbox import mail as letters
from libs.testing.fixtures import Database
from omnijourney.common.v1 import money_pb2
from omnijourney.segment.v1 import event_pb2, order_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.clients.consents import Recorded
from services.segment.domain.consents import Consent, Consenting, NewConsent
from services.segment.store.base import BOOK
from services.segment.usecases.consents import Consents
from services.segment.usecases.edits import Once
from tests.integration.segment.conftest import START, Segment
from tests.integration.segment.test_one_statement import owner

__all__ = ["owner"]

MEI = {"member_id": "mei"}
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _left(segment: Segment, key: str, order_id: str, left: int, **fields: Any) -> event_pb2.CustomerEvent:
    money = money_pb2.Money(currency_code="TWD", amount_micros=left * 1_000_000)
    update = event_pb2.OrderUpdated(shop_id="shop", order_id=order_id, left_amount=money, signed=True)
    return segment.event(key, order_updated=update, **fields)


async def _order(segment: Segment, order_id: str) -> order_pb2.Order:
    found = await segment.call("GetOrder", team_id=str(segment.team_id), shop_id="shop", order_id=order_id)
    order: order_pb2.Order = found.order
    return order


async def _taken(segment: Segment, customer_id: str) -> list[int]:
    mail = [letter.body for letter in await segment.mail(customer_id)]
    return [body.amount_micros // 1_000_000 for body in mail if isinstance(body, letters.Refund)]


@pytest.mark.rule("C-21e")
async def test_an_order_is_read_with_its_lines_and_refunds(segment: Segment) -> None:
    at = START - timedelta(days=1)
    order = segment.order("e1", "o1", 360, who=MEI, items=["Tea", "Cup"], at=at)
    order.order_completed.items[1].quantity = "0.5"
    await segment.record(order, segment.refund("e2", "r1", 100, refund={"order_id": "o1"}))
    later = START + timedelta(minutes=1)
    await segment.record(_left(segment, "e3", "o1", 200, at=later), _left(segment, "e4", "o1", 200))
    found = await _order(segment, "o1")
    assert (found.counted, found.amount.amount_micros, found.remaining_amount.amount_micros) == (
        True,
        360_000_000,
        200_000_000,
    )
    assert [(item.name, item.quantity) for item in found.items] == [("Tea", "1"), ("Cup", "0.5")]
    assert [(each.refund_id, each.amount.amount_micros // 1_000_000) for each in found.refunds] == [
        ("r1", 100),
        ("o1:left:200.00", 60),
    ]
    assert found.occur_time.ToDatetime() == at.replace(tzinfo=None)
    assert await _taken(segment, found.customer_id) == [100, 60]


@pytest.mark.rule("C-21e")
async def test_orders_are_listed_newest_first_by_customer_shop_and_time(segment: Segment) -> None:
    events = [
        segment.order(f"e{day}", f"o{day}", who=MEI if day % 2 else None, at=START + timedelta(days=day - 9))
        for day in range(1, 6)
    ]
    mei = (await segment.record(*events))[0].customer_id
    await segment.record(segment.refund("e9", "r9", 5, refund={"order_id": "never reported"}))

    async def listed(**asked: Any) -> list[str]:
        orders: list[str] = []
        while True:
            page = await segment.call("ListOrders", team_id=str(segment.team_id), page_size=2, **asked)
            orders += [order.order_id for order in page.orders]
            assert not any(order.items or order.refunds for order in page.orders)
            if not page.next_page_token:
                return orders
            asked["page_token"] = page.next_page_token

    assert await listed() == ["o5", "o4", "o3", "o2", "o1"]
    assert await listed(customer_id=mei) == ["o5", "o3", "o1"]
    assert await listed(shop_id="another") == []
    span = {"start_time": START - timedelta(days=7), "end_time": START - timedelta(days=5)}
    assert await listed(**span) == ["o3", "o2"]


async def test_an_order_that_only_a_refund_named_is_not_there(segment: Segment) -> None:
    await segment.record(segment.refund("e1", "r1", 5, refund={"order_id": "o1"}))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _order(segment, "o1")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.rule("C-21d")
@pytest.mark.parametrize("order_id", ["o", "o" * 40, "訂" * 100])
async def test_a_refund_before_its_order_counts_when_the_order_does(segment: Segment, order_id: str) -> None:
    refund = {"order_id": order_id}
    await segment.record(segment.refund("e1", "r1", 60, refund=refund))
    await segment.record(segment.order("e2", order_id, 100, who={"phone": "+886912345678"}))
    (result,) = await segment.record(segment.refund("e3", "r1", 60, refund=refund))
    assert result.status == event_pb2.EVENT_STATUS_DUPLICATE
    assert await _taken(segment, result.customer_id) == [60]


async def test_what_is_left_of_an_order_is_nothing_when_more_was_given_back(segment: Segment) -> None:
    await segment.record(
        segment.order("e1", "o1", 100, who=MEI),
        segment.refund("e2", "r1", 130, refund={"order_id": "o1"}),
        segment.order("e3", "o2", -20, who=MEI),
        segment.order("e4", "o3", 100, who=MEI),
        segment.refund("e5", "r3", 100, refund={"order_id": "o3"}),
    )
    left = [
        (await _order(segment, order_id)).remaining_amount.amount_micros for order_id in ("o1", "o2", "o3")
    ]
    assert left == [0, -20_000_000, 0]


@pytest.mark.rule("C-21d")
async def test_refunds_and_their_order_may_come_at_the_same_time(segment: Segment) -> None:
    """Whoever is first, the others see it."""
    customer_id = await segment.create(member_id="mei")
    for round_ in range(5):
        order_id = f"o{round_}"
        await asyncio.gather(
            segment.record(segment.order(f"o{round_}", order_id, 100, who={"customer_id": customer_id})),
            segment.record(segment.refund(f"r{round_}", f"r{round_}", 30, refund={"order_id": order_id})),
            segment.record(_left(segment, f"l{round_}", order_id, 70)),
        )
        assert (await _order(segment, order_id)).remaining_amount.amount_micros == 70_000_000
    assert sum(await _taken(segment, customer_id)) == 150


@pytest.mark.rule("C-21d")
async def test_what_another_process_took_of_an_order_meanwhile_is_not_taken_again(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    (ordered,) = await segment.record(segment.order("e1", "o1", 100, who=MEI))
    await segment.record(_left(segment, "e2", "o1", 40))
    taken = await owner.fetchrow("DELETE FROM refund RETURNING *")
    assert taken is not None
    async with owner.transaction():
        await owner.execute("SELECT FROM shop_order FOR NO KEY UPDATE")
        await owner.execute("SELECT FROM customer FOR NO KEY UPDATE")
        refund = segment.refund("e3", "r1", 60, refund={"order_id": "o1"})
        waiting = asyncio.create_task(segment.record(refund))
        while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await owner.execute("INSERT INTO refund SELECT ($1::refund).*", taken)
        await owner.execute("UPDATE shop_order SET occur_time = occur_time")
    await waiting
    assert (await _order(segment, "o1")).remaining_amount.amount_micros == 40_000_000
    assert await _taken(segment, ordered.customer_id) == [60, 0]


async def test_orders_of_one_customer_are_found_beside_many_of_the_team(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    await owner.execute(
        """
        INSERT INTO shop_order (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body)
        SELECT $1, 'shop', n::text, gen_random_uuid(), gen_random_uuid(), 0, now(), ''
          FROM generate_series(1, 5000) AS n
        """,
        segment.team_id,
    )
    await owner.execute("ANALYZE shop_order")
    newest = {"before_time": LATEST, "before_key": new_id(), "row_max": 50}
    span = {"start_time": EARLIEST, "end_time": LATEST, **newest}
    for customer_id, index in ((new_id(), "shop_order_of_customer"), (None, "shop_order_newest")):
        sql, *arguments = BOOK.bind(
            "list_orders", team_id=segment.team_id, customer_id=customer_id, shop_id="", **span
        )
        async with owner.transaction():
            await owner.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            plan = await owner.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
        assert index in plan


async def test_no_connection_waits_for_the_gateway_while_a_consent_is_set(
    segment: Segment, database: Database
) -> None:
    mei = (await segment.record(segment.order("e1", "o1", 5, who=MEI)))[0].customer_id
    async with await open_pool(database.dsn_of("segment"), name="test", size_max=1) as pool:

        class Gateway:
            """Takes consents while it uses the only connection itself."""

            async def record(self, customer: Consenting, said: NewConsent) -> Recorded:
                await pool.fetchval("SELECT 1")
                consent = Consent(said.channel, said.state, said.source, START)
                return Recorded(consent, None)

        request = pb.SetConsentRequest(team_id=str(segment.team_id), customer_id=mei, request_id="r1")
        once: Once[Consent, pb.SetConsentResponse] = Once(
            segment.team_id, request, pb.SetConsentResponse, lambda _: pb.SetConsentResponse()
        )
        async with asyncio.timeout(60):
            key = (segment.team_id, UUID(mei))
            await Consents(pool, cast("Any", Gateway())).set(once, key, 0, 1, "")
