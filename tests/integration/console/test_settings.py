"""Settings as the console shows them: the team, attributes, tags, retention, API clients."""

from __future__ import annotations

import re

import pytest

from libs.console.pages.settings_retention import KINDS
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1 import audience_pb2, consent_pb2, customer_pb2
from tests.integration.console.browser import Browser, Page
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ALL, ask

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
TEAM = {"name": "Tea house", "time_zone": "Asia/Tokyo", "currency_code": "JPY", "country_code": "jp"}


async def ended(browser: Browser, page: Page) -> Page:
    """The page of work when that is done."""
    while "data-refresh" in page.html:
        page = await browser.get(page.path)
    return page


async def test_the_team_s_settings_are_changed_and_faults_stand_at_their_fields(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    form = await browser.get("/settings/team")
    assert 'value="Asia/Taipei"' in form.html
    wrong = {**TEAM, "time_zone": "Nowhere", "currency_code": "X", "window_days": "7"}
    refused = await browser.post("/settings/team", wrong)
    assert refused.status == 422
    assert {f'id="{name}-fault"' in refused.html for name in ("time_zone", "currency_code")} == {True}
    assert 'value="Nowhere"' in refused.html, "what was typed is there again"
    for rates in ("USD", "31.5 USD", "USD 31.5\nUSD 32", "JPY 1", "USD -1", "USD 1e9"):
        refused = await browser.post("/settings/team", {**TEAM, "window_days": "7", "currency_rates": rates})
        assert (refused.status, 'id="currency_rates-fault"' in refused.html) == (422, True), rates
        assert rates in refused.html, "what was typed is there again"
    words = {"stop_words": "不要\n停", "start_words": "好", "points_channels": "1"}
    words["currency_rates"] = "usd 150.50\n\nTWD: 4.6"
    given = {**TEAM, **words, "window_days": "3", "window_hours": "12", "unsigned_orders_count": "1"}
    changed = await browser.post("/settings/team", given)
    assert "The settings are changed" in changed.text
    team = (await stand.call("GetTeam")).team
    settings = team.settings
    assert (team.name, settings.country_code, settings.currency_code) == ("Tea house", "JP", "JPY")
    assert settings.attribution_window.seconds == (3 * 24 + 12) * 3600
    assert (list(settings.consent_words.stop_words), list(settings.points_channels)) == (["不要", "停"], [1])
    assert [(each.currency_code, each.rate) for each in settings.currency_rates] == [
        ("USD", "150.5"),
        ("TWD", "4.6"),
    ]
    assert "USD 150.5\nTWD 4.6</textarea>" in (await browser.get("/settings/team")).html
    assert len(settings.modules) == len(ALL), "what was bought stays"
    late = await browser.post("/settings/team", {**given, "etag": "old"})
    assert late.status == 409
    writer = await stand.signed_in(SCOPE_WRITE)
    assert (await writer.post("/settings/team", given)).status == 403


async def test_attributes_are_made_renamed_given_another_type_put_away_made_one_and_deleted(
    stand: Stand,
) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "The team has no attribute yet" in (await browser.get("/settings/attributes")).text
    wrong = await browser.post("/settings/attributes", {"key": "1st", "display_name": "", "type": "1"})
    assert (wrong.status, 'id="key-fault"' in wrong.html) == (422, True)
    fields = {"key": "size", "display_name": "Size", "type": "1"}
    assert "The attribute is there" in (await browser.post("/settings/attributes", fields)).text
    assert (await browser.post("/settings/attributes", fields)).status == 409
    for value in ("12", "large"):
        customer = customer_pb2.Customer(name=value, attributes={"size": value})
        await stand.call("CreateCustomer", customer=customer)
    renamed = await browser.post("/settings/attributes/size", {"display_name": "Shoe size"})
    assert "Shoe size" in renamed.text
    looked = await browser.post("/settings/attributes/size/type", {"type": "2", "do": "look"})
    assert "1 of 2 values fit" in looked.text
    assert "large" in looked.text
    changed = await browser.post(
        "/settings/attributes/size/type", {"type": "2", "do": "change", "convert": "1"}
    )
    assert "Values that fit are taken over" in changed.text
    assert "Done" in (await ended(browser, changed)).text
    predicate = audience_pb2.AttributePredicate(key="size", is_set=audience_pb2.IsSet())
    await stand.site.draft(ask(audience_pb2.Audience(attribute=predicate)), name="Asks for it")
    assert "Asks for it" in (await browser.get("/settings/attributes/size")).text
    assert (await browser.post("/settings/attributes/size/archive")).status == 409
    archived = await browser.post("/settings/attributes/size/archive", {"force": "1"})
    assert "The attribute is archived" in archived.text
    assert "The attribute is back" in (await browser.post("/settings/attributes/size/restore")).text
    used = await browser.get("/settings/attributes/size")
    assert ("Delete it all the same" in used.text, "Delete this attribute?" in used.text) == (True, False)
    refused = await browser.post("/settings/attributes/size/delete")
    assert (refused.status, "Asks for it" in refused.text) == (409, True)
    await browser.post("/settings/attributes", {"key": "old", "display_name": "", "type": "1"})
    assert "Delete this attribute?" in (await browser.get("/settings/attributes/old")).text
    deleted = await browser.post("/settings/attributes/old/delete")
    assert "The attribute is being deleted" in deleted.text
    assert "Done" in (await ended(browser, deleted)).text
    assert (await browser.get("/settings/attributes/old")).status == 404
    assert "There is no other attribute of this type" in used.text
    await browser.post("/settings/attributes", {"key": "feet", "display_name": "Feet", "type": "2"})
    alike = await browser.get("/settings/attributes/size")
    assert ('value="feet"' in alike.html, "Also though it is used" in alike.text) == (True, True)
    named = await browser.post("/settings/attributes/size/merge", {"into_key": "feet"})
    assert (named.status, "Asks for it" in named.text) == (409, True)
    wrong = await browser.post("/settings/attributes/size/merge", {"into_key": "size", "force": "1"})
    assert (wrong.status, 'id="into_key-fault"' in wrong.html) == (422, True)
    reader = await stand.signed_in(SCOPE_READ)
    asked = {"into_key": "feet", "force": "1"}
    assert (await reader.post("/settings/attributes/size/merge", asked)).status == 403
    assert "Make them one" not in (await reader.get("/settings/attributes/size")).text
    merged = await browser.post("/settings/attributes/size/merge", asked)
    assert "The two attributes become one" in merged.text
    assert "Done" in (await ended(browser, merged)).text
    found = (await stand.call("ListCustomers")).customers
    assert {each.attributes["feet"] for each in found if each.attributes} == {"12"}
    assert "New attribute" not in (await reader.get("/settings/attributes")).text
    assert (await reader.post("/settings/attributes/feet/delete", {"force": "1"})).status == 403
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get("/settings/attributes/feet")).status == 404


