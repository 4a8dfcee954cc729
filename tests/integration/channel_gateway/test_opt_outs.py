"""Who wants no messages gets none, whoever sends them, until they want them again."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import LINE, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, account, line, whatsapp

__all__ = ["line", "whatsapp"]
ACCEPTED = ""
OPTED_OUT = "OPTED_OUT"


def wa_id_of(gateway: Gateway, customer: str) -> str:
    """The customer's id on their only account."""
    return gateway.neighbours.segment.profiles[customer].identities[0].key.external_id


async def outcome(gateway: Gateway, customer: str, channel: int, module: str) -> str:
    """Why a send is not taken up; empty where it is. Each is of another journey."""
    send = gateway.send(
        customer, channel, bot_module_id=module, journey_id=str(UUID(int=gateway.clock.now().second))
    )
    (result,) = await gateway.ask(send)
    if result.reason:
        assert (result.state, result.reason) == (delivery_pb2.SEND_STATE_SKIPPED, OPTED_OUT)
    return str(result.reason)


@pytest.mark.rule("S-08a")
async def test_a_word_in_the_chat_ends_messages_and_another_brings_them_back(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10_000_000)
    customer, module = gateway.customer(whatsapp.account_id, WHATSAPP), await gateway.module("Hello")
    wa_id = wa_id_of(gateway, customer)
    for text, expected in (
        ("hi", ACCEPTED),
        ("Stop.", OPTED_OUT),
        ("hi again", OPTED_OUT),
        ("START", ACCEPTED),
    ):
        await whatsapp.tell("inbound", wa_id=wa_id, text=text)
        await whatsapp.heard()
        assert await outcome(gateway, customer, WHATSAPP, module) == expected


@pytest.mark.rule("S-08a")
async def test_a_word_ends_messages_on_line_too(line: Platform) -> None:
    gateway = line.gateway
    customer, module = gateway.customer(line.account_id, LINE), await gateway.module("Hello")
    await line.tell(
        "acts", acts=[{"kind": "message", "user_id": wa_id_of(gateway, customer), "text": "退訂"}]
    )
    await line.heard()
    assert await outcome(gateway, customer, LINE, module) == OPTED_OUT


@pytest.mark.rule("S-08a")
async def test_the_channels_own_signal_holds_for_all_accounts_of_the_channel(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10_000_000)
    module = await gateway.module("Hello")
    other = await account(gateway, WHATSAPP, phone_number_id="2", waba_id="9")
    customer = gateway.customer(whatsapp.account_id, WHATSAPP)
    profile = gateway.neighbours.segment.profiles[customer]
    wa_id = wa_id_of(gateway, customer)
    profile.identities.add(key=profile.identities[0].key).key.account_id = other
    await whatsapp.tell("preferences", wa_id=wa_id, value="stop")
    await whatsapp.heard()
    for account_id in (whatsapp.account_id, other):
        send = gateway.send(customer, WHATSAPP, bot_module_id=module, account_id=account_id)
        (result,) = await gateway.ask(send)
        assert result.reason == OPTED_OUT
    await whatsapp.tell("preferences", wa_id=wa_id, value="resume")
    await whatsapp.heard()
    assert await outcome(gateway, customer, WHATSAPP, module) == ACCEPTED


@pytest.mark.rule("S-08a")
@pytest.mark.parametrize("together", [True, False])
async def test_what_was_said_before_and_comes_late_changes_nothing(line: Platform, together: bool) -> None:
    gateway = line.gateway
    customer, module = gateway.customer(line.account_id, LINE), await gateway.module("Hello")
    person = {"kind": "message", "user_id": wa_id_of(gateway, customer)}
    acts = [
        {**person, "text": "START", "timestamp": 1_772_000_001_000},
        {**person, "text": "STOP", "timestamp": 1_772_000_000_000},
    ]
    for told in [acts] if together else [[act] for act in acts]:
        await line.tell("acts", acts=told)
        await line.heard()
    assert await outcome(gateway, customer, LINE, module) == ACCEPTED


