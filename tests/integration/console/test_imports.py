"""Files of contacts and of points, as the console takes them: looked at first, watched while they run, reported."""

from __future__ import annotations

import io
from typing import Any

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_READ, SCOPE_WRITE
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.browser import Browser, Page
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE, TIMEOUT_S, WHATSAPP

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def _sent(browser: Browser, path: str, content: str, **fields: str) -> Page:
    mark = "&" if "?" in path else "?"
    sent: dict[str, Any] = {**fields, "file": io.BytesIO(content.encode())}
    return await browser.post(f"{path}{mark}csrf={browser.csrf}", sent)


async def _until(browser: Browser, path: str, text: str) -> Page:
    """Long work goes on by itself: the page is read again, as a browser does."""
    for _ in range(1000):
        page = await browser.get(path)
        if text in page.text:
            break
    assert text in page.text
    return page


async def test_contacts_are_looked_at_before_they_are_imported(stand: Stand) -> None:
    await stand.site.attribute("city")
    account_id = await stand.site.account(WHATSAPP)
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "Nothing was imported yet" in (await browser.get("/customers/imports")).text
    here = f"account={account_id}"
    form = await browser.get(f"/customers/imports/new?{here}")
    assert "Deduct from the cumulative points as well" in form.text, "offered with WhatsApp"
    csv = "Member ID,Name,Phone,Town,Point Balance\nM-1,Mei,0912345678,Taipei,5\nM-2,Ann,12,Tainan,x\n"
    looked = await _sent(browser, f"/customers/imports/preview?{here}", csv)
    assert looked.status == 200
    assert 'name="heading-3" value="Town"' in looked.html
    assert "Add/deduct points" in looked.text
    assert "Wrong" in looked.text
    assert "Choose the same file once more" in looked.text
    assert not (await stand.call("ListCustomers")).customers, "looking changes nothing"
    mapping = {"heading-3": "Town", "column-3": "attributes.city"}
    again = await _sent(browser, f"/customers/imports/preview?{here}", csv, **mapping)
    assert '<option value="attributes.city" selected>' in again.html
    wrong = await _sent(
        browser, f"/customers/imports/preview?{here}", csv, **{**mapping, "column-3": "no field"}
    )
    assert wrong.status == 422
    unclear = await _sent(browser, f"/customers/imports/preview?{here}", "Card,Name\nM-1,Mei\n")
    assert "As the columns are understood the file cannot be imported" in unclear.text
    assert 'name="heading-0" value="Card"' in unclear.html
    mended = {"heading-0": "Card", "column-0": "member_id"}
    assert (
        "New"
        in (await _sent(browser, f"/customers/imports/preview?{here}", "Card,Name\nM-1,Mei\n", **mended)).text
    )
    started = await _sent(browser, f"/customers/imports?{here}", csv, **mapping)
    done = await _until(browser, started.path, "Done")
    assert "Download the report" in done.text
    (mei,) = (await stand.call("ListCustomers")).customers
    assert (mei.name, mei.attributes["city"]) == ("Mei", "Taipei")
    report = await browser.get(f"{started.path}/report.csv")
    assert "M-2" in report.html
    assert "M-1" not in report.html
    listed = await browser.get("/customers/imports")
    assert started.path in listed.html
    repeated = await _sent(browser, f"/customers/imports?{here}", csv, **mapping)
    assert repeated.status == 409


async def test_the_sample_and_the_switch_for_points_belong_to_whatsapp(stand: Stand) -> None:
    account_id = await stand.site.account(LINE)
    browser = await stand.signed_in()
    line = await browser.get(f"/customers/imports/new?account={account_id}")
    assert "Deduct from the cumulative points" not in line.text
    assert "Point Balance" not in (await browser.get(f"/customers/imports/sample.csv?channel={LINE}")).html
    assert "Point Balance" in (await browser.get(f"/customers/imports/sample.csv?channel={WHATSAPP}")).html


async def test_a_form_without_a_file_says_so_and_one_of_another_site_is_refused(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    for path in ("/customers/imports", "/customers/imports/preview", "/points/imports"):
        await browser.get("/customers/imports/new")
        empty = await _sent(browser, path, "")
        assert empty.status == 422, path
        assert 'id="file-fault"' in empty.html, path
        assert (await browser.post(f"{path}?csrf=guessed", {"file": io.BytesIO(b"a")})).status == 403, path


async def test_points_are_looked_through_run_reported_and_taken_back(stand: Stand) -> None:
    account_id = await stand.site.account(WHATSAPP)
    key = customer_pb2.IdentityKey(channel=WHATSAPP, account_id=account_id, external_id="886912345678")
    customer = customer_pb2.Customer(
        name="Mei", member_id="M-1", phone="+886912345678", identities=[customer_pb2.Identity(key=key)]
    )
    customer_id = (await stand.call("CreateCustomer", customer=customer)).customer.customer_id
    reader = await stand.signed_in(SCOPE_READ)
    assert "Upload and look through" not in (await reader.get("/points/imports")).text
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "Nothing was imported yet" in (await browser.get("/points/imports")).text
    assert "Point Balance" in (await browser.get("/points/imports/sample.csv")).html
    csv = "Member ID,Point Balance\nM-1,50\nM-9,10\nM-1,1.5\n"
    looked = await _sent(browser, "/points/imports", csv)
    for shown in ("Would be applied", "No customer has this member ID, email or phone.", "Run the import"):
        assert shown in looked.text, shown
    assert await _balance(stand, customer_id) == 0
    await browser.post(looked.path, {"action": "run"})
    done = await _until(browser, looked.path, "Take it back")
    assert "+50" in done.text
    assert await _balance(stand, customer_id) == 50
    report = await browser.get(f"{looked.path}/report.csv")
    assert "M-9" in report.html
    repeated = await _sent(browser, "/points/imports", csv)
    assert repeated.status == 409
    await browser.post(looked.path, {"action": "undo"})
    await _until(browser, looked.path, "Taken back")
    assert await _balance(stand, customer_id) == 0
    wrong = await _sent(browser, "/points/imports", "Nothing,Known\n1,2\n")
    assert wrong.status == 422
    better = await _sent(browser, "/points/imports", csv, repeat="1")
    given_up = await browser.post(better.path, {"action": "cancel"})
    assert "Nothing was changed" in given_up.text


async def _balance(stand: Stand, customer_id: str) -> int:
    request = points.GetBalanceRequest(team_id=stand.site.team_id, customer_id=customer_id)
    return int((await stand.site.stubs["points"].GetBalance(request, timeout=TIMEOUT_S)).balance.balance)
