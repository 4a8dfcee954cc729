"""Signing in, what protects it, and what everybody sees."""

from __future__ import annotations

import re

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_READ
from tests.integration.console.conftest import Stand

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


async def test_who_is_not_signed_in_is_asked_for_a_token_and_comes_back(stand: Stand) -> None:
    browser = stand.browser()
    asked = await browser.get("/journeys?name=a")
    assert asked.path == "/sign-in"
    assert 'value="/journeys?name=a"' in asked.html
    refused = await browser.sign_in("oj_nobody")
    assert refused.status == 422
    assert "No client has this token" in refused.text
    assert 'aria-invalid="true"' in refused.html
    signed_in = await browser.post("/sign-in", {"token": await stand.token(), "back": "//elsewhere.example/"})
    assert signed_in.path == "/journeys", "nobody is sent to another site"
    out = await browser.post("/sign-out")
    assert (out.path, "signed out" in out.text) == ("/sign-in", True)
    assert (await browser.get("/journeys")).path == "/sign-in"


async def test_a_token_that_ends_ends_the_session(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_READ)
    (mine,) = (await stand.call("ListApiClients")).api_clients
    await stand.call("RevokeApiClient", api_client_id=mine.api_client_id)
    for _ in range(500):
        page = await browser.get("/journeys")
        if page.path == "/sign-in":
            break
    assert "not valid any more" in page.text


async def test_what_a_session_that_is_over_was_sent_is_not_done_and_one_comes_back(stand: Stand) -> None:
    browser = await stand.signed_in()
    await browser.get("/settings/tags")
    browser.http.cookie_jar.clear()
    sent = {"Referer": f"{browser.url}/settings/attributes?page=1"}
    over = await browser.post("/settings/attributes", {"key": "tier"}, headers=sent)
    assert (over.path, "this was not done" in over.text) == ("/sign-in", True)
    assert 'value="/settings/attributes?page=1"' in over.html
    assert not (await stand.call("ListAttributes")).attributes
    back = await browser.post(
        "/sign-in", {"token": await stand.token(), "back": "/settings/attributes?page=1"}
    )
    assert back.path == "/settings/attributes"
    browser.http.cookie_jar.clear()
    foreign = await browser.post(
        "/settings/attributes", {"key": "tier"}, headers={"Origin": "https://else.example"}
    )
    assert foreign.status == 403, "another site is not helped"


async def test_a_page_that_is_not_there_leads_to_one_that_is(stand: Stand) -> None:
    page = await (await stand.signed_in(language="zh-TW")).get("/nowhere")
    assert (page.status, "找不到此頁面" in page.text, "回到首頁" in page.text) == (404, True, True)
    assert "再試一次" not in page.text


async def test_a_client_of_the_installation_chooses_a_team(stand: Stand) -> None:
    browser = stand.browser()
    chosen = await browser.sign_in(stand.installation_token)
    assert chosen.path == "/team"
    assert stand.site.team_id in chosen.html
    assert (await browser.get("/journeys")).path == "/team"
    shown = await browser.post("/team", {"team_id": stand.site.team_id})
    assert shown.path == "/journeys"
    nowhere = await browser.post("/team", {"team_id": "018f0000-0000-7000-8000-000000000009"})
    assert nowhere.status == 404


async def test_a_client_of_a_team_sees_no_other_one(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    await stand.site.team([])
    await browser.post("/team", {"team_id": stand.site.team_id})
    page = await browser.get("/team")
    assert page.path == "/journeys"
    assert stand.site.team_id not in page.html


@pytest.mark.parametrize("path", ["/sign-in", "/journeys", "/nowhere", "/static/0/console.css"])
async def test_what_a_browser_may_do_is_said_with_every_answer(stand: Stand, path: str) -> None:
    browser = await stand.signed_in()
    page = await browser.get(path)
    assert set(page.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page.html)


async def test_a_session_is_sealed_and_out_of_reach_of_scripts_and_other_sites(stand: Stand) -> None:
    browser = stand.browser()
    token = await stand.token()
    await browser.get("/sign-in")
    before = browser.csrf
    answer = await browser.post("/sign-in", {"token": token}, allow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} < set(cookie.split("; "))
    assert token not in cookie
    await browser.get("/journeys")
    assert browser.csrf != before, "what was known before signing in is worth nothing afterwards"
    name, _, sealed = cookie.partition(";")[0].partition("=")
    broken = sealed.strip('"')[:-6] + "AAAAA="
    other = stand.browser()
    assert (await other.get("/journeys", cookies={name: broken})).path == "/sign-in"


@pytest.mark.parametrize(
    ("headers", "csrf"),
    [
        ({"Origin": "https://evil.example"}, None),
        ({"Origin": "null"}, None),
        ({}, ""),
        ({}, "guessed"),
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    stand: Stand, headers: dict[str, str], csrf: str | None
) -> None:
    browser = await stand.signed_in()
    await browser.get("/journeys")
    fields = {} if csrf is None else {"csrf": csrf}
    page = await browser.post("/sign-out", fields, headers=headers)
    assert page.status == 403
    assert (await browser.get("/journeys")).path == "/journeys"


async def test_every_page_is_there_in_both_languages(stand: Stand) -> None:
    browser = await stand.signed_in(language="zh-TW,zh;q=0.9")
    page = await browser.get("/journeys")
    assert 'lang="zh-TW"' in page.html
    assert "登出" in page.text
    english = await browser.post("/language", {"language": "en", "back": "/journeys"})
    assert (english.path, "Sign out" in english.text) == ("/journeys", True)
    assert (
        await browser.post("/language", {"language": "xx", "back": "https://evil.example"})
    ).path == "/journeys"


async def test_what_fails_says_so_with_a_number_to_look_it_up_by(stand: Stand) -> None:
    browser = await stand.signed_in()
    page = await browser.get("/journeys/018f0000-0000-7000-8000-000000000009")
    assert page.status == 404
    assert page.headers["X-Request-Id"] in page.text
