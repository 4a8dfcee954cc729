"""Why: at the nodes of a journey, of its messages, by its holdout, and whose an order is."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.common.v1.scope_pb2 import SCOPE_WRITE
from omnijourney.segment.v1 import customer_pb2, event_pb2
from tests.integration.console.conftest import WAIT_S, Stand
from tests.integration.console.test_figures import walked
from tests.integration.journey.whole_site import ALL

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


@pytest.mark.rule("T-04", "T-05e")
async def test_the_nodes_of_a_journey_say_who_rests_there_and_what_there_is_not(stand: Stand) -> None:
    journey_id = await walked(stand, 3)
    browser = await stand.signed_in(language="zh-TW")
    # Who rests is the journey's to say, who dropped off is stats': each at its time.
    wanted = {"等待時間中：3", "0（0.0%）"}
    async with asyncio.timeout(WAIT_S):
        while True:
            page = await browser.get(f"/journeys/{journey_id}/figures/nodes")
            if all(each in page.text for each in wanted):
                break
            await asyncio.sleep(0.1)
    assert "沒有發送失敗或略過的訊息。" in page.text
    assert "此旅程沒有保留對照組的分流。" in page.text
    figures = await browser.get(f"/journeys/{journey_id}/figures")
    assert f'href="/journeys/{journey_id}/figures/nodes"' in figures.html
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(f"/journeys/{journey_id}/figures/nodes")).status == 404


@pytest.mark.rule("T-02c")
async def test_whose_an_order_is_and_why(stand: Stand) -> None:
    shop = webhook_pb2.Shop(shop_id="web", display_name="Web shop")
    await stand.call("CreateShop", shop=shop)
    made = await stand.call("BatchCreateCustomers", customers=[customer_pb2.Customer(name="Mei")])
    order = event_pb2.CustomerEvent(
        team_id=stand.site.team_id,
        event_key=str(new_id()),
        customer=customer_pb2.CustomerSelector(customer_id=made.results[0].customer_id),
        order_completed=event_pb2.OrderCompleted(
            shop_id="web",
            order_id="1001",
            amount=Money(currency_code="TWD", amount_micros=500_000_000),
            signed=True,
            items=[event_pb2.OrderItem(name="Oolong tea", quantity="2")],
        ),
    )
    order.occur_time.FromDatetime(await stand.site.now())
    await stand.call("RecordEvents", events=[order])
    browser = await stand.signed_in(language="zh-TW")
    empty = await browser.get("/overview/order")
    assert (empty.status, "Web shop" in empty.text) == (200, True)
    asked = "/overview/order?shop_id=web&order_id=1001"
    async with asyncio.timeout(WAIT_S):
        while (page := await browser.get(asked)).status != 200:
            assert "此商店沒有這個訂單編號的訂單列入計算。" in page.text
            await asyncio.sleep(0.1)
    assert "顧客下單前沒有點擊任何連結。" in page.text
    for odd in ("%00", "x" * 300):
        assert (await browser.get(f"/overview/order?shop_id=web&order_id={odd}")).status == 422
    customer = await browser.get(f"/customers/{made.results[0].customer_id}")
    assert "1001 Oolong tea" in customer.text, "what was bought stands with the order"
    assert "NT$500.00" in customer.text
    await stand.site.team(ALL)
    stranger = await stand.signed_in(SCOPE_WRITE)
    assert (await stranger.get(asked)).status == 422
