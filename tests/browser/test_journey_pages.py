"""The pages around a journey in Chromium: simulated, compared, and with its customers, as everybody can read them."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import WAIT_MS, accessibility_faults, picture
from tests.integration.console.conftest import Stand
from tests.integration.console.test_figures import walked
from tests.integration.console.test_simulation import branching, days, held, ordered

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
PHONE = {"width": 360, "height": 740}


async def _is_for_everybody(page: Page) -> None:
    """No fault of accessibility, and nothing sticks out on a phone, in both languages."""
    for language in ("繁體中文", "English"):
        address = page.url.partition("#")[0]
        await page.get_by_role("button", name=language).click()
        await page.goto(address)
        await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        assert await accessibility_faults(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url
        await page.set_viewport_size({"width": 1280, "height": 720})


async def test_a_draft_is_simulated_and_its_revisions_stand_side_by_side(page: Page, stand: Stand) -> None:
    journey_id = await branching(stand)
    await ordered(stand, [["vip"], []])
    await page.goto(f"/journeys/{journey_id}")
    await page.get_by_role("link", name="Simulate").press("Enter")
    for label, day in zip(("From", "To"), (await days(stand)).values(), strict=True):
        await page.get_by_label(label, exact=True).fill(day)
    await page.get_by_role("button", name="Simulate").press("Enter")
    await expect(page.locator("#node-n0 .figures")).to_have_text("2 entered")
    await _is_for_everybody(page)
    await picture(page, "simulation")
    changed = {"definition": {"name": "Thank you"}, "update_mask": {"paths": ["name"]}}
    await stand.call("UpdateJourney", journey_id=journey_id, **changed)
    await page.goto(f"/journeys/{journey_id}/revisions")
    await _is_for_everybody(page)
    await page.get_by_role("button", name="Compare").press("Enter")
    await expect(page.get_by_role("row", name="Name of the journey")).to_contain_text("Thank you")
    await _is_for_everybody(page)


async def test_a_simulation_counts_up_while_somebody_looks(
    page: Page, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = held(monkeypatch)
    journey_id = await branching(stand)
    await ordered(stand, [["vip"], ["vip"], []])
    await page.goto(f"/journeys/{journey_id}/simulate")
    for label, day in zip(("From", "To"), (await days(stand)).values(), strict=True):
        await page.get_by_label(label, exact=True).fill(day)
    await page.get_by_role("button", name="Simulate").press("Enter")
    await expect(page.locator("#node-n0 .figures")).to_have_text("2 entered")
    await expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    assert await accessibility_faults(page) == []
    await picture(page, "simulation-working")
    go_on.set()
    await expect(page.locator("#node-n0 .figures")).to_have_text("3 entered", timeout=WAIT_MS)
    await expect(page.get_by_text("Done", exact=True)).to_be_visible()


async def test_a_customer_is_found_from_the_node_where_they_rest(page: Page, stand: Stand) -> None:
    journey_id = await walked(stand, 1)
    await page.goto(f"/journeys/{journey_id}/figures")
    await page.get_by_role("link", name="1 entered · 1: waiting for a delay").press("Enter")
    await expect(page.get_by_text("Who is here now")).to_be_visible()
    await _is_for_everybody(page)
    await page.get_by_role("link", name="Was here, too").press("Enter")
    await expect(page.get_by_text("Who was here: 1 minute")).to_be_visible()
    await _is_for_everybody(page)
    await picture(page, "node-customers")
    await page.get_by_role("link", name="Customer 0").press("Enter")
    await expect(page.locator("#node-n0")).to_contain_text("The delay began")
    await _is_for_everybody(page)
    await picture(page, "way")


async def test_reasons_of_figures_and_whose_an_order_is(page: Page, stand: Stand) -> None:
    journey_id = await walked(stand, 1)
    await page.goto(f"/journeys/{journey_id}/figures")
    await page.get_by_role("link", name="By node, with reasons").press("Enter")
    await expect(page.get_by_text("No split of this journey has held anybody out.")).to_be_visible()
    await _is_for_everybody(page)
    await page.goto("/overview")
    await page.get_by_role("link", name="Whose is an order?").press("Enter")
    await page.get_by_role("textbox", name="Shop", exact=True).fill("web")
    await page.get_by_label("Id of the order at the shop").fill("1001")
    await page.keyboard.press("Enter")
    await expect(page.locator("#order_id-fault")).to_have_text(
        "No order of this shop with this id has been counted."
    )
    await _is_for_everybody(page)
