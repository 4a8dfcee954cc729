"""Coupons and audiences as the console shows them: made, changed, claimed, used, and looked at before they go."""

from __future__ import annotations

import re

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ask

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
COUPON = {"name": "10% off", "type": "1", "redeems": "1", "cost": "100", "claims_max": "5"}


async def test_a_coupon_is_refused_at_its_fields_made_changed_and_archived(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "There is no coupon yet" in (await browser.get("/coupons")).text
    form = await browser.get("/coupons/new")
    assert "{{points.balance}}" in form.text
    wrong = await browser.post("/coupons/new", {**COUPON, "cost": "0", "name": ""})
    assert wrong.status == 422
    assert 'id="name-fault"' in wrong.html
    assert 'id="cost-fault"' in wrong.html
    no_day = await browser.post("/coupons/new", {**COUPON, "insufficient_text": "no", "start": "tomorrow"})
    assert 'id="start-fault"' in no_day.html
    service = await browser.post("/coupons/new", {**COUPON, "type": "2", "insufficient_text": "no"})
    assert service.status == 422, "only marketing coupons can cost points"
    made = await browser.post("/coupons/new", {**COUPON, "insufficient_text": "Only {{points.balance}}"})
    assert "The coupon is there" in made.text
    assert "Only {{points.balance}}" in made.text
    edit = await browser.get(f"{made.path}/edit")
    etag = re.search(r'name="etag" value="([^"]*)"', edit.html)
    assert etag
    fields = {**COUPON, "insufficient_text": "no", "name": "20% off", "etag": etag[1]}
    assert "20% off" in (await browser.post(f"{made.path}/edit", fields)).text
    assert (await browser.post(f"{made.path}/edit", fields)).status == 409
    assert "is archived" in (await browser.post(f"{made.path}/archive")).text
    assert "20% off" not in (await browser.get("/coupons")).text
    assert "20% off" in (await browser.get("/coupons?archived=1")).text


async def test_a_claim_is_found_by_its_code_and_used_once(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/coupons/new")
    made = await browser.post("/coupons/new", {"name": "Gift", "type": "1"})
    customer = customer_pb2.Customer(name="Mei", phone="+886912345678")
    customer_id = (await stand.call("CreateCustomer", customer=customer)).customer.customer_id
    coupon_id = made.path.rpartition("/")[2]
    claimed = await stand.call("ClaimCoupon", coupon_id=coupon_id, customer_id=customer_id)
    assert claimed.claim.code in (await browser.get(made.path)).text
    unknown = await browser.post("/coupons/claims", {"code": "NOBODY"})
    assert unknown.status == 422
    assert 'id="code-fault"' in unknown.html
    found = await browser.post("/coupons/claims", {"code": claimed.claim.code})
    assert "Mei" in found.text
    assert "Note that it is used" in found.text
    used = await browser.post(found.path, {"place": "Taipei 101"})
    assert "The claim is used" in used.text
    assert "Note that it is used" not in used.text
    assert (await browser.post(found.path, {"place": "Again"})).status == 409


async def test_an_audience_is_saved_from_a_filter_and_reads_in_both_languages(stand: Stand) -> None:
    customer = customer_pb2.Customer(name="Mei", tags=["VIP"])
    await stand.call("CreateCustomer", customer=customer)
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "There is no audience yet" in (await browser.get("/audiences")).text
    form = await browser.get("/audiences/new?tag=VIP")
    assert "VIP" in form.text
    nameless = await browser.post("/audiences/new?tag=VIP", {"name": ""})
    assert 'id="name-fault"' in nameless.html
    saved = await browser.post("/audiences/new?tag=VIP", {"name": "Best"})
    assert "The audience is saved" in saved.text
    assert "Mei" in saved.text
    chinese = await (await stand.signed_in(SCOPE_READ, language="zh-TW")).get(saved.path)
    assert "標籤" in chinese.text
    assert "刪除此分眾" not in chinese.text, "who may only read is offered nothing to change"
    assert (await browser.post("/audiences/new?tag=VIP", {"name": "Best"})).status == 409


async def test_an_audience_goes_only_where_its_users_are_known(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/audiences")
    saved = await browser.post("/audiences/new?tag=VIP", {"name": "Best"})
    audience_id = saved.path.rpartition("/")[2]
    predicate = audience_pb2.SavedAudiencePredicate(
        operator=audience_pb2.MEMBERSHIP_OPERATOR_IN, saved_audience_id=audience_id
    )
    await stand.site.draft(ask(audience_pb2.Audience(saved_audience=predicate)), name="Uses it")
    shown = await browser.get(saved.path)
    assert "Uses it" in shown.text
    assert "Delete it all the same" in shown.text
    refused = await browser.post(f"{saved.path}/delete")
    assert refused.status == 409
    assert "Take it out of what uses it first" in refused.text
    gone = await browser.post(f"{saved.path}/delete", {"force": "1"})
    assert "The audience is deleted" in gone.text
    assert (await browser.get(saved.path)).status == 404
