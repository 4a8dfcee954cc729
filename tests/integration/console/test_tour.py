"""The first steps of an empty team, and a tour of one that has data."""

from __future__ import annotations

import asyncio
import re

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_READ
from omnijourney.points.v1 import coupon_pb2
from tests.integration.console.browser import Page
from tests.integration.console.conftest import WAIT_S, Stand
from tests.integration.console.test_figures import walked
from tests.integration.journey.whole_site import LINE

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
_STEP = re.compile(r'<a href="(/[^"]*)">[^<]*</a>\s*<span class="badge (\w+)">')


def steps(page: Page) -> list[bool]:
    """Which of the first steps are done."""
    return [badge == "good" for _, badge in _STEP.findall(page.html)]


async def test_an_empty_team_is_told_what_to_do_first(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_READ)
    assert "First steps" in (await browser.get("/journeys")).text
    page = await browser.get("/tour")
    assert steps(page) == [False] * 5
    assert "There is nothing to see yet" in page.text
    await stand.site.account(LINE)
    await stand.site.module()
    assert steps(await browser.get("/tour")) == [True, True, False, False, False]


async def test_a_team_with_data_is_shown_around(stand: Stand) -> None:
    journey_id = await walked(stand, 1)
    (customer,) = (await stand.call("ListCustomers")).customers
    await stand.call("AdjustBalance", customer_id=customer.customer_id, points=5, note="welcome")
    coupon = coupon_pb2.Coupon(name="10% off", type=coupon_pb2.COUPON_TYPE_MARKETING)
    await stand.call("CreateCoupon", coupon=coupon)
    browser = await stand.signed_in(SCOPE_READ, language="zh-TW")
    async with asyncio.timeout(WAIT_S):
        while f'href="/customers/{customer.customer_id}"' not in (page := await browser.get("/tour")).html:
            await asyncio.sleep(0.05)
    assert steps(page) == [True] * 5
    assert "旅程「Welcome back」" in page.text
    links = re.findall(r'<li><a href="([^"]+)">', page.html.partition('id="worth-a-look"')[2])
    assert f"/journeys/{journey_id}/figures" in links
    assert {"/points", "/coupons", "/overview"} < set(links)
    for link in dict.fromkeys(links):
        shown = await browser.get(link)
        assert (shown.status, shown.path) == (200, link)