async def test_tags_are_renamed_made_one_and_deleted(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "Nobody has a tag yet" in (await browser.get("/settings/tags")).text
    for name, tags in (("Mei", ["50% off/now", "vip"]), ("Ann", ["gold"])):
        await stand.call("CreateCustomer", customer=customer_pb2.Customer(name=name, tags=tags))
    odd = "/settings/tags/50%25%20off%2Fnow"
    assert odd in (await browser.get("/settings/tags")).html
    taken = await browser.post(odd, {"new_tag": "gold"})
    assert (taken.status, 'id="new_tag-fault"' in taken.html) == (409, True)
    merged = await browser.post(odd, {"new_tag": "gold", "merge": "1"})
    assert "The tag is being renamed" in merged.text
    assert "Done" in (await ended(browser, merged)).text
    listed = (await stand.call("ListTags")).tags
    assert {each.tag: each.customer_count for each in listed} == {"gold": 2, "vip": 1}
    wanted = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["vip"])
    saved = audience_pb2.SavedAudience(name="Best", audience=audience_pb2.Audience(tags=wanted))
    await stand.call("CreateSavedAudience", saved_audience=saved)
    assert "Best" in (await browser.get("/settings/tags/vip")).text
    assert (await browser.post("/settings/tags/vip/delete")).status == 409
    deleted = await browser.post("/settings/tags/vip/delete", {"force": "1"})
    await ended(browser, deleted)
    assert (await browser.post("/settings/tags/vip/delete")).status == 404
    reader = await stand.signed_in(SCOPE_READ)
    assert "New name" not in (await reader.get("/settings/tags/gold")).text


