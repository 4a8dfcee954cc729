"""The first hour of a new team, by clicks alone: from nothing to a message at the emulator of a channel."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import WAIT_MS
from tests.browser.test_journeys import add, saved
from tests.integration.console.conftest import Stand

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
USER: Final = f"U{'5' * 32}"
STEPS_MAX: Final = 45
"""Clicks, choices and fields. Who knows what they want takes four seconds for each: below that it is three minutes."""


async def test_a_new_team_sends_its_first_message(page: Page, stand: Stand, tmp_path: Path) -> None:
    counted = await _counting(page)
    await page.get_by_role("link", name="Tour").click()
    await expect(page.locator("main .badge.good")).to_have_count(0)

    await page.get_by_role("link", name="Connect a channel").click()
    await page.get_by_role("link", name="New account").first.click()
    await page.get_by_role("link", name="LINE", exact=True).click()
    await page.get_by_label("Name").fill("Tea shop")
    await page.get_by_label("Channel ID").fill("2000000001")
    await page.get_by_label("Access token").fill("emulator-token")
    await page.get_by_label("Channel secrets").fill("emulator-secret")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="Check").click()

    await page.get_by_role("link", name="Content", exact=True).click()
    await page.get_by_role("link", name="New module").first.click()
    await page.get_by_label("Name", exact=True).fill("Welcome")
    await page.get_by_label("Text").fill("Hello {{customer.name}}, tea is ready.")
    await page.get_by_role("button", name="Save").click()

    file = tmp_path / "friends.csv"
    file.write_text(f"User,Name\n{USER},Mei\n")
    await page.get_by_role("link", name="Customers", exact=True).click()
    await page.get_by_role("link", name="Import contacts").first.click()
    await page.get_by_role("link", name="Import a file").first.click()
    await page.get_by_label("Whose contacts are they?").select_option(label="LINE · Tea shop")
    await page.locator("input[type=file]").set_input_files(file)
    await page.get_by_label("User").select_option(label="ID on the channel")
    await page.locator("#preview:not([aria-busy]) td").first.wait_for()
    await page.get_by_role("button", name="Import", exact=True).click()
    await page.get_by_text("Done", exact=True).wait_for()

    await page.get_by_role("link", name="Journeys", exact=True).click()
    await page.get_by_role("button", name="New journey").first.click()
    await page.get_by_role("dialog").get_by_label("Name of the journey").fill("Welcome")
    await page.get_by_role("button", name="Create and edit").click()
    await page.get_by_label("A customer enters when").select_option(label="Any of these tags applied")
    await page.get_by_label("Tags, with commas between").first.fill("tea")
    await page.get_by_label("LINE", exact=True).check()
    await saved(page)
    await add(page, 0, "Message")
    await page.get_by_label("Target channel", exact=True).select_option(label="LINE")
    await page.get_by_label("Bot module", exact=True).select_option(label="Welcome")
    await saved(page)
    await page.get_by_role("button", name="Publish").click()
    await page.get_by_role("button", name="Publish the journey").click()
    await expect(page.get_by_text("The journey is published.")).to_be_visible()

    await page.get_by_role("link", name="Customers", exact=True).click()
    await page.get_by_role("link", name="Mei", exact=True).click()
    await page.get_by_label("Add a tag").fill("tea")
    await page.get_by_label("Add a tag").press("Enter")
    message = await _sent(stand)
    assert message["to"] == USER
    assert "Hello Mei, tea is ready." in str(message)

    await page.get_by_role("link", name="Tour").click()
    await expect(page.locator("main .badge.good")).to_have_count(5)
    assert len(counted) <= STEPS_MAX, counted


async def _counting(page: Page) -> list[str]:
    """What somebody did: each click, each choice, each field that was left changed."""
    done: list[str] = []

    def note(what: str) -> None:
        done.append(what)

    await page.expose_function("somebodyDid", note)
    await page.add_init_script(
        "for (const kind of ['click', 'change'])"
        " addEventListener(kind, (each) => each.isTrusted && somebodyDid(`${kind} ${each.target.tagName}`), true);"
    )
    return done


async def _sent(stand: Stand) -> dict[str, Any]:
    """The message that reached the emulator."""
    url = f"{stand.emulators.urls['line']}/_emulator/log"
    async with aiohttp.ClientSession() as http, asyncio.timeout(WAIT_MS / 1000):
        while True:
            async with http.get(url) as answer:
                records = (await answer.json())["records"]
            if found := [each for each in records if each["recipient"] == USER]:
                return dict(found[0]["body"])
            await asyncio.sleep(0.05)
