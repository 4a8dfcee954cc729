"""Sends whose answer was lost, and what their channel tells of them later: sent after all, once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import Outcome, SendOutcome
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.domain.facts import FactKind
from services.stats.convert.facts import read_facts
from services.stats.domain.fold import count
from services.stats.domain.model import Metric, Source
from tests.integration.channel_gateway.conftest import MESSENGER, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, account, meta_headers, whatsapp
from tests.integration.channel_gateway.test_pages import page, person_of
from tests.integration.channel_gateway.test_receipts import DELIVERED, FAILED, READ, status_body, steps
from tests.integration.channel_gateway.test_recovery import hand_to_a_dead_process

__all__ = ["whatsapp"]
HKD = 1_000_000
PRICE = HKD // 2
SENT, UNKNOWN = delivery_pb2.SEND_STATE_SENT, delivery_pb2.SEND_STATE_UNKNOWN
WAIT_S = 60.0


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Waits for what comes by itself."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():
            await asyncio.sleep(0.05)


async def lost(platform: Platform, channel: int, *texts: str, skip: int = 0) -> tuple[str, str]:
    """A send to somebody who wrote just now; its message that comes after `skip` others is taken, and the answer lost.
    The customer, and the key of the effect."""
    gateway = platform.gateway
    await gateway.top_up(5 * HKD)
    customer, module = gateway.customer(platform.account_id, channel), await gateway.module(*texts or ("Hi",))
    person = person_of(gateway, customer)
    name = {"wa_id": person} if channel == WHATSAPP else {"person_id": person}
    await platform.tell("inbound", **name)
    await platform.tell("webhooks/release")
    await platform.heard()
    await gateway.fault("whatsapp" if channel == WHATSAPP else "messenger", kind="reset_after", skip=skip)
    send = gateway.send(customer, channel, bot_module_id=module, account_id=platform.account_id, cap=9)
    (answer,) = await gateway.ask(send)
    assert answer.state == delivery_pb2.SEND_STATE_ACCEPTED
    return customer, send.effect_key


async def noted(gateway: Gateway) -> int:
    """Messages that wait for their send to be settled."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM channel_gateway.taken_message"))
    finally:
        await connection.close()


async def is_sent(gateway: Gateway, key: str) -> bool:
    """Whether a send is."""
    return (await gateway.delivery(key)).state == SENT


async def figures(gateway: Gateway) -> dict[int, int]:
    """What stats make of the whole history."""
    history = PackedHistory("channel_gateway", gateway.internal.channel, GatewayRow)
    rows = (await history.read(dict.fromkeys(range(PARTITIONS), 0), 0, 5_000)).rows
    sums: defaultdict[int, int] = defaultdict(int)
    for key, value in count(read_facts(Source.GATEWAY, rows)).deltas.items():
        sums[key.metric] += value
    return {metric: value for metric, value in sums.items() if value}


async def resolved(gateway: Gateway) -> int:
    """How many sends the history has as settled anew."""
    return sum(fact.kind == FactKind.SEND_RESOLVED for fact in await gateway.facts())


