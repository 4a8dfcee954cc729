"""Content, channels and settings as the console shows them."""

from __future__ import annotations

import re

import pytest

from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_WRITE
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE, WHATSAPP, say, text

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
BUTTON = {
    "card-1-kind": "button",
    "card-1-text": "Look",
    "card-1-label-1": "Shop",
    "card-1-action-1": "url",
    "card-1-value-1": "https://example.com/",
}


async def test_a_module_is_made_of_cards_shown_tried_and_deleted(stand: Stand) -> None:
    account_id = await stand.site.account(LINE)
    key = customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id="U" + 32 * "a")
    customer = customer_pb2.Customer(name="Mei", identities=[customer_pb2.Identity(key=key)])
    customer_id = (await stand.call("CreateCustomer", customer=customer)).customer.customer_id
    browser = await stand.signed_in(SCOPE_WRITE)
    assert "There is no bot module yet" in (await browser.get("/content")).text
    await browser.get("/content/new")
    first = {"name": "Welcome", "card-0-kind": "text", "card-0-text": "Hello {{customer.name}}"}
    longer = await browser.post("/content/new", {**first, "do": "add-button"})
    assert 'name="card-1-kind" value="button"' in longer.html
    assert "Hello {{customer.name}}" in longer.text, "what was typed is there again"
    shorter = await browser.post("/content/new", {**first, **BUTTON, "do": "remove-1"})
    assert "card-1-kind" not in shorter.html
    wrong = await browser.post("/content/new", {**first, **BUTTON, "card-1-value-1": "no address"})
    assert wrong.status == 422
    assert 'id="card-1-value-1-fault"' in wrong.html
    made = await browser.post("/content/new", {**first, **BUTTON})
    assert "The module is there" in made.text
    assert re.search(r'class="press">Shop<', made.html)
    nobody = await browser.post(f"{made.path}/test", {"account": account_id, "customer": ""})
    assert 'id="customer-fault"' in nobody.html
    sent = await browser.post(f"{made.path}/test", {"account": account_id, "customer": customer_id})
    assert "The test message is sent" in sent.text
    await stand.site.draft(say(LINE, made.path.rpartition("/")[2]), name="Sends it")
    assert "Sends it" in (await browser.get(made.path)).text
    refused = await browser.post(f"{made.path}/delete")
    assert refused.status == 409
    assert "The module is deleted" in (await browser.post(f"{made.path}/delete", {"force": "1"})).text


async def test_cards_that_the_form_cannot_show_stay_as_they_are(stand: Stand) -> None:
    condition = content_pb2.ConditionCard(
        figure=content_pb2.POINT_FIGURE_BALANCE,
        comparison=content_pb2.POINT_COMPARISON_AT_LEAST,
        value=10,
        then_cards=[text("Rich")],
    )
    module_id = await stand.site.module(content_pb2.Card(condition=condition), text("Bye"))
    browser = await stand.signed_in(SCOPE_WRITE)
    form = await browser.get(f"/content/{module_id}/edit")
    fields = dict(re.findall(r'name="(card-0-[a-z]+|etag)" value="([^"]*)"', form.html))
    assert fields["card-0-kind"] == "kept"
    fields |= {"name": "New name", "card-1-kind": "text", "card-1-text": "Good bye"}
    changed = await browser.post(f"/content/{module_id}/edit", fields)
    assert "The module is changed" in changed.text
    module = (await stand.call("GetBotModule", bot_module_id=module_id)).module
    assert (module.cards[0].condition, module.cards[1].text.text) == (condition, "Good bye")
    late = await browser.post(f"/content/{module_id}/edit", fields)
    assert late.status == 409


async def test_channels_show_what_is_left_and_whether_they_work(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    assert "No channel is connected yet" in (await browser.get("/channels")).text
    line = await stand.site.account(LINE)
    template_id = await stand.site.template(await stand.site.account(WHATSAPP))
    await stand.call("SetPlanQuota", account_id=line, message_limit=500)
    page = await browser.get("/channels")
    assert "0 of 500" in page.text
    assert "Works" in page.text
    checked = await browser.post(f"/channels/{line}/check")
    assert "The channel says that the account works" in checked.text
    assert "HK$0.00" in (await browser.get("/channels/wallet")).text
    name = (await stand.call("GetMessageTemplate", message_template_id=template_id)).template.name
    assert name in (await browser.get("/content/templates")).text


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
    assert (await writer.get("/settings")).status == 403
