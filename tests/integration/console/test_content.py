"""Content, channels and settings as the console shows them."""

from __future__ import annotations

import re

import pytest

from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_WRITE
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ALL, LINE, WHATSAPP, say, send, target, text

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
    as_line = await browser.get(f"{made.path}?channel=1")
    assert "Hello Mei" in as_line.text, "with the values of a customer of that channel"
    assert "Billed as 1 message" in as_line.text
    assert "Hello Mei" not in (await browser.get(f"{made.path}?channel=1&sample=")).text, "nobody's"
    nobody = await browser.post(f"{made.path}/test", {"account": account_id, "customer": ""})
    assert 'id="customer-fault"' in nobody.html
    sent = await browser.post(f"{made.path}/test", {"account": account_id, "customer": customer_id})
    assert "The test message is sent" in sent.text
    by_name = await browser.post(f"{made.path}/test", {"account": account_id, "customer": "mei"})
    assert "The test message is sent" in by_name.text
    unbound = await stand.site.account(LINE)
    unsent = await browser.post(f"{made.path}/test", {"account": unbound, "customer": customer_id})
    assert "The customer is not bound to this account" in unsent.text
    await stand.site.draft(say(LINE, made.path.rpartition("/")[2]), name="Sends it")
    assert "Sends it" in (await browser.get(made.path)).text
    refused = await browser.post(f"{made.path}/delete")
    assert refused.status == 409
    assert "The module is deleted" in (await browser.post(f"{made.path}/delete", {"force": "1"})).text


async def test_a_module_offers_a_coupon_and_says_other_things_by_points(stand: Stand) -> None:
    """機器人卡片 - 條件分流、優惠券、點數餘額變數。"""
    made = await stand.call(
        "CreateCoupon", coupon={"name": "Free tea", "type": coupon_pb2.COUPON_TYPE_MARKETING}
    )
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/content/new")
    asked = await browser.post("/content/new", {"name": "By points", "do": "add-coupon"})
    assert f'<option value="{made.coupon.coupon_id}">Free tea</option>' in asked.html
    cards = {
        "name": "By points",
        "card-0-kind": "coupon", "card-0-coupon_id": made.coupon.coupon_id,
        "card-0-text": "You have {{points.balance}}.", "card-0-button_label": "Redeem",
        "card-1-kind": "points", "card-1-figure": "2", "card-1-comparison": "1", "card-1-value": "1e400",
        "card-1-then_cards": "Rich", "card-1-else_cards": "",
    }  # fmt: skip
    wrong = await browser.post("/content/new", cards)
    assert (wrong.status, 'id="card-1-value-fault"' in wrong.html) == (422, True)
    saved = await browser.post("/content/new", cards | {"card-1-value": "100"})
    module_id = saved.path.rpartition("/")[2]
    module = (await stand.call("GetBotModule", bot_module_id=module_id)).module
    coupon, condition = module.cards[0].coupon, module.cards[1].condition
    assert (coupon.coupon_id, coupon.button_label) == (made.coupon.coupon_id, "Redeem")
    assert (condition.figure, condition.comparison, condition.value) == (2, 1, 100)
    assert ([each.text.text for each in condition.then_cards], list(condition.else_cards)) == (["Rich"], [])
    await stand.call("ArchiveCoupon", coupon_id=made.coupon.coupon_id)
    form = await browser.get(f"{saved.path}/edit")
    assert f'value="{made.coupon.coupon_id}" selected' in form.html, "what was chosen stays chosen"
    assert '<option value="2" selected>Cumulative points' in form.html


async def test_answers_below_a_text_are_not_lost_by_editing(stand: Stand) -> None:
    answers = content_pb2.TextCard(
        text="Tea?", quick_replies=[content_pb2.Button(label="Yes", message_text="Yes")]
    )
    module_id = await stand.site.module(content_pb2.Card(text=answers))
    browser = await stand.signed_in(SCOPE_WRITE)
    form = await browser.get(f"/content/{module_id}/edit")
    fields = dict(re.findall(r'name="(card-0-[a-z]+|etag)" value="([^"]*)"', form.html))
    changed = await browser.post(f"/content/{module_id}/edit", {**fields, "name": "Other"})
    assert "The module is changed" in changed.text
    module = (await stand.call("GetBotModule", bot_module_id=module_id)).module
    assert module.cards[0].text == answers