@pytest.mark.rule("C-03d")
async def test_an_answer_that_somebody_opted_out_is_kept(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10_000_000)
    customer = gateway.customer(whatsapp.account_id, WHATSAPP)
    template = await gateway.template(whatsapp.account_id, parameters=0)
    await whatsapp.tell("people", wa_id=wa_id_of(gateway, customer), state="opted_out")
    reasons = []
    for _ in range(2):
        send = gateway.send(customer, WHATSAPP, account_id=whatsapp.account_id)
        send.template.template_id = template
        (result,) = await gateway.ask(send)
        await gateway.settled()
        delivery = await gateway.delivery(send.effect_key)
        reasons.append((result.reason, delivery.state, delivery.attempts))
    assert reasons == [
        ("", delivery_pb2.SEND_STATE_SKIPPED, 1),
        (OPTED_OUT, delivery_pb2.SEND_STATE_SKIPPED, 0),
    ]


@pytest.mark.rule("S-08a")
async def test_the_others_of_a_batch_get_theirs(line: Platform) -> None:
    gateway = line.gateway
    customers = [gateway.customer(line.account_id, LINE) for _ in range(3)]
    module = await gateway.module("Hello")
    await line.tell(
        "acts", acts=[{"kind": "message", "user_id": wa_id_of(gateway, customers[1]), "text": "stop"}]
    )
    await line.heard()
    results = await gateway.ask(*(gateway.send(each, LINE, bot_module_id=module) for each in customers))
    assert [result.reason for result in results] == [ACCEPTED, OPTED_OUT, ACCEPTED]


@pytest.mark.rule("S-08a")
async def test_a_team_has_its_own_words(line: Platform) -> None:
    gateway = line.gateway
    words = gateway.neighbours.segment.consent_words
    words.stop_words.append("不要了")
    customer, module = gateway.customer(line.account_id, LINE), await gateway.module("Hello")
    person = {"kind": "message", "user_id": wa_id_of(gateway, customer)}
    for text, expected in (("STOP", ACCEPTED), ("不要了！", OPTED_OUT), ("START", ACCEPTED)):
        await line.tell("acts", acts=[{**person, "text": text}])
        await line.heard()
        assert await outcome(gateway, customer, LINE, module) == expected


@pytest.mark.rule("S-08a")
async def test_a_word_is_heard_when_the_teams_own_words_can_be_had(line: Platform) -> None:
    """They cannot at once after a start; what people do meanwhile waits, and is not forwarded unheard."""
    gateway = line.gateway
    segment = gateway.neighbours.segment
    segment.consent_words.stop_words.append("不要了")
    segment.settings_away = True
    customer, module = gateway.customer(line.account_id, LINE), await gateway.module("Hello")
    person = {"kind": "message", "user_id": wa_id_of(gateway, customer)}
    await line.tell("acts", acts=[{**person, "text": "不要了"}])
    while not segment.events and segment.settings_refused < 20:
        await asyncio.sleep(0.01)
    assert segment.events == []
    segment.settings_away = False
    await line.heard()
    assert len(segment.events) == 1
    assert await outcome(gateway, customer, LINE, module) == OPTED_OUT


@pytest.mark.rule("S-08a")
async def test_what_waits_when_the_word_comes_does_not_leave(line: Platform) -> None:
    gateway = line.gateway
    customers = [gateway.customer(line.account_id, LINE) for _ in range(2)]
    module = await gateway.module("Hello")
    await gateway.fault("line", kind="rate", count=2)
    sends = [gateway.send(each, LINE, bot_module_id=module) for each in customers]
    await gateway.ask(*sends)
    await line.tell(
        "acts", acts=[{"kind": "message", "user_id": wa_id_of(gateway, customers[0]), "text": "stop"}]
    )
    await line.heard()
    await gateway.settled()
    left = [await gateway.delivery(send.effect_key) for send in sends]
    assert [(each.state, each.attempts) for each in left] == [
        (delivery_pb2.SEND_STATE_SKIPPED, 1),
        (delivery_pb2.SEND_STATE_SENT, 2),
    ]
    assert len(await gateway.accepted("line")) == 1