async def test_how_long_records_are_kept_is_said_in_days(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    await browser.get("/settings/retention")
    wrong = await browser.post("/settings/retention", {"webhook_bodies": "6", "histories": "soon"})
    assert 'id="histories-fault"' in wrong.html
    short = await browser.post("/settings/retention", {"webhook_bodies": "6"})
    assert (short.status, 'id="webhook_bodies-fault"' in short.html) == (422, True)
    changed = await browser.post("/settings/retention", {"webhook_bodies": "7", "histories": "400"})
    assert "The periods are changed" in changed.text
    assert re.search(r'name="histories"[^>]*value="400"', changed.html)
    emptied = await browser.post("/settings/retention", {"webhook_bodies": "7"})
    assert 'value="400"' not in emptied.html, "as the installation says"
    hours = await browser.post("/settings/retention", {"hourly_figures": "399"})
    assert (hours.status, 'id="hourly_figures-fault"' in hours.html) == (422, True)
    kinds = {each.name for each in consent_pb2.Retention.DESCRIPTOR.fields} - {"etag"}
    assert kinds == {kind.name for kind in KINDS}, "every kind of the contract has its field"
    reader = await stand.signed_in(SCOPE_READ)
    assert (await reader.post("/settings/retention", {"webhook_bodies": "8"})).status == 403


async def test_a_client_gets_a_new_token_and_other_scopes(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    old = await stand.token(SCOPE_WRITE, name="Shop")
    (shop,) = (each for each in (await stand.call("ListApiClients")).api_clients if each.name == "Shop")
    path = f"/settings/clients/{shop.api_client_id}"
    assert path in (await browser.get("/settings/clients")).html
    rotated = await browser.post(f"{path}/rotate", {"grace": "24"})
    (token,) = re.findall(r"<code[^>]*>(oj_[^<]+)<", rotated.html)
    assert token not in (await browser.get(path)).html, "it is shown once"
    other = stand.browser()
    assert (await other.sign_in(old)).status == 200, "the old one works for a day"
    await browser.post(f"{path}/rotate", {"grace": "0"})
    wrong = await browser.post(path, {"name": "", "scope": "1"})
    assert (wrong.status, 'id="name-fault"' in wrong.html) == (422, True)
    no_moment = await browser.post(path, {"name": "Shop", "scope": "1", "expire_time": "soon"})
    assert 'id="expire_time-fault"' in no_moment.html
    changed = await browser.post(path, {"name": "Web shop", "scope": "1", "expire_time": "2090-01-01T00:00"})
    assert "The client is changed" in changed.text
    (shop,) = (each for each in (await stand.call("ListApiClients")).api_clients if each.name == "Web shop")
    assert (list(shop.scopes), shop.expire_time.seconds > 0) == ([SCOPE_READ], True)
    await browser.post(f"{path}/revoke")
    assert "This client is revoked" in (await browser.get(path)).text
    await stand.site.team(ALL)
    stranger = await stand.signed_in(SCOPE_ADMIN)
    assert (await stranger.get(path)).status == 404


async def test_clients_are_made_revoked_and_audited(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    await browser.get("/settings/clients")
    wrong = await browser.post("/settings/clients", {"name": "", "scope": "1"})
    assert wrong.status == 422
    assert 'id="name-fault"' in wrong.html
    made = await browser.post("/settings/clients", {"name": "Shop", "scope": "1"})
    assert re.search(r"<code[^>]*>oj_", made.html), "the token is shown once"
    assert "oj_" not in (await browser.get("/settings/clients")).html
    (shop,) = (each for each in (await stand.call("ListApiClients")).api_clients if each.name == "Shop")
    revoked = await browser.post(f"/settings/clients/{shop.api_client_id}/revoke")
    assert "Its token is refused from now on" in revoked.text
    log = await browser.get("/settings?type=ApiClient")
    assert {"CreateApiClient", "RevokeApiClient"} <= set(log.text.split())
    writer = await stand.signed_in(SCOPE_WRITE)
    assert (await writer.get("/settings/clients")).status == 403
    assert (await writer.get("/settings")).path == "/settings/attributes", "what it may change"