@pytest.mark.rule("C-04b")
@pytest.mark.parametrize(("times", "reverse"), [(1, False), (2, True)])
async def test_what_whatsapp_reports_after_its_answer_was_lost_is_sent_once(
    whatsapp: Platform, times: int, reverse: bool
) -> None:
    gateway = whatsapp.gateway
    await whatsapp.aim(held=True, times=times)
    customer, key = await lost(whatsapp, WHATSAPP)
    await gateway.settled()
    assert (await gateway.delivery(key)).state == UNKNOWN
    assert await figures(gateway) == {Metric.SENDS_UNKNOWN: 1, Metric.MESSAGE_COST: PRICE}
    await whatsapp.tell("webhooks/release", reverse=reverse)
    await whatsapp.heard()
    delivery = await gateway.delivery(key)
    (message,) = await gateway.accepted("whatsapp")
    assert (delivery.state, delivery.receipt, delivery.messages) == (SENT, DELIVERED, 1)
    assert delivery.reason == 0
    assert list(delivery.channel_message_ids) == [message["id"]]
    assert await gateway.balance() == 5 * HKD - PRICE
    assert await figures(gateway) == {
        Metric.MESSAGES_SENT: 1,
        Metric.DELIVERED: 1,
        Metric.MESSAGE_COST: PRICE,
    }
    (mail,) = await gateway.mail(customer)
    assert isinstance(mail.body, SendOutcome)
    assert mail.body.outcome == Outcome.UNKNOWN, "the journey went on, and is told nothing more"
    for status in ("sent", "read"):
        await whatsapp.tell("statuses", id=message["id"], status=status)
    await whatsapp.tell("webhooks/release")
    await whatsapp.heard()
    assert (await gateway.delivery(key)).receipt == READ
    assert await resolved(gateway) == 1
    assert await steps(gateway, key) == [DELIVERED, READ]


