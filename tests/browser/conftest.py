"""Chromium before the console and all five services. Each test has a team of its own and somebody who is signed in."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from libs.console.languages import OWN_NAMES
from libs.testing.fixtures import Databases, Servers
from tests.integration.console.conftest import Stand, serving_console
from tests.integration.journey.whole_site import ALL
from tools.paths import ROOT

PICTURES: Final = ROOT / "docs" / "pictures" / "console"
PROGRAM: Final = "chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It runs as root in CI, without a screen, and calls nobody but the console."""
WAIT_MS: Final = 20_000
"""Nothing is that slow: it is how long a busy machine is waited for."""
AXE: Final = Path(AXE_FILE_PATH).read_text()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One for all tests."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"no {PROGRAM} here: apt-get install {PROGRAM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def console(
    chromium: Browser, servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    """The console and the services."""
    async with serving_console(servers, databases, tmp_path_factory.mktemp("console")) as stand:
        yield stand


@pytest_asyncio.fixture(loop_scope="package")
async def stand(console: Stand) -> Stand:
    """The same with a new team."""
    await console.site.team(ALL)
    return console


@pytest_asyncio.fixture(loop_scope="package")
async def context(chromium: Browser, stand: Stand) -> AsyncIterator[BrowserContext]:
    """Somebody's cookies and windows; what a page throws or is refused fails the test."""
    context = await chromium.new_context(base_url=stand.url, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    yield context
    await context.close()
    assert wrong == []


@pytest_asyncio.fixture(loop_scope="package")
async def page(context: BrowserContext, stand: Stand) -> Page:
    """Signed in, on the first page."""
    page = await context.new_page()
    await page.goto("/sign-in")
    await page.get_by_label("Token").fill(await stand.token())
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/journeys")
    return page


async def accessibility_faults(page: Page) -> list[str]:
    """What axe-core finds on the page, by WCAG 2.2 AA, as it stands."""
    # By the protocol, not as a script of the page: the page's policy lets in scripts of its own only.
    await page.evaluate(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = await page.evaluate("tags => axe.run({ runOnly: tags })", tags)
    return [
        f"{each['id']}: {node['html'][:200]} ({node['failureSummary'][:300]})"
        for each in found["violations"]
        for node in each["nodes"]
    ]


async def picture(page: Page, name: str) -> None:
    """Keeps the page in both languages as pictures for docs, where PICTURES=1 of the environment says so."""
    if os.environ.get("PICTURES") != "1":
        return
    for language, own_name in OWN_NAMES.items():
        address = page.url.partition("#")[0]
        await page.get_by_role("button", name=own_name).click()
        await page.goto(address)
        await page.evaluate("document.activeElement.blur()")
        await picture_of(page, name, language)


async def picture_of(page: Page, name: str, language: str) -> None:
    """Keeps the page as it is, where PICTURES=1 says so."""
    if os.environ.get("PICTURES") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=PICTURES / f"{name}.{language}.png")
