"""Customers as the console shows them: how they are found, all that is known of one, and what is changed about them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def _customer(stand: Stand, **fields: Any) -> str:
    customer = customer_pb2.Customer(**fields)
    return str((await stand.call("CreateCustomer", customer=customer)).customer.customer_id)


async def test_a_team_without_customers_is_shown_what_to_do_first(stand: Stand) -> None:
    browser = await stand.signed_in()
    page = await browser.get("/customers")
    assert "There is no customer yet" in page.text
    assert 'href="/customers/imports"' in page.html


async def test_what_a_service_refuses_is_said_in_the_visitors_language(stand: Stand) -> None:
    browser = await stand.signed_in(language="zh-TW")
    await browser.get("/customers/new")
    for sent, said in (
        ({"name": "字" * 10_000}, "最多 200 個字元"),
        ({"phone": "1e400"}, "請輸入電話號碼，可用當地寫法或國際格式"),
        ({"phone": "31.2.", "email": "-0"}, "請輸入有效的 Email"),
        ({"name": "a\0b"}, "含有無法儲存的字元"),
    ):
        refused = await browser.post("/customers/new", sent)
        assert (refused.status, said in refused.text, "must " in refused.text) == (422, True, False), sent
    first = await browser.post("/customers/new", {"name": "王小美", "request_id": "one form"})
    assert first.path.startswith("/customers/")
    again = await browser.post("/customers/new", {"name": "王大美", "request_id": "one form"})
    assert (again.status, "此表單先前已送出其他內容並完成" in again.text) == (409, True)


async def test_customers_are_found_by_keyword_tag_and_channel(stand: Stand) -> None:
    account_id = await stand.site.account(LINE)
    key = customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id=f"U{new_id().hex}")
    mei = await _customer(
        stand,
        name="王小美",
        member_id="M-1",
        phone="+886912345678",
        tags=["VIP"],
        identities=[customer_pb2.Identity(key=key)],
    )
    await _customer(stand, name="Ann <b>", member_id="M-2", email="ann@example.com")
    browser = await stand.signed_in(SCOPE_READ)
    everybody = await browser.get("/customers")
    assert "王小美" in everybody.text
    assert "Ann &lt;b&gt;" in everybody.html, "what people wrote is no markup"
    assert "Point balance" in everybody.text
    assert "New customer" not in everybody.text, "who may only read is offered nothing to change"
    for query in (
        "keyword=小美",
        "keyword=912345678",
        "keyword=0912-345-678",
        f"channel={LINE}&keyword=０９１２345678",
        "tag=vip",
        f"channel={LINE}",
        f"channel={LINE}&keyword=m-1",
    ):
        found = await browser.get(f"/customers?{query}")
        assert f"/customers/{mei}" in found.html, query
        assert "ann@example.com" not in found.text, query
    nobody = await browser.get("/customers?tag=none")
    assert "Nobody fits" in nobody.text


async def test_a_customer_s_page_shows_all_that_is_known(stand: Stand) -> None:
    await stand.site.attribute("city")
    customer_id = await _customer(
        stand, name="Mei", phone="+886912345678", tags=["VIP"], attributes={"city": "Taipei"}
    )
    await stand.call("AdjustBalance", customer_id=customer_id, points=1250, note="welcome")
    browser = await stand.signed_in()
    page = await browser.get(f"/customers/{customer_id}")
    assert page.status == 200
    for shown in ("Mei", "+886912345678", "VIP", "city", "Taipei", "1,250", "Got a tag", "Became known"):
        assert shown in page.text, shown
    chinese = await (await stand.signed_in(language="zh-TW")).get(f"/customers/{customer_id}")
    for shown in ("點數餘額", "累積點數", "社群身份綁定", "客人最後互動時間", "團隊最後行銷時間", "貼上標籤"):
        assert shown in chinese.text, shown
    timeline = await browser.get(f"/customers/{customer_id}/timeline")
    assert "Got a tag" in timeline.text
    assert (await browser.get("/customers/nobody")).status == 404
    assert (await browser.get(f"/customers/{new_id()}")).status == 404


async def test_basic_data_is_refused_at_its_field_and_otherwise_changed(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/customers/new")
    wrong = await browser.post("/customers/new", {"name": "Mei", "phone": "12", "email": "no address"})
    assert wrong.status == 422
    assert 'id="phone-fault"' in wrong.html
    assert 'value="no address"' in wrong.html, "what was typed is there again"
    made = await browser.post("/customers/new", {"name": "Mei", "member_id": "M-7", "phone": "0912345678"})
    assert "The customer is there" in made.text
    edit = await browser.get(f"{made.path}/edit")
    etag = re.search(r'name="etag" value="([^"]*)"', edit.html)
    assert etag
    fields = {"name": "Mei Lin", "member_id": "M-7", "phone": "0912345678", "etag": etag[1]}
    changed = await browser.post(f"{made.path}/edit", fields)
    assert "Mei Lin" in changed.text
    late = await browser.post(f"{made.path}/edit", {**fields, "name": "Other"})
    assert late.status == 409
    assert "Somebody else changed this" in late.text
    taken = await browser.post("/customers/new", {"name": "Two", "member_id": "M-7"})
    assert taken.status == 409


async def test_tags_attributes_and_consent_are_changed_on_the_page(stand: Stand) -> None:
    await stand.site.attribute("city")
    await stand.site.attribute("size", 2)
    customer_id = await _customer(stand, name="Mei")
    browser = await stand.signed_in(SCOPE_WRITE)
    here = f"/customers/{customer_id}"
    await browser.get(here)
    assert "Remove the tag VIP" in (await browser.post(f"{here}/tags", {"add": "VIP"})).html
    refused = await browser.post(f"{here}/tags", {"add": ""})
    assert refused.status == 422
    assert "Remove the tag VIP" not in (await browser.post(f"{here}/tags", {"remove": "VIP"})).html
    wrong = await browser.post(f"{here}/attributes", {"attribute-city": "Taipei", "attribute-size": "big"})
    assert wrong.status == 422
    assert 'id="attribute-size-fault"' in wrong.html
    assert 'value="Taipei"' in wrong.html
    assert "Taipei" in (await browser.post(f"{here}/attributes", {"attribute-city": "Taipei"})).text
    cleared = await browser.post(f"{here}/attributes", {"attribute-city": ""})
    assert "city: Taipei → –" in cleared.text
    shown = await browser.post(f"{here}/consent", {"channel": "0", "state": "2", "note": "by phone"})
    assert "By a program or the console" in shown.text
    assert (await stand.call("ListConsents", customer_id=customer_id)).consents[0].state == 2


async def test_two_customers_become_one_only_when_it_is_confirmed(stand: Stand) -> None:
    stays = await _customer(stand, name="Mei", member_id="M-1")
    goes = await _customer(stand, name="Mei too", phone="+886912345678")
    await stand.call("CreateAttribute", attribute={"key": "city", "display_name": "city", "type": 1})
    for customer_id, city in ((stays, "Taipei"), (goes, "Tainan")):
        await stand.call("SetCustomerAttributes", customer_id=customer_id, values={"city": city})
    browser = await stand.signed_in(SCOPE_WRITE)
    search = await browser.get(f"/customers/{stays}/merge?keyword=mei")
    assert f"other={goes}" in search.html
    assert f"other={stays}" not in search.html
    both = await browser.get(f"/customers/{stays}/merge?other={goes}")
    assert "This one stays" in both.text
    assert re.findall(r"<tr><th[^>]*>(.*)</th><td>(.*)</td><td>(.*)</td></tr>", both.html) == [
        ("Name", "Mei", "Mei too"),
        ("city", "Taipei", "Tainan"),
    ]
    unsure = await browser.post(f"/customers/{stays}/merge?other={goes}", {"other": goes})
    assert unsure.status == 422
    assert 'id="sure-fault"' in unsure.html
    assert not (await stand.call("GetCustomer", customer_id=goes)).customer.merged_into
    merged = await browser.post(f"/customers/{stays}/merge?other={goes}", {"other": goes, "sure": "1"})
    assert "The two are one from now on" in merged.text
    assert f"/customers/{stays}" in merged.html
    gone = await browser.get(f"/customers/{goes}")
    assert gone.path == f"/customers/{stays}"


async def test_a_person_is_erased_by_who_may_and_only_when_it_is_confirmed(stand: Stand) -> None:
    customer_id = await _customer(stand, name="Mei")
    writer = await stand.signed_in(SCOPE_WRITE)
    assert "/erase" not in (await writer.get(f"/customers/{customer_id}")).html
    assert (await writer.post(f"/customers/{customer_id}/erase", {"sure": "1"})).status == 403
    browser = await stand.signed_in(SCOPE_ADMIN)
    data = await browser.get(f"/customers/{customer_id}/data.jsonl")
    assert '"Mei"' in data.html
    assert "attachment" in data.headers["Content-Disposition"]
    assert "default-src 'none'" in data.headers["Content-Security-Policy"]
    form = await browser.get(f"/customers/{customer_id}/erase")
    assert "cannot be undone" in form.text
    assert (await browser.post(f"/customers/{customer_id}/erase")).status == 422
    begun = await browser.post(f"/customers/{customer_id}/erase", {"sure": "1"})
    assert "The erasure has begun" in begun.text
    part = await browser.get(begun.path, headers={"X-Requested-With": "fetch"})
    assert part.html.lstrip().startswith("<section"), "a part is read again while it goes on"
    await stand.site.team([])
    stranger = await stand.signed_in()
    assert (await stranger.get(f"/customers/{customer_id}")).status == 404
    assert (await stranger.get(begun.path)).status == 404
