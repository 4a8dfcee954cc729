"""Links of messages: short ones leave, whoever opens one is recorded, and led to the stored target only."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import grpc
import pytest
from pydantic import SecretStr

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.sealing import key_ring
from libs.testing.fixtures import SECRET_KEY
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, link_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.store.links import LinkStore
from services.channel_gateway.worker.forgetting import Forgetting
from tests.integration.channel_gateway.conftest import (
    LINE,
    TIMEOUT_S,
    VAULT,
    WHATSAPP,
    Gateway,
    GatewayMaker,
)

BASE = "https://s.example/l"
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1"}
PREVIEW = {"User-Agent": "facebookexternalhit/1.1;line-poker/1.0"}
TARGET = "https://shop.example/sale?a=1&b=2"


@pytest.fixture
async def linking(maker: GatewayMaker) -> AsyncIterator[Gateway]:
    """A gateway that has an address for short links."""
    async with maker.start(link_url=BASE) as started:
        yield started


async def sent(gateway: Gateway, channel: int = LINE, *texts: str) -> tuple[str, list[str], Any]:
    """A message with texts to a new customer: the effect key, its tokens, and what the channel got."""
    account = await gateway.account(channel)
    customer = gateway.customer(account, channel)
    module = await gateway.module(*(texts or (f"Sale: {TARGET}",)))
    send = gateway.send(customer, channel, account_id=account, bot_module_id=module)
    await gateway.ask(send)
    await gateway.settled()
    body = (await gateway.accepted("line" if channel == LINE else "whatsapp"))[-1]
    return send.effect_key, re.findall(re.escape(BASE) + "/([0-9A-Za-z]{22})", str(body)), body


async def opened(
    gateway: Gateway, token: str, headers: dict[str, str] = PHONE, method: str = "GET"
) -> tuple[int, str]:
    """Status and place of an answer."""
    url = f"http://127.0.0.1:{gateway.app.http_port}/l/{token}"
    async with gateway.http.request(method, url, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer.status, answer.headers.get("Location", "")


async def link(gateway: Gateway, token: str) -> link_pb2.TrackedLink:
    """A link as its team reads it."""
    request = pb.GetTrackedLinkRequest(team_id=str(gateway.team_id), token=token)
    return (await gateway.stub.GetTrackedLink(request, timeout=TIMEOUT_S)).link


async def clicks(gateway: Gateway, token: str) -> list[link_pb2.LinkClick]:
    """All openings of a link, by pages of two."""
    found: list[link_pb2.LinkClick] = []
    page = ""
    while True:
        request = pb.ListLinkClicksRequest(
            team_id=str(gateway.team_id), token=token, page_size=2, page_token=page
        )
        answer = await gateway.stub.ListLinkClicks(request, timeout=TIMEOUT_S)
        found += answer.clicks
        page = answer.next_page_token
        if not page:
            return found


@pytest.mark.rule("C-30a", "C-30b")
async def test_a_click_is_recorded_and_led_to_the_stored_target(linking: Gateway) -> None:
    key, (token,), body = await sent(linking)
    assert TARGET not in str(body)
    assert (await link(linking, token)).clicks == 0

    assert await opened(linking, token) == (302, TARGET)
    assert await opened(linking, token + "?to=https://evil.example") == (302, TARGET)

    read = await link(linking, token)
    assert (read.clicks, read.automated_clicks, read.target_url, read.effect_key) == (2, 0, TARGET, key)
    assert (read.journey_id, read.node_id) == (str(linking.journey_id), "hello")
    assert read.HasField("last_click_time")
    assert [click.automated for click in await clicks(linking, token)] == [False, False]
    facts = [fact for fact in await linking.facts() if fact.kind == 3]
    assert [(fact.node, fact.channel) for fact in facts] == [("hello", LINE)] * 2


@pytest.mark.rule("C-30c")
async def test_previews_are_redirected_and_counted_apart(linking: Gateway) -> None:
    _, (token,), _ = await sent(linking)
    assert await opened(linking, token, PREVIEW) == (302, TARGET)
    linking.clock.advance(timedelta(seconds=1))
    assert await opened(linking, token, PHONE, "HEAD") == (302, TARGET)
    linking.clock.advance(timedelta(seconds=1))
    assert await opened(linking, token, {**PHONE, "Sec-Purpose": "prefetch"}) == (302, TARGET)

    read = await link(linking, token)
    assert (read.clicks, read.automated_clicks, read.HasField("last_click_time")) == (0, 3, False)
    assert [click.agent for click in await clicks(linking, token)] == ["prefetch", "HEAD", "LINE preview"]
    assert not [fact for fact in await linking.facts() if fact.kind == 3]


async def test_what_is_no_link_is_nowhere(linking: Gateway) -> None:
    _, (token,), _ = await sent(linking)
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    for wrong in (other, "x", "a" * 22, "z" * 22):
        assert await opened(linking, wrong) == (404, "")
    url = f"http://127.0.0.1:{linking.app.http_port}/l/{other}"
    async with linking.http.get(url) as answer:
        assert answer.content_type == "text/html"
        assert "No such link" in await answer.text()
    assert await opened(linking, token, method="POST") == (405, "")
    async with aiohttp.ClientSession() as http, http.get(url.replace("/l/", "/l/%61")) as answer:
        assert answer.status == 404


async def test_a_link_is_of_no_use_when_it_is_too_old(maker: GatewayMaker) -> None:
    async with maker.start(link_url=BASE, link_days=30) as gateway:
        _, (token,), _ = await sent(gateway)
        gateway.clock.advance(timedelta(days=29))
        assert await opened(gateway, token) == (302, TARGET)
        gateway.clock.advance(timedelta(days=2))
        assert await opened(gateway, token) == (404, "")
        assert (await link(gateway, token)).clicks == 1


async def test_too_many_openings_of_one_link_are_put_off_and_others_are_not(maker: GatewayMaker) -> None:
    async with maker.start(link_url=BASE, link_requests_per_second=1) as gateway:
        _, tokens, _ = await sent(gateway, LINE, "https://a.example/1 https://a.example/2")
        answers = [await opened(gateway, tokens[0]) for _ in range(4)]
        assert answers[:2] == [(302, "https://a.example/1")] * 2
        assert (429, "") in answers
        assert await opened(gateway, tokens[1]) == (302, "https://a.example/2")
        strangers = [await opened(gateway, "a" * 22) for _ in range(4)]
        assert strangers[0] == (404, "")
        assert (429, "") in strangers


async def test_links_of_another_team_are_not_there(linking: Gateway) -> None:
    _, (token,), _ = await sent(linking)
    request = pb.GetTrackedLinkRequest(team_id=str(new_id()), token=token)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await linking.stub.GetTrackedLink(request, timeout=TIMEOUT_S)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_opened_links_are_listed_newest_first_by_journey_and_send(linking: Gateway) -> None:
    keys = []
    for number in range(3):
        key, (token,), _ = await sent(linking, LINE, f"https://a.example/{number}")
        linking.clock.advance(timedelta(seconds=1))
        await opened(linking, token)
        keys.append(key)
    team = str(linking.team_id)
    request = pb.ListTrackedLinksRequest(team_id=team, journey_id=str(linking.journey_id), page_size=2)
    first = await linking.stub.ListTrackedLinks(request, timeout=TIMEOUT_S)
    request.page_token = first.next_page_token
    second = await linking.stub.ListTrackedLinks(request, timeout=TIMEOUT_S)
    listed = [*first.links, *second.links]
    assert [each.effect_key for each in listed] == keys[::-1]
    assert (await link(linking, listed[0].token)).target_url == "https://a.example/2"
    of_send = await linking.stub.ListTrackedLinks(
        pb.ListTrackedLinksRequest(team_id=team, effect_key=keys[0]), timeout=TIMEOUT_S
    )
    assert [each.effect_key for each in of_send.links] == keys[:1]


async def test_buttons_and_templates_have_short_links_and_a_customers_own_target(linking: Gateway) -> None:
    account = await linking.account(WHATSAPP)
    customer = linking.customer(account, WHATSAPP, name="mei")
    line = await linking.account(LINE)
    liner = linking.customer(line, LINE, name="mei")
    await linking.top_up(10_000_000)
    module = content_pb2.BotModule(name="Buttons")
    card = module.cards.add().button
    card.text = "Yours: https://shop.example/{{customer.name}}"
    card.buttons.add(label="Open", url=TARGET)
    card.buttons.add(label="Tea", url="https://shop.example/茶")
    request = pb.CreateBotModuleRequest(team_id=str(linking.team_id), request_id="b", module=module)
    module_id = (await linking.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id
    button = {"type": "URL", "text": "Open", "url": BASE + "/{{1}}", "example": ["x"]}
    template = await linking.template(account, parameters=1, more=[{"type": "BUTTONS", "buttons": [button]}])
    content = send_pb2.TemplateContent(
        template_id=template,
        parameters=["see https://shop.example/body"],
        button_parameters={0: "https://shop.example/button"},
    )
    await linking.ask(
        linking.send(liner, LINE, account_id=line, bot_module_id=module_id),
        linking.send(customer, WHATSAPP, account_id=account, template=content),
    )
    await linking.settled()
    bodies = str([*await linking.accepted("line"), *await linking.accepted("whatsapp")])
    tokens = set(re.findall("[0-9A-Za-z]{22}(?=['\"])", bodies))
    places = {place for token in tokens for status, place in [await opened(linking, token)] if status == 302}
    assert places >= {
        "https://shop.example/mei",
        TARGET,
        "https://shop.example/%E8%8C%B6",
        "https://shop.example/body",
        "https://shop.example/button",
    }


async def test_clicks_that_come_together_are_all_recorded(linking: Gateway) -> None:
    _, (token,), _ = await sent(linking)
    answers = await asyncio.gather(*(opened(linking, token) for _ in range(30)))
    assert set(answers) == {(302, TARGET)}
    assert (await link(linking, token)).clicks == 30
    assert len(await clicks(linking, token)) == 30


async def test_without_an_address_links_go_out_as_they_are(gateway: Gateway) -> None:
    _, tokens, body = await sent(gateway)
    assert not tokens
    assert TARGET in str(body)


async def test_a_text_that_short_links_would_make_too_long_goes_out_as_it_was(linking: Gateway) -> None:
    account = await linking.account(LINE)
    customer = linking.customer(account, LINE)
    module = content_pb2.BotModule(name="Long")
    card = module.cards.add().button
    card.text = "http://a.b " + "x" * 145
    card.buttons.add(label="Say", message_text="x")
    request = pb.CreateBotModuleRequest(team_id=str(linking.team_id), request_id="l", module=module)
    module_id = (await linking.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id
    send = linking.send(customer, LINE, account_id=account, bot_module_id=module_id)
    await linking.ask(send)
    await linking.settled()
    assert (await linking.delivery(send.effect_key)).state == 1
    assert "http://a.b" in str((await linking.accepted("line"))[-1])


async def test_links_sent_before_a_change_of_keys_still_lead_on(maker: GatewayMaker) -> None:
    new = secrets.token_hex(32)
    async with maker.start(link_url=BASE) as gateway:
        _, (token,), _ = await sent(gateway)
    async with maker.start(secret_keys=SecretStr(f"{new},{SECRET_KEY}")) as gateway:
        used: set[str] = set()
        async with asyncio.timeout(2 * TIMEOUT_S):
            while used != {key_ring(new).present_id.hex()}:
                answer = await gateway.stub.ListSecretKeys(pb.ListSecretKeysRequest(), timeout=TIMEOUT_S)
                used = {key.secret_key_id for key in answer.secret_keys if key.secret_count}
                await asyncio.sleep(0.02)
    async with maker.start(secret_keys=SecretStr(new)) as gateway:
        assert await opened(gateway, token) == (302, TARGET)


async def test_old_openings_go_with_their_links_a_little_at_a_time(linking: Gateway) -> None:
    _, (old,), _ = await sent(linking)
    for _ in range(3):
        assert await opened(linking, old) == (302, TARGET)
    linking.clock.advance(timedelta(days=400))
    _, (new,), _ = await sent(linking)
    assert await opened(linking, new) == (302, TARGET)
    async with await open_pool(linking.database.dsn_of("channel_gateway"), name="test") as pool:
        forgetting = Forgetting(LinkStore(pool, VAULT), linking.clock, 365, "clicks")
        # Two openings; the last opening and the link; nothing more.
        assert [await forgetting.step(2) for _ in range(3)] == [2, 2, 0]
    assert [len(await clicks(linking, token)) for token in (old, new)] == [0, 1]
    assert (await link(linking, new)).clicks == 1
