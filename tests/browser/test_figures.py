"""The figures of a journey in Chromium: at its nodes while customers enter, and as pages that everybody can read."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import accessibility_faults, picture
from tests.integration.console.conftest import Stand
from tests.integration.console.test_figures import enter, walked

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def test_the_tree_counts_while_somebody_looks_at_it(page: Page, stand: Stand) -> None:
    """圖中所顯示的數字，為該節點被觸發的次數，且為即時計算。"""
    journey_id = await walked(stand, 2)
    await page.goto(f"/journeys/{journey_id}/figures")
    await expect(page.locator("#node-n0 .figures")).to_have_text(re.compile("^2 entered"))
    await enter(stand, journey_id, 1)
    await expect(page.locator("#node-n0 .figures")).to_have_text("3 entered · 3: waiting for a delay")
    await page.locator("#node-n0 > a").click()
    await expect(page.get_by_role("definition").first).to_have_text("3")
    assert await accessibility_faults(page) == []
    await picture(page, "node")
    await page.goto(f"/journeys/{journey_id}")
    await expect(page.locator("#node-n0 .figures")).to_have_text(re.compile("^3 entered"))
    await expect(page.get_by_role("definition").filter(has_text="3").first).to_be_visible()
    assert await accessibility_faults(page) == []
    await page.goto(f"/journeys/{journey_id}/figures")
    await expect(page.get_by_role("definition").first).to_have_text("3")
    assert await accessibility_faults(page) == []
    await picture(page, "figures")


async def test_the_overview_can_be_read_by_everybody(page: Page, stand: Stand) -> None:
    await walked(stand, 1)
    await page.get_by_role("link", name="Overview").press("Enter")
    await expect(page.get_by_role("img", name="Orders a day")).to_be_visible()
    await page.get_by_text("As a table").press("Enter")
    await expect(page.get_by_role("columnheader", name="Day", exact=True)).to_be_visible()
    assert await accessibility_faults(page) == []
    await picture(page, "overview")
