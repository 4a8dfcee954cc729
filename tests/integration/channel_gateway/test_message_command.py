"""`omnijourney message test` as people run it: a process of its own."""

from __future__ import annotations

import pytest

from libs.testing.fixtures import Servers
from tests.command_line import Done, omnijourney
from tests.integration.channel_gateway.conftest import LINE, WHATSAPP, Gateway


async def run(gateway: Gateway, servers: Servers, *arguments: str, what: str = "test") -> Done:
    environment = {
        "OMNIJOURNEY_CHANNEL_GATEWAY_TARGET": f"127.0.0.1:{gateway.app.port}",
        "OMNIJOURNEY_TOKEN": servers.token,
    }
    team = ("--team", str(gateway.team_id))
    return await omnijourney("message", what, *arguments, *team, environment=environment)


@pytest.mark.rule("C-10f")
async def test_content_goes_to_one_person_and_what_became_of_it_is_said(
    gateway: Gateway, servers: Servers
) -> None:
    account, module = await gateway.account(LINE), await gateway.module("Hi {{trigger.what|all}}")
    customer = gateway.customer(account, LINE)
    sent = await run(
        gateway, servers, customer, "--account", "Shop", "--module", "Hello", "--data", "what=you"
    )
    assert (sent.code, sent.err) == (0, "")
    state, channel, key = sent.out.split()
    assert (state, channel) == ("SENT", "LINE")
    assert (await gateway.delivery(key)).test
    (message,) = await gateway.accepted("line")
    assert message["body"]["messages"][0]["text"] == "Hi you"

    stranger = gateway.customer(account, LINE, blocked=True)
    refused = await run(gateway, servers, stranger, "--account", account, "--module", module)
    assert (refused.code, refused.out.split()[:2]) == (1, ["SKIPPED", "BLOCKED"])
    unknown = await run(gateway, servers, customer, "--account", "Shop", "--module", "Other")
    assert (unknown.code, unknown.err) == (1, "there is no bot module 'Other'\n")
    await gateway.account(LINE)
    twice = await run(gateway, servers, customer, "--account", "Shop", "--module", "Hello")
    assert twice.code == 1
    assert "2 have the name 'Shop': give the id" in twice.err


async def test_a_template_takes_its_parameters_and_needs_them(gateway: Gateway, servers: Servers) -> None:
    account = await gateway.account(WHATSAPP)
    await gateway.template(account, "sale", 2)
    await gateway.top_up(1_000_000)
    customer = gateway.customer(account, WHATSAPP)
    asked = (customer, "--account", account, "--template", "sale", "--parameter", "{{customer.name}}")
    listed = await run(gateway, servers, what="templates")
    assert listed.out.split() == ["sale", "en", "MARKETING", "APPROVED"]
    lacking = await run(gateway, servers, *asked)
    assert lacking.code == 1
    assert "parameters" in lacking.err
    sent = await run(gateway, servers, *asked, "--parameter", "10 %")
    assert (sent.code, sent.out.split()[:2]) == (0, ["SENT", "WHATSAPP"])
    (message,) = await gateway.accepted("whatsapp")
    texts = [each["text"] for each in message["body"]["template"]["components"][0]["parameters"]]
    assert texts == ["Mei", "10 %"]
    for wrong in (("--button", "one=x"), ("--module", "x")):
        assert (await run(gateway, servers, *asked, *wrong)).code == 2