@pytest.mark.rule("C-04b")
async def test_a_failure_that_whatsapp_reports_of_an_unknown_send_is_given_back(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await whatsapp.aim(held=True)
    _, key = await lost(whatsapp, WHATSAPP)
    await gateway.settled()
    (message,) = await gateway.accepted("whatsapp")
    await whatsapp.tell("statuses", id=message["id"], status="failed", code=131026)
    await whatsapp.tell("webhooks/release", reverse=True)
    await whatsapp.heard()
    delivery = await gateway.delivery(key)
    assert (delivery.state, delivery.receipt) == (SENT, FAILED), "as of one whose answer came"

    async def is_refunded() -> bool:
        return await gateway.balance() == 5 * HKD

    await until(is_refunded)
    found = await figures(gateway)
    assert (found[Metric.MESSAGES_SENT], found[Metric.FAILED_LATER], Metric.SENDS_UNKNOWN in found) == (
        1,
        1,
        False,
    )


@pytest.mark.rule("C-04b")
@pytest.mark.parametrize(("skip", "state"), [(0, UNKNOWN), (1, SENT)])
async def test_a_send_of_two_messages_is_sent_where_the_last_is_reported(
    whatsapp: Platform, skip: int, state: int
) -> None:
    """The first one's answer lost, the second never left: nothing that is reported makes it sent."""
    gateway = whatsapp.gateway
    await whatsapp.aim(held=True)
    _, key = await lost(whatsapp, WHATSAPP, "FIRST", "SECOND", skip=skip)
    await gateway.settled()
    assert (await gateway.delivery(key)).state == UNKNOWN
    await whatsapp.tell("webhooks/release")
    await whatsapp.heard()
    delivery, accepted = await gateway.delivery(key), await gateway.accepted("whatsapp")
    assert (delivery.state, len(accepted)) == (state, skip + 1)
    if state == SENT:
        assert list(delivery.channel_message_ids) == [each["id"] for each in accepted]
    assert await noted(gateway) == 0


@pytest.mark.rule("C-04b")
async def test_the_echo_of_a_page_settles_a_send_whose_answer_was_lost(gateway: Gateway) -> None:
    platform = await page(gateway, MESSENGER)
    _, key = await lost(platform, MESSENGER)
    await gateway.settled()
    assert (await gateway.delivery(key)).state == UNKNOWN
    await platform.tell("webhooks/release")
    await platform.heard()
    delivery = await gateway.delivery(key)
    (message,) = await gateway.accepted("messenger")
    assert (delivery.state, delivery.receipt) == (SENT, DELIVERED)
    assert list(delivery.channel_message_ids) == [message["id"]]
    assert await resolved(gateway) == 1


@pytest.mark.rule("C-04b")
async def test_an_echo_that_comes_while_the_answer_is_awaited_counts_when_none_comes(
    gateway: Gateway,
) -> None:
    platform = await page(gateway, MESSENGER)
    await platform.aim(secret="emulator-secret")
    customer, module = gateway.customer(platform.account_id, MESSENGER), await gateway.module("Hi")
    await platform.tell("inbound", person_id=person_of(gateway, customer))
    await platform.heard()
    await gateway.fault("messenger", kind="timeout_after", seconds=1.5, status=502)
    send = gateway.send(customer, MESSENGER, bot_module_id=module, account_id=platform.account_id)
    await gateway.ask(send)
    await until(lambda: noted(gateway))
    assert (await gateway.delivery(send.effect_key)).state == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()
    await until(lambda: is_sent(gateway, send.effect_key))
    assert await resolved(gateway) == 1
    assert await noted(gateway) == 0
    assert await figures(gateway) == {Metric.MESSAGES_SENT: 1, Metric.DELIVERED: 1}


@pytest.mark.rule("C-04b")
async def test_nobody_else_settles_a_send(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await whatsapp.aim(held=True)
    _, key = await lost(whatsapp, WHATSAPP)
    await gateway.settled()
    other = await account(gateway, WHATSAPP, phone_number_id="2", waba_id="9")
    own_url, number = whatsapp.url, "100000000000001"
    team, effect = gateway.team_id.hex, key.replace("-", "")
    for url, sender, callback in (
        (own_url.replace(whatsapp.account_id, other), "2", f"{team}:{effect}:0"),
        (own_url, number, f"{team}:{effect}:1"),
        (own_url, number, f"{team}:{'0' * 32}:0"),
    ):
        whatsapp.url = url
        status = {
            "id": "wamid.1",
            "status": "sent",
            "timestamp": "1750030073",
            "recipient_id": "886912000001",
        }
        body = status_body(sender, {**status, "biz_opaque_callback_data": callback})
        assert (await whatsapp.post(body, meta_headers(body)))[0] == 200
    await whatsapp.heard()
    assert (await gateway.delivery(key)).state == UNKNOWN
    assert await resolved(gateway) == 0


@pytest.mark.rule("C-04b")
async def test_what_a_process_that_died_sent_is_settled_by_the_report_of_it(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(5 * HKD)
    template = await gateway.template(whatsapp.account_id, parameters=1)
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    await gateway.fault("whatsapp", kind="rate")
    send = gateway.send(gateway.customer(whatsapp.account_id, WHATSAPP), WHATSAPP, template=content)
    await gateway.ask(send)

    async def is_tried() -> bool:
        return bool((await gateway.delivery(send.effect_key)).attempts)

    await until(is_tried)
    await hand_to_a_dead_process(gateway, send.effect_key, 9)
    await gateway.settled()
    assert (await gateway.delivery(send.effect_key)).state == UNKNOWN
    callback = f"{gateway.team_id.hex}:{send.effect_key.replace('-', '')}:0"
    status = {"id": "wamid.1", "status": "sent", "timestamp": "1750030073", "recipient_id": "886912000001"}
    body = status_body("100000000000001", {**status, "biz_opaque_callback_data": callback})
    assert (await whatsapp.post(body, meta_headers(body)))[0] == 200
    await whatsapp.heard()
    delivery = await gateway.delivery(send.effect_key)
    assert (delivery.state, list(delivery.channel_message_ids)) == (SENT, ["wamid.1"])
    assert await gateway.accepted("whatsapp") == [], "it was not sent again"


async def test_what_is_said_of_a_send_whose_answer_came_is_no_news(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(5 * HKD)
    template = await gateway.template(whatsapp.account_id, parameters=1)
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    await whatsapp.aim(held=True)
    send = gateway.send(gateway.customer(whatsapp.account_id, WHATSAPP), WHATSAPP, template=content)
    await gateway.ask(send)
    await gateway.settled()
    await whatsapp.tell("webhooks/release")
    await whatsapp.heard()
    assert (await gateway.delivery(send.effect_key)).receipt == DELIVERED
    assert await noted(gateway) == 0
    assert await resolved(gateway) == 0
