"""The customers of a journey without a screen: who is where, the way of one, and why one did not enter."""

from __future__ import annotations

import asyncio
import re

import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.journey.v1 import trigger_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2
from tests.integration.console.browser import Browser, Page
from tests.integration.console.conftest import WAIT_S, Stand
from tests.integration.console.test_figures import walked
from tests.integration.journey.whole_site import ALL, LINE, definition_of, say, target

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def seen(browser: Browser, path: str, words: str) -> Page:
    """The page once it says this."""
    async with asyncio.timeout(WAIT_S):
        while words not in (page := await browser.get(path)).text:
            await asyncio.sleep(0.1)
    return page


async def test_who_rests_at_a_node_is_listed_and_the_way_of_each_is_lit(stand: Stand) -> None:
    journey_id = await walked(stand, 2)
    browser = await stand.signed_in()
    listed = await seen(browser, f"/journeys/{journey_id}/customers?node=n0", "Customer 1")
    assert "Who is here now: 1 minute" in listed.text
    assert "waiting for a delay" in listed.text
    tree = await seen(browser, f"/journeys/{journey_id}/figures/tree", "2 entered")
    assert f'href="/journeys/{journey_id}/customers?node=n0"' in tree.html
    assert "Nobody is here now" in (await browser.get(f"/journeys/{journey_id}/customers?node=n1")).text
    before = f"/journeys/{journey_id}/customers?node={{}}&when=before"
    was = await browser.get(before.format("n0"))
    assert ("Who was here: 1 minute" in was.text, was.text.count("waiting for a delay")) == (True, 2)
    assert "Nobody was here" in (await browser.get(before.format("n1"))).text
    assert (await browser.get(f"/journeys/{journey_id}/customers?node=nowhere")).status == 404
    found = await browser.get(f"/journeys/{journey_id}/customers?keyword=Customer+0")
    (way,) = set(re.findall(rf'href="(/journeys/{journey_id}/customers/[0-9a-f-]+)"', found.html))
    page = await browser.get(way)
    assert 'class="node delay lit"' in page.html
    assert 'class="node message unlit"' in page.html
    assert "The delay began ·" in page.text, "at its node, with its time"
    assert "Show their way" in page.text, "the event that let them in"
    customer_id = way.rpartition("/")[2]
    of_customer = await browser.get(f"/customers/{customer_id}")
    assert f'href="{way}?enrolment=' in of_customer.html
    chosen = await browser.get(f"/customers/{customer_id}/journey?journey={journey_id}")
    assert chosen.path == way
    other = next(
        each for each in re.findall(r"customers/([0-9a-f-]{36})\?enr", listed.html) if each != customer_id
    )
    (enrolment,) = re.findall(rf"customers/{other}\?enrolment=([0-9a-f-]+)", listed.html)
    assert (await browser.get(f"{way}?enrolment={enrolment}")).status == 404, "another customer's"
    await stand.site.advance(minutes=2)
    there = await seen(browser, before.format("n1"), "Customer 1")
    assert "Customer 0" in (await seen(browser, before.format("n0"), "Customer 0")).text, "who went on, too"
    assert "Nobody is here now" in (await browser.get(f"/journeys/{journey_id}/customers?node=n0")).text
    assert "aria-current" in there.html
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    for path in (f"/journeys/{journey_id}/customers", way, f"{way}?enrolment=x"):
        assert (await stranger.get(path)).status == 404, path


async def test_why_somebody_did_not_enter_is_told_by_the_field_that_kept_them_out(stand: Stand) -> None:
    account, module = await stand.site.account(LINE), await stand.site.module()
    trigger = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
    trigger.checkout_completed.amount.at_least.CopyFrom(
        money_pb2.Money(currency_code="TWD", amount_micros=10**9)
    )
    given = definition_of(
        say(LINE, module), name="Big orders", trigger=trigger, targets=[target(LINE, account)]
    )
    journey_id = str((await stand.call("CreateJourney", definition=given)).journey.journey_id)
    await stand.call("PublishJourney", journey_id=journey_id)
    customer = customer_pb2.Customer(name="Mei")
    customer_id = (await stand.call("CreateCustomer", customer=customer)).customer.customer_id
    browser = await stand.signed_in(language="zh-TW")
    way = f"/journeys/{journey_id}/customers/{customer_id}"
    assert "此顧客沒有可能觸發旅程的行為" in (await browser.get(way)).text
    order = event_pb2.OrderCompleted(shop_id="shop", order_id=str(new_id()), signed=True)
    order.amount.CopyFrom(money_pb2.Money(currency_code="TWD", amount_micros=5 * 10**8))
    event = event_pb2.CustomerEvent(
        team_id=stand.site.team_id,
        event_key=order.order_id,
        customer=customer_pb2.CustomerSelector(customer_id=customer_id),
        occur_time=timestamp(await stand.site.now()),
        order_completed=order,
    )
    await stand.call("RecordEvents", events=[event])
    page = await seen(browser, way, "不符合觸發條件")
    assert "訂單金額至少: 500.00 TWD 訂單金額較低。" in page.text
    assert "unlit" not in page.html, "there is no way to be shown"
