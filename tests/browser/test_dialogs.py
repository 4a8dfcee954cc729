"""What asks before it does something, in Chromium: each dialog by keyboard, with axe, and on a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from libs.console.languages import OWN_NAMES
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from tests.browser.conftest import WAIT_MS, accessibility_faults
from tests.browser.test_lists import DESK, PHONE, seeded
from tests.integration.console.conftest import Stand
from tests.integration.console.test_figures import walked

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def _more(stand: Stand) -> dict[str, str]:
    """One of each, some of them used and some not."""
    seeds = await seeded(stand)
    for key in ("city", "size"):
        await stand.site.attribute(key)
    tagged = customer_pb2.Customer(name="Ann", tags=["New", "old"])
    await stand.call("CreateCustomer", customer=tagged)
    city = audience_pb2.AttributePredicate(key="city")
    city.text.operator, city.text.values[:] = audience_pb2.TEXT_OPERATOR_EQUALS, ["Taipei"]
    audience = audience_pb2.Audience(attribute=city)
    saved = audience_pb2.SavedAudience(name="Taipei", audience=audience)
    await stand.call("CreateSavedAudience", saved_audience=saved)
    coupon = coupon_pb2.Coupon(name="Old", type=coupon_pb2.COUPON_TYPE_MARKETING)
    await stand.call("CreateCoupon", coupon=coupon)
    draft = (await stand.call("CreateJourney", definition={"name": "Draft"})).journey.journey_id
    return seeds | {"journey": await walked(stand, 1), "draft": str(draft)}


PATHS = {
    "/journeys": {"New journey"},
    "/journeys/{draft}": {"Delete"},
    "/journeys/{journey}": {"Close the trigger", "Stop the journey"},
    "/audiences/{audience}": {"Delete"},
    "/content/{module}": {"Delete"},
    "/content/templates/{template}": {"Delete"},
    "/coupons/{coupon}": {"Archive"},
    "/channels/{line}": {"Switch off", "Delete"},
    "/channels/{account}": {"Switch off", "Delete"},
    "/settings/attributes/size": {"Archive", "Delete"},
    "/settings/attributes/city": {"Archive it all the same", "Delete it all the same"},
    "/settings/tags/New": {"Delete"},
    "/settings/tags/VIP": {"Delete it all the same"},
    "/settings/clients": {"Revoke"},
    "/settings/webhooks/{webhook}": {"New secret", "Delete"},
}
"""Pages, and the buttons there that ask first."""
PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
async def test_what_asks_first_is_for_everybody(page: Page, stand: Stand, part: int) -> None:
    """In both languages; the keyboard goes into a dialog, and back to where it came from."""
    seeds = await _more(stand)
    for number, (path, buttons) in enumerate(list(PATHS.items())[part::PARTS]):
        address = path.format(**seeds)
        await page.goto(address)
        openers = page.locator("button[data-opens]:visible")
        found = {text.strip() for text in await openers.all_inner_texts()}
        assert found >= buttons, (path, found)
        for place in range(await openers.count()):
            await _asks(page, place, f"{path} {place}")
        if number % 2 == 0:
            await page.get_by_role("button", name=OWN_NAMES["zh-TW"]).click()
            await page.goto(address)
            for place in range(await openers.count()):
                await _asks(page, place, f"{path} {place} zh-TW")
            await page.get_by_role("button", name=OWN_NAMES["en"]).click()


async def _asks(page: Page, place: int, what: str) -> None:
    """One is opened, looked at, and left again."""
    opener = page.locator("button[data-opens]:visible").nth(place)
    await opener.press("Enter")
    dialog = page.locator("dialog[open]")
    await expect(dialog).to_have_count(1)
    assert await page.evaluate("document.activeElement.closest('dialog[open]') !== null"), what
    assert await accessibility_faults(page) == [], what
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    box = await dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0, what
    assert box["x"] + box["width"] <= PHONE["width"], what
    assert box["height"] <= PHONE["height"], what
    await page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(opener).to_be_focused()


async def test_tags_are_made_one_after_the_form_says_so(page: Page, stand: Stand) -> None:
    await _more(stand)
    await page.goto("/settings/tags/New")
    await page.get_by_label("New name").fill("VIP")
    await page.get_by_role("button", name="Rename").press("Enter")
    fault = page.locator("#new_tag-fault")
    await expect(fault).to_be_visible()
    assert await accessibility_faults(page) == [], "with the fault at its field"
    await page.get_by_label("If customers have that tag already").check()
    assert await accessibility_faults(page) == []
    await page.get_by_role("button", name="Rename").press("Enter")
    await expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=WAIT_MS)
    await page.goto("/settings/tags")
    await expect(page.get_by_role("link", name="VIP", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="New", exact=True)).to_have_count(0)
