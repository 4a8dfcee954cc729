"""Points as the console shows them: the history and its search, its file, the statement, the formula."""

from __future__ import annotations

import re
from typing import Any

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_READ
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.conftest import Stand

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def _customer(stand: Stand, **fields: Any) -> str:
    customer = customer_pb2.Customer(**fields)
    return str((await stand.call("CreateCustomer", customer=customer)).customer.customer_id)


async def test_the_history_is_searched_by_time_keyword_and_source_and_downloaded(stand: Stand) -> None:
    mei = await _customer(
        stand, name="王小美", member_id="M-1", phone="+886912345678", email="mei@example.com"
    )
    ann = await _customer(stand, name="Ann", member_id="M-2")
    for customer_id in (mei, ann):
        await stand.call("AdjustBalance", customer_id=customer_id, points=1250, note="welcome")
    redemption = coupon_pb2.PointsRedemption(cost=50, insufficient_text="too few")
    coupon = coupon_pb2.Coupon(
        name="10% off", type=coupon_pb2.COUPON_TYPE_MARKETING, points_redemption=redemption
    )
    coupon_id = (await stand.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
    await stand.call("ClaimCoupon", coupon_id=coupon_id, customer_id=mei)
    browser = await stand.signed_in(SCOPE_READ)
    # Names of customers come to points within a moment.
    for _ in range(500):
        page = await browser.get("/points")
        if {"王小美", "Ann"} <= set(page.text.split()):
            break
    for shown in ("王小美", "Ann", "+1,250", "-50", "Coupon redemption 10% off", "Last 30 days"):
        assert shown in page.text, shown
    for keyword in ("小美", "M-1", "mei@", "912345678", "0912-345-678"):
        found = await browser.get(f"/points?days=90&keyword={keyword}")
        assert "王小美" in found.text, keyword
        assert "Ann" not in found.text, keyword
    redeemed = await browser.get("/points?source=2")
    assert ("-50" in redeemed.text, "+1,250" in redeemed.text) == (True, False)
    too_long = await browser.get("/points?start=2020-01-01")
    assert too_long.status == 422
    assert "must be at most 90 days before the end, is " in too_long.text
    one = await browser.get(f"/points/customers/{mei}")
    assert "1,200" in one.text
    assert "Ann" not in one.text
    link = re.search(r'href="(/points/history\.csv\?[^"]*)"', one.html)
    assert link
    file = await browser.get(link[1])
    assert file.headers["Content-Type"].startswith("text/csv")
    assert file.html.startswith("\ufeff")
    assert len(file.html.splitlines()) == 3, "a heading and the two entries of this customer"


async def test_the_history_speaks_in_their_words_in_chinese(stand: Stand) -> None:
    browser = await stand.signed_in(language="zh-TW")
    page = await browser.get("/points")
    for shown in (
        "點數歷程",
        "異動來源",
        "近 30 天",
        "最多可搜尋 90 天",
        "官網完成訂單",
        "兌換優惠券",
        "全渠道顧客旅程",
        "匯入顧客資料",
        "顧客名稱、會員編號、Email、電話",
    ):
        assert shown in page.text or shown in page.html, shown


async def test_the_statement_has_a_line_a_day(stand: Stand) -> None:
    customer_id = await _customer(stand, name="Mei", phone="+886912345678")
    await stand.call("AdjustBalance", customer_id=customer_id, points=1250, note="welcome")
    browser = await stand.signed_in()
    page = await browser.get("/points/statement")
    assert page.html.count('<th scope="row"') == 30
    assert "+1,250" in page.text
    wrong = await browser.get("/points/statement?start=2020-01-01&end=2026-01-01")
    assert wrong.status == 422


async def test_the_formula_is_set_once_and_never_again(stand: Stand) -> None:
    reader = await stand.signed_in(SCOPE_READ)
    assert "The formula is not set yet" in (await reader.get("/points/formula")).text
    browser = await stand.signed_in(SCOPE_ADMIN)
    assert "Once it is set it can never be changed" in (await browser.get("/points/formula")).text
    wrong = await browser.post("/points/formula", {"amount": "-1", "points": "1"})
    assert wrong.status == 422
    assert 'id="amount-fault"' in wrong.html
    made = await browser.post("/points/formula", {"amount": "100", "points": "1"})
    assert re.search(r"An order of NT\$150\.00 earns 2 points", made.text), made.text
    again = await browser.post("/points/formula", {"amount": "100", "points": "2"})
    assert again.status == 409
    assert "It is set already" in again.text


async def test_a_team_without_the_module_is_shown_what_is_missing(stand: Stand) -> None:
    await stand.site.team([])
    browser = await stand.signed_in()
    for path in ("/points", "/points/statement", "/points/formula"):
        assert "does not have the points module" in (await browser.get(path)).text, path
    assert "Point balance" not in (await browser.get("/customers")).text
