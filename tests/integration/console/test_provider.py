"""Signing in by an identity provider that is not ours, before the services."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from libs.console.app import serving
from libs.console.config import ConsoleSettings
from libs.console.provider import BACK_PATH
from libs.embedded.ports import free_port
from omnijourney.common.v1.scope_pb2 import SCOPE_READ
from tests.integration.console.browser import Browser, Page
from tests.integration.console.conftest import Stand

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
WAIT_S = 30.0


@dataclass
class Company:
    """A provider in a process of its own, and whoever has an account there."""

    issuer: str
    http: aiohttp.ClientSession

    async def account(self, subject: str, **claims: Any) -> None:
        """Somebody of whom it says this."""
        async with self.http.put(f"{self.issuer}/users/{subject}", json=claims) as answer:
            assert answer.status == 204

    async def says_yes(self, address: str, subject: str, action: str = "authorize") -> str:
        """Where somebody is sent who presses the button of its page."""
        form = {"sub": subject, "action": action}
        async with self.http.post(address, data=form, allow_redirects=False) as answer:
            return answer.headers["Location"]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def company() -> AsyncIterator[Company]:
    """Once for this file."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(WAIT_S):
            found = Company(f"http://127.0.0.1:{port}", http)
            while not await _answers(found):
                await asyncio.sleep(0.05)
            yield found
    finally:
        process.kill()
        await process.wait()


async def _answers(company: Company) -> bool:
    try:
        async with company.http.get(company.issuer) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def console_of(stand: Stand, company: Company, people: str, folder: Path) -> AsyncIterator[Browser]:
    """A browser at a console that knows the provider and these people."""
    file = folder / "people.toml"
    file.write_text(people)
    port = free_port()
    settings = ConsoleSettings(
        console_port=port,
        console_url=f"http://127.0.0.1:{port}",
        console_oidc_issuer=company.issuer,
        console_oidc_client_id="console of the shop",
        console_oidc_client_secret="s%crét/",
        console_oidc_people_file=file,
        data_dir=folder,
    ).model_copy(update=stand.site.targets)
    async with serving(settings) as url:
        browser = Browser(url)
        try:
            yield browser
        finally:
            await browser.http.close()


async def to_company(browser: Browser, back: str = "/journeys") -> str:
    """The page of the provider that the button leads to."""
    asked = await browser.get("/sign-in")
    assert "company's account" in asked.text
    sent = await browser.get(f"/sign-in/provider?back={back}", allow_redirects=False)
    assert sent.status == 303
    return str(sent.headers["Location"])


async def back(browser: Browser, address: str) -> Page:
    """What the console shows to who comes back."""
    parts = urlsplit(address)
    assert parts.path == BACK_PATH
    return await browser.get(f"{parts.path}?{parts.query}")


async def test_who_has_an_account_signs_in_and_acts_as_their_client(
    stand: Stand, company: Company, tmp_path: Path
) -> None:
    token = await stand.token(SCOPE_READ, name="Readers")
    await company.account("ann", name="Ann Chen", groups=["staff", "readers"])
    people = f'claim = "groups"\n[clients]\nreaders = "{token}"\n'
    async with console_of(stand, company, people, tmp_path) as browser:
        page = await to_company(browser, back="/audiences")
        asked = dict(parse_qsl(urlsplit(page).query))
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert {"state", "nonce", "code_challenge"} <= set(asked)
        address = await company.says_yes(page, "ann")
        signed_in = await back(browser, address)
        assert (signed_in.status, signed_in.path) == (200, "/audiences")
        assert "Ann Chen" in signed_in.text
        assert "Readers" in signed_in.text
        await browser.post("/sign-out")
        again = await back(browser, address)
        assert (again.path, "not begun here" in again.text) == ("/sign-in", True), "an answer counts once"


async def test_who_is_in_no_list_is_not_let_in(stand: Stand, company: Company, tmp_path: Path) -> None:
    token = await stand.token()
    await company.account("eve", groups=["visitors"])
    await company.account("bob", email="bob@shop.example", email_verified=False)
    for claim, who in (("groups", "eve"), ("email", "bob")):
        people = f'claim = "{claim}"\n[clients]\n"bob@shop.example" = "{token}"\n'
        async with console_of(stand, company, people, tmp_path) as browser:
            refused = await back(browser, await company.says_yes(await to_company(browser), who))
            assert (refused.path, "may not use this console yet" in refused.text) == ("/sign-in", True)
            assert (await browser.get("/journeys")).path == "/sign-in"


async def test_an_answer_to_somebody_else_and_a_refusal_sign_nobody_in(
    stand: Stand, company: Company, tmp_path: Path
) -> None:
    token = await stand.token()
    await company.account("ann", email="Ann@Shop.example", email_verified=True)
    people = f'[clients]\n"ann@shop.example" = "{token}"\n'
    async with console_of(stand, company, people, tmp_path) as mine:
        hers = Browser(mine.url)
        try:
            answer = await company.says_yes(await to_company(hers), "ann")
            await to_company(mine)
            stolen = await back(mine, answer)
            assert (stolen.path, "not begun here" in stolen.text) == ("/sign-in", True)
            assert (await back(hers, answer)).path == "/journeys"
        finally:
            await hers.http.close()
        page = await to_company(mine)
        state = parse_qs(urlsplit(page).query)["state"][0]
        denied = await mine.get(f"{BACK_PATH}?error=access_denied&state={state}")
        assert (denied.path, "was broken off" in denied.text) == ("/sign-in", True)


async def test_a_client_that_was_revoked_lets_nobody_in(
    stand: Stand, company: Company, tmp_path: Path
) -> None:
    await company.account("ann", email="ann@shop.example", email_verified=True)
    people = '[clients]\n"ann@shop.example" = "oj_long_gone"\n'
    async with console_of(stand, company, people, tmp_path) as browser:
        refused = await back(browser, await company.says_yes(await to_company(browser), "ann"))
        assert (refused.path, "was revoked or has expired" in refused.text) == ("/sign-in", True)


async def test_without_a_provider_there_is_only_the_token(stand: Stand) -> None:
    browser = stand.browser()
    assert "company's account" not in (await browser.get("/sign-in")).text
    assert (await browser.get("/sign-in/provider")).path == "/sign-in"
    assert (await browser.get(f"{BACK_PATH}?code=x&state=")).path == "/sign-in"
