"""What every page has, as people meet it in Chromium."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext, Page

from tests.browser.conftest import accessibility_faults

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
PHONE = {"width": 360, "height": 740}


async def test_somebody_signs_in_reads_in_their_language_and_signs_out_by_keyboard(page: Page) -> None:
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main", "the way past the navigation"
    await page.get_by_role("button", name="繁體中文").press("Enter")
    await page.get_by_role("link", name="全渠道顧客旅程", exact=True).wait_for()
    assert await page.locator("html").get_attribute("lang") == "zh-TW"
    await page.get_by_role("button", name="登出").press("Enter")
    await page.wait_for_url("**/sign-in")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_have_no_fault_of_accessibility(page: Page, context: BrowserContext, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    assert await accessibility_faults(page) == []
    visitor = await context.browser.new_context(color_scheme="dark" if scheme == "dark" else "light")  # type: ignore[union-attr]
    signing_in = await visitor.new_page()
    await signing_in.goto(page.url.replace("/journeys", "/sign-in"))
    assert await accessibility_faults(signing_in) == []
    await visitor.close()


async def test_nothing_sticks_out_on_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
