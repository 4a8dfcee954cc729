"""What a channel asks of an account (to wait, or to leave one person alone) holds over all processes of the gateway."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.clients.channels import line_rules, meta_rules
from services.channel_gateway.clients.channels.base import RetryPolicy, Rule, Verdict
from services.channel_gateway.clients.channels.line_rules import LineRule
from services.channel_gateway.store.rates import Ask, Hold, RateStore
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker

LENGTH = timedelta(minutes=5)
"""Longer than a test takes."""


@pytest.mark.rule("C-02d")
async def test_what_one_process_is_to_wait_for_reaches_the_others_and_ends(gateway: Gateway) -> None:
    account = UUID(await gateway.account(WHATSAPP))
    first, second = new_id(), new_id()
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:

        async def renewed(sender: UUID, *told: Hold) -> dict[str, float]:
            asks = [Ask(gateway.team_id, account, 1, 0.0, told)]
            return dict((await RateStore(pool).renew(sender, asks, LENGTH))[0].holds)

        assert await renewed(first) == {}
        await renewed(first, Hold("", 600.0), Hold("886912", 900.0))
        known = await renewed(second)
        assert known.keys() == {"", "886912"}
        assert 500 < known[""] <= 600 < known["886912"] <= 900
        await renewed(second, Hold("", 10.0), Hold("886912", -5.0))
        assert (await renewed(second))[""] > 500, "the longest that any process was asked"
        await in_database(
            gateway,
            "UPDATE channel_gateway.account_hold SET until_time = clock_timestamp() - interval '1 second'",
        )
        assert await renewed(second) == {}
        assert await in_database(gateway, "SELECT FROM channel_gateway.account_hold") == []


@pytest.mark.rule("C-02d")
@pytest.mark.rule("C-03c")
async def test_a_rate_that_one_process_ran_into_holds_the_account_in_the_others(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = RetryPolicy(3_600.0, 1.0, 3_600.0, 6, holds_account=True)
    monkeypatch.setattr(line_rules, "RULES", (LineRule(429, "", Rule(Verdict.RETRY, backoff=long)),))
    async with maker.start() as first, maker.start() as second:
        second.team_id = first.team_id
        account, module = await first.account(LINE), await first.module()
        early = [
            each.send(each.customer(account, LINE), LINE, bot_module_id=module) for each in (first, second)
        ]
        for each, send in zip((first, second), early, strict=True):
            await each.ask(send)
        await first.settled()
        await first.fault("line", kind="rate")
        refused = first.send(first.customer(account, LINE), LINE, bot_module_id=module)
        await first.ask(refused)
        await held(first)
        await heard(first)
        send = second.send(second.customer(account, LINE), LINE, bot_module_id=module)
        (answer,) = await second.ask(send)
        assert answer.state == delivery_pb2.SEND_STATE_ACCEPTED
        assert (await second.delivery(send.effect_key)).attempts == 0, "it waits, and was not tried"
        assert len(await first.accepted("line")) == len(early)


@pytest.mark.rule("C-02d")
@pytest.mark.rule("C-03c")
async def test_whom_one_process_sent_too_much_waits_in_the_others_and_nobody_else(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Rule(Verdict.RETRY, backoff=RetryPolicy(3_600.0, 1.0, 3_600.0, 6, holds_person=True))
    monkeypatch.setitem(meta_rules.WHATSAPP, 131056, long)
    async with maker.start() as first, maker.start() as second:
        second.team_id = first.team_id
        account = await first.account(WHATSAPP)
        await first.top_up(10_000_000)
        template = await first.template(account)
        busy, other = second.customer(account, WHATSAPP), second.customer(account, WHATSAPP)
        number = second.neighbours.segment.profiles[busy].identities[0].key.external_id
        await first.fault("whatsapp", kind="code", code=131056, status=400, recipient=number, count=1)
        await first.ask(templated(first.send(busy, WHATSAPP, account_id=account), template))
        await held(first)
        sends = [
            templated(second.send(each, WHATSAPP, account_id=account), template) for each in (busy, other)
        ]
        await second.ask(*sends)
        async with asyncio.timeout(TIMEOUT_S):
            while not await second.accepted("whatsapp"):
                await asyncio.sleep(0.02)
        attempts = [(await second.delivery(send.effect_key)).attempts for send in sends]
        assert attempts == [0, 1]


async def in_database(gateway: Gateway, query: str) -> list[Any]:
    """As the database's owner, over all teams."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def held(gateway: Gateway) -> None:
    """Waits until other processes can know of what the gateway is to wait for."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await in_database(gateway, "SELECT FROM channel_gateway.account_hold"):
            await asyncio.sleep(0.02)


async def heard(gateway: Gateway) -> None:
    """Waits until each process has renewed its shares twice: it knows what the first time said."""
    for _ in range(2):
        await one_renewal(gateway)


async def one_renewal(gateway: Gateway) -> None:
    """Waits until each process has renewed its shares."""
    query = "SELECT until_time FROM channel_gateway.account_share ORDER BY sender"
    before = await in_database(gateway, query)
    async with asyncio.timeout(TIMEOUT_S):
        while any(row == old for row, old in zip(await in_database(gateway, query), before, strict=True)):
            await asyncio.sleep(0.02)


def templated(send: send_pb2.Send, template: str) -> send_pb2.Send:
    send.template.template_id = template
    send.template.parameters.extend(["a", "b"])
    return send
