"""Customers, points and files in Chromium: as people find, change and bring them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from libs.console.languages import OWN_NAMES
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from tests.browser.conftest import accessibility_faults, picture_of
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE, WHATSAPP, link, text

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1100, "height": 720}


def picture_name(path: str) -> str:
    """What the pictures of a page are called."""
    return re.sub(r"\W+", "-", path).strip("-")


async def seeded(stand: Stand) -> dict[str, str]:
    """One of each, by the name that paths have for it."""
    customer = customer_pb2.Customer(name="Mei", member_id="M-1", phone="+886912345678", tags=["VIP"])
    customer_id = (await stand.call("CreateCustomer", customer=customer)).customer.customer_id
    await stand.call("AdjustBalance", customer_id=customer_id, points=1250, note="welcome")
    coupon = coupon_pb2.Coupon(name="10% off", type=coupon_pb2.COUPON_TYPE_MARKETING)
    coupon_id = (await stand.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
    await stand.call("ClaimCoupon", coupon_id=coupon_id, customer_id=customer_id)
    tags = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["VIP"])
    saved = audience_pb2.SavedAudience(name="Best", audience=audience_pb2.Audience(tags=tags))
    made = await stand.call("CreateSavedAudience", saved_audience=saved)
    account_id = await stand.site.account(WHATSAPP)
    client = (await stand.call("ListApiClients")).api_clients[0]
    hook = webhook_pb2.WebhookSubscription(url="https://example.com/hook", event_types=["contact.bound"])
    hook = (await stand.call("CreateWebhookSubscription", subscription=hook)).subscription
    return {
        "webhook": hook.webhook_subscription_id,
        "customer": customer_id,
        "account": account_id,
        "client": client.api_client_id,
        "line": await stand.site.account(LINE),
        "template": await stand.site.template(account_id),
        "coupon": coupon_id,
        "audience": made.saved_audience.saved_audience_id,
        "module": await stand.site.module(text("Hello {{customer.name}}"), link("https://example.com/")),
    }


PATHS = (
    "/tour",
    "/customers",
    "/customers?tag=nobody",
    "/customers/new",
    "/customers/{customer}",
    "/customers/{customer}/edit",
    "/customers/{customer}/attributes",
    "/customers/{customer}/timeline",
    "/customers/{customer}/merge?keyword=m",
    "/customers/{customer}/erase",
    "/customers/imports",
    "/customers/imports/new?account={account}",
    "/points",
    "/points/customers/{customer}",
    "/points/statement",
    "/points/formula",
    "/points/imports",
    "/coupons",
    "/coupons/new",
    "/coupons/{coupon}",
    "/audiences",
    "/audiences/new?tag=VIP",
    "/audiences/new",
    "/audiences/{audience}",
    "/audiences/{audience}/edit",
    "/content",
    "/content/templates",
    "/content/new",
    "/content/{module}",
    "/content/{module}?channel=2",
    "/content/templates/{template}",
    "/channels",
    "/channels/new",
    "/channels/new?channel=2",
    "/channels/{line}",
    "/channels/{line}/edit",
    "/channels/charges",
    "/channels/limits",
    "/channels/wallet",
    "/settings",
    "/settings/team",
    "/settings/attributes",
    "/settings/attributes/city",
    "/settings/tags",
    "/settings/tags/VIP",
    "/settings/retention",
    "/settings/clients",
    "/settings/clients/{client}",
    "/settings/webhooks",
    "/settings/webhooks/{webhook}",
)
PARTS = 4
"""A test looks at a part of them, so that none takes as long as a test may on a busy machine."""


@pytest.mark.parametrize("language", OWN_NAMES)
@pytest.mark.parametrize("part", range(PARTS))
async def test_every_page_is_free_of_faults_and_fits_a_phone(
    page: Page, stand: Stand, part: int, language: str
) -> None:
    names = await seeded(stand)
    for key in ("city", "town"):
        await stand.site.attribute(key)
    await page.get_by_role("button", name=OWN_NAMES[language]).click()
    found: dict[str, object] = {}
    for path in PATHS[part::PARTS]:
        await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        await page.goto(path.format(**names))
        if faults := await accessibility_faults(page):
            found[path] = faults
        if (width := await page.evaluate("document.documentElement.scrollWidth")) > PHONE["width"]:
            found[path] = width
        await page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
        await picture_of(page, picture_name(path), language)
    assert found == {}


async def test_somebody_finds_a_customer_tags_them_and_notes_what_they_want(page: Page, stand: Stand) -> None:
    await seeded(stand)
    await page.get_by_role("link", name="Customers").click()
    await page.get_by_label("Keyword").fill("m-1")
    await page.get_by_label("Keyword").press("Enter")
    await page.get_by_role("link", name="Mei", exact=True).click()
    await page.get_by_label("Add a tag").fill("Gold")
    await page.get_by_label("Add a tag").press("Enter")
    await page.get_by_role("button", name="Remove the tag Gold").wait_for()
    await page.get_by_text("Note what the customer wants").click()
    await page.get_by_label("What they want").select_option("Wants no marketing messages")
    await page.get_by_role("button", name="Note", exact=True).click()
    await page.get_by_text("By a program or the console").wait_for()


async def test_a_file_of_contacts_stays_chosen_while_its_columns_are_said(
    page: Page, stand: Stand, tmp_path: Path
) -> None:
    await seeded(stand)
    await stand.site.attribute("city")
    file = tmp_path / "contacts.csv"
    file.write_text("Member ID,Name,Town\nM-7,Ann,Taipei\n")
    await page.goto("/customers/imports/new")
    await page.get_by_label("Whose contacts are they?").select_option(label="WhatsApp · A")
    await page.get_by_text("Deduct from the cumulative points as well").wait_for()
    await page.locator("input[type=file]").set_input_files(file)
    await page.get_by_label("Town").select_option(label="Attribute: city")
    await page.locator("#preview:not([aria-busy]) td").first.wait_for()
    await page.get_by_role("button", name="Import", exact=True).click()
    # The page is read again by itself until the work has ended.
    await page.get_by_text("Done", exact=True).wait_for()
    await page.goto("/customers?keyword=M-7")
    await page.get_by_role("link", name="Ann", exact=True).click()
    await page.get_by_text("Taipei").first.wait_for()


async def test_an_audience_is_built_and_counted_while_one_types(page: Page, stand: Stand) -> None:
    """By keyboard, and by what the script of the form does."""
    await seeded(stand)
    await page.goto("/audiences/new")
    await page.get_by_label("About").select_option(label="Tags")
    await page.get_by_label("Value").fill("vip")
    await expect(page.locator("#live-count")).to_have_text('In words: has the tag "vip" · Customers now: 1')
    await page.get_by_role("button", name="Add a group").press("Enter")
    inner = page.get_by_role("group", name="Condition 2.1")
    await expect(page.locator("#a-1-joined")).to_be_focused()
    await inner.get_by_label("About").select_option(label="Point balance")
    await inner.get_by_label("Value").fill("many")
    await expect(inner.locator("p.fault")).to_have_text("Enter a whole number.")
    await inner.get_by_label("Value").fill("2000")
    await expect(page.locator("#live-count")).to_contain_text("Customers now: 0")
    await page.get_by_role("group", name="Group 2").get_by_label("The opposite").first.check()
    await expect(page.locator("#live-count")).to_contain_text("Customers now: 1")
    await expect(inner.locator("p.fault")).to_have_count(0)
    await page.get_by_role("button", name="Remove condition 1", exact=True).press("Enter")
    await expect(page.get_by_role("group", name="Group 1")).to_be_visible()
    assert await accessibility_faults(page) == []
    await page.get_by_label("Name", exact=True).fill("Not many points")
    await page.get_by_role("button", name="Save").press("Enter")
    await page.get_by_text("The audience is saved").wait_for()