async def test_cards_that_the_form_cannot_show_stay_as_they_are(stand: Stand) -> None:
    condition = content_pb2.ConditionCard(
        figure=content_pb2.POINT_FIGURE_BALANCE,
        comparison=content_pb2.POINT_COMPARISON_AT_LEAST,
        value=10,
        then_cards=[text("Rich"), text("Very")],
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


async def test_an_account_is_made_checked_changed_switched_off_and_deleted(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    assert "Which channel is it on" in (await browser.get("/channels/new")).text
    assert 'name="access_token"' in (await browser.get("/channels/new?channel=1")).html
    wrong = await browser.post("/channels/new", {"channel": "1", "display_name": "A", "channel_id": "x"})
    assert wrong.status == 422
    assert 'id="access_token-fault"' in wrong.html
    given = {"display_name": "Tea", "channel_id": "1000000001", "access_token": "secret-token"}
    made = await browser.post("/channels/new", {"channel": "1", **given, "channel_secrets": "a\nb"})
    assert "The account is there" in made.text
    assert f"/v1/teams/{stand.site.team_id}/accounts/{made.path.rpartition('/')[2]}/events" in made.text
    refused = await browser.post(f"{made.path}/check")
    assert "The account does not work" in refused.text
    form = await browser.get(f"{made.path}/edit")
    assert "secret-token" not in form.html, "credentials are written and never shown"
    account = (await stand.call("ListChannelAccounts")).accounts[0]
    kept = {"display_name": "Tea house", "channel_id": "1000000001", "etag": account.etag}
    much = await browser.post(f"{made.path}/edit", {**kept, "concurrency_max": "257"})
    assert 'id="concurrency_max-fault"' in much.html
    kept["concurrency_max"] = "8"
    changed = await browser.post(f"{made.path}/edit", {**kept, "access_token": "emulator-token"})
    assert (await stand.call("ListChannelAccounts")).accounts[0].concurrency_max == 8
    assert 'value="8"' in (await browser.get(f"{made.path}/edit")).html
    assert "The account is changed" in changed.text
    assert "works" in (await browser.post(f"{made.path}/check")).text
    late = await browser.post(f"{made.path}/edit", kept)
    assert late.status == 409
    await browser.post(f"{made.path}/state")
    assert "Disabled" in (await browser.get(made.path)).text
    await browser.post(f"{made.path}/state", {"on": "1"})
    no_number = await browser.post(f"{made.path}/quota", {"limit": "many"})
    assert 'id="limit-fault"' in no_number.html
    assert "0 of 700" in (await browser.post(f"{made.path}/quota", {"limit": "700"})).text
    assert "no limit" in (await browser.post(f"{made.path}/quota", {"do": "refresh"})).text, "as LINE says"
    account_id = made.path.rpartition("/")[2]
    module_id = await stand.site.module()
    await stand.site.draft(say(LINE, module_id), name="Uses it", targets=[target(LINE, account_id)])
    assert "Uses it" in (await browser.get(made.path)).text
    assert (await browser.post(f"{made.path}/delete")).status == 409
    writer = await stand.signed_in(SCOPE_WRITE)
    assert "New account" not in (await writer.get("/channels")).text
    assert (await writer.post("/channels/new", {"channel": "1", **given})).status == 403
    assert "The account is deleted" in (await browser.post(f"{made.path}/delete", {"force": "1"})).text
    assert (await browser.get(made.path)).status == 404


async def test_the_prepaid_balance_is_changed_watched_and_accounted_for(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    await browser.get("/channels/wallet")
    assert (await browser.post("/channels/wallet", {"amount": "1,00"})).status == 422
    grouped = await browser.post("/channels/wallet", {"amount": "1,000", "note": "as pages write it"})
    assert "HK$1,000.00" in grouped.text
    await browser.post("/channels/wallet", {"direction": "take", "amount": "1,000.00"})
    wrong = await browser.post("/channels/wallet", {"amount": "much"})
    assert (wrong.status, 'id="amount-fault"' in wrong.html) == (422, True)
    added = await browser.post("/channels/wallet", {"amount": "99.50", "note": "invoice 7"})
    assert "HK$99.50" in added.text
    assert "invoice 7" in added.text
    too_much = await browser.post("/channels/wallet", {"direction": "take", "amount": "100"})
    assert too_much.status == 409
    low = await browser.post("/channels/wallet/alert", {"threshold": "100"})
    assert "below the amount at which you want to be warned" in low.text
    never = await browser.post("/channels/wallet/alert", {"threshold": ""})
    assert "below the amount at which you want to be warned" not in never.text
    assert "Nothing has cost anything yet" in (await browser.get("/channels/charges?channel=2")).text
    writer = await stand.signed_in(SCOPE_WRITE)
    assert 'name="amount"' not in (await writer.get("/channels/wallet")).html


async def whatsapp_account(stand: Stand) -> str:
    """One whose templates can be read."""
    account = account_pb2.ChannelAccount(channel=WHATSAPP, display_name="Shop")
    account.whatsapp.phone_number_id, account.whatsapp.waba_id = "100000000000001", "200000000000001"
    account.whatsapp.access_token = "emulator-token"
    made = await stand.call("CreateChannelAccount", account=account)
    return str(made.account.channel_account_id)


async def template_at_whatsapp(
    browser: Browser, stand: Stand, name: str, status: str, reason: str = "NONE"
) -> None:
    """A template with one parameter, and why it is refused."""
    url = stand.emulators.urls["whatsapp"]
    body = {"type": "BODY", "text": "Dear {{1}}.", "example": {"body_text": [["a"]]}}
    definition = {"name": name, "language": "en", "category": "MARKETING", "components": [body]}
    headers = {"Authorization": "Bearer emulator-token"}
    made = f"{url}/v25.0/200000000000001/message_templates"
    async with browser.http.post(made, json=definition, headers=headers) as answer:
        assert answer.status in {200, 400}, "it may be there already"
    state = {
        "waba_id": "200000000000001",
        "name": name,
        "language": "en",
        "status": status,
        "reason": reason,
    }
    async with browser.http.patch(f"{url}/_emulator/templates", json=state) as answer:
        assert answer.status == 200


async def test_templates_are_read_from_whatsapp_shown_filled_in_tested_and_deleted(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    account_id = await whatsapp_account(stand)
    await template_at_whatsapp(browser, stand, "console_dear", "APPROVED")
    assert "Synchronise Shop" in (await browser.get("/content/templates")).text
    synced = await browser.post("/content/templates/sync", {"account": account_id})
    assert "Read from WhatsApp" in synced.text
    (dear,) = (
        each for each in (await stand.call("ListMessageTemplates")).templates if each.name == "console_dear"
    )
    path = f"/content/templates/{dear.message_template_id}"
    assert "Fill in its parameters to see it" in (await browser.get(path)).text
    key = customer_pb2.IdentityKey(channel=WHATSAPP, account_id=account_id, external_id="886912345678")
    mei = customer_pb2.Customer(name="Mei", identities=[customer_pb2.Identity(key=key)])
    customer_id = (await stand.call("CreateCustomer", customer=mei)).customer.customer_id
    shown = await browser.post(path, {"do": "show", "parameters": "{{customer.name}}"})
    assert "Dear Mei." in shown.text
    wrong = await browser.post(path, {"do": "test", "parameters": "", "customer": customer_id})
    assert wrong.status == 422
    assert 'id="parameters-fault"' in wrong.html
    unpaid = await browser.post(path, {"do": "test", "parameters": "you", "customer": customer_id})
    assert "The prepaid balance is used up" in unpaid.text
    await template_at_whatsapp(browser, stand, "console_dear", "PAUSED")
    await browser.post("/content/templates/sync", {"account": account_id})
    assert "WhatsApp paused it" in (await browser.get(path)).text
    await template_at_whatsapp(browser, stand, "console_dear", "REJECTED", "INVALID_FORMAT")
    await browser.post("/content/templates/sync", {"account": account_id})
    why = "Its variables or characters are not as WhatsApp wants them."
    assert f"Why it was refused: {why}" in (await browser.get(path)).text
    assert why in (await browser.get("/content/templates")).text
    await stand.site.draft(send(dear.message_template_id, "you"), name="Sends it")
    used = await browser.get(path)
    assert "Sends it" in used.text
    assert (await browser.post(f"{path}/delete")).status == 409
    assert "deleted here" in (await browser.post(f"{path}/delete", {"force": "1"})).text
    assert (await browser.get(path)).status == 404


async def test_no_other_team_s_content_can_be_seen(stand: Stand) -> None:
    template_id = await stand.site.template(await stand.site.account(WHATSAPP))
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(f"/content/templates/{template_id}")).status == 404
    assert (await stranger.get("/content/templates/none")).status == 404


async def test_the_editor_shows_a_message_with_a_sample_customers_values(stand: Stand) -> None:
    account_id = await stand.site.account(LINE)
    key = customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id="U" + 32 * "b")
    ann = customer_pb2.Customer(name="Ann", identities=[customer_pb2.Identity(key=key)])
    await stand.call("CreateCustomer", customer=ann)
    module_id = await stand.site.module(text("Hello {{customer.name|friend}}"))
    journey_id = await stand.site.draft(say(LINE, module_id), targets=[target(LINE, account_id)])
    browser = await stand.signed_in(SCOPE_WRITE)
    path = f"/journeys/{journey_id}/edit?node=n0"
    assert "Hello Ann" in (await browser.get(path)).text
    assert "Hello friend" in (await browser.get(f"{path}&sample=")).text
    etag = (await stand.call("GetJourney", journey_id=journey_id)).journey.etag
    form = {"etag": etag, "channel": "1", "content": "module", "bot_module_id": module_id, "sample": "none"}
    part = await browser.post(f"/journeys/{journey_id}/nodes/n0", form, headers={"X-Requested-With": "fetch"})
    assert "Hello friend" in part.text, "what changes while one types"
    assert etag in part.html, "choosing a customer to look with changes nothing"


async def test_prices_and_the_frequency_cap_are_set_and_faults_stand_at_their_fields(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_ADMIN)
    assert "Usual price" in (await browser.get("/channels/limits")).text
    wrong = await browser.post("/channels/limits/price", {"channel": "1", "price": "-1", "currency": "TWD"})
    assert (wrong.status, 'id="price-fault"' in wrong.html) == (422, True)
    price = {"channel": "1", "price": "0.35", "currency": "twd"}
    assert "0.35" in (await browser.post("/channels/limits/price", price)).text
    rules = {"channel_0": "0", "max_0": "", "channel_1": "1", "max_1": "3", "period_1_days": "7"}
    set_now = await browser.post("/channels/limits/frequency", rules)
    assert "The frequency cap is set" in set_now.text
    (rule,) = (await stand.call("GetFrequencyCap")).frequency_cap.rules
    assert (rule.channel, rule.message_max, rule.period.seconds) == (LINE, 3, 7 * 86_400)
    short = await browser.post("/channels/limits/frequency", {**rules, "period_1_days": "0"})
    assert (short.status, 'id="period_0_days-fault"' in short.html) == (422, True)
    late = await browser.post("/channels/limits/frequency", {**rules, "etag": "old"})
    assert late.status == 409
    await browser.post("/channels/limits/frequency", {"max_0": ""})
    assert not (await stand.call("GetFrequencyCap")).frequency_cap.rules
    writer = await stand.signed_in(SCOPE_WRITE)
    assert (await writer.post("/channels/limits/frequency", rules)).status == 403
