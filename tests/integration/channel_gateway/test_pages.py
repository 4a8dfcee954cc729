"""Sends through Messenger and Instagram accounts by the real client to the emulators, and what these tell of them."""

from __future__ import annotations

import pytest

from libs.common.mailbox.mail import Outcome, SendOutcome
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import (
    INSTAGRAM,
    INSTAGRAM_ID,
    MESSENGER,
    PAGE_ID,
    TIMEOUT_S,
    Gateway,
)
from tests.integration.channel_gateway.test_hooks import TOKEN, Platform, account
from tests.integration.channel_gateway.test_receipts import DELIVERED, READ, steps

NAMES: dict[int, str] = {MESSENGER: "messenger", INSTAGRAM: "instagram"}
IDS: dict[int, dict[str, str]] = {MESSENGER: {"page_id": PAGE_ID}, INSTAGRAM: {"instagram_id": INSTAGRAM_ID}}
BOTH = pytest.mark.parametrize("channel", [MESSENGER, INSTAGRAM])


async def page(gateway: Gateway, channel: int) -> Platform:
    """An account, and the platform whose webhooks come to it."""
    made = await account(gateway, channel, secret="emulator-secret", **IDS[channel])
    platform = Platform(gateway, made, NAMES[channel])
    await platform.aim(secret="emulator-secret", held=True)
    return platform


def person_of(gateway: Gateway, customer: str) -> str:
    """The customer's id on their only account."""
    return gateway.neighbours.segment.profiles[customer].identities[0].key.external_id


async def sent(platform: Platform, channel: int, *texts: str) -> str:
    """A send to somebody who wrote just now; the key of the effect."""
    gateway = platform.gateway
    customer, module = gateway.customer(platform.account_id, channel), await gateway.module(*texts)
    await platform.tell("inbound", person_id=person_of(gateway, customer))
    send = gateway.send(customer, channel, bot_module_id=module, account_id=platform.account_id)
    (answer,) = await gateway.ask(send)
    assert answer.state == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()
    return send.effect_key


@BOTH
@pytest.mark.rule("C-01a")
@pytest.mark.rule("C-01b")
async def test_a_send_leaves_and_its_receipts_come_back(gateway: Gateway, channel: int) -> None:
    platform = await page(gateway, channel)
    key = await sent(platform, channel, "Hello {{customer.name}}", "again")
    messages = await gateway.accepted(NAMES[channel])
    assert [each["body"]["message"]["text"] for each in messages] == ["Hello Mei", "again"]
    delivery = await gateway.delivery(key)
    assert (delivery.state, delivery.messages) == (delivery_pb2.SEND_STATE_SENT, 2)
    assert list(delivery.channel_message_ids) == [each["id"] for each in messages]
    await platform.tell("webhooks/release", reverse=True)
    await platform.heard()
    known = DELIVERED if channel == MESSENGER else 0
    assert (await gateway.delivery(key)).receipt == known
    await platform.tell("receipts", id=messages[1]["id"], kind="read")
    await platform.tell("webhooks/release")
    await platform.heard()
    assert (await gateway.delivery(key)).receipt == READ
    assert await steps(gateway, key) == [DELIVERED, READ], "each once, in whatever order they came"


async def test_a_delivery_that_names_no_message_is_of_all_until_its_time(gateway: Gateway) -> None:
    platform = await page(gateway, MESSENGER)
    key = await sent(platform, MESSENGER)
    await platform.aim(secret="emulator-secret")
    (message,) = await gateway.accepted("messenger")
    await platform.tell("receipts", id=message["id"], kind="delivered", named=False)
    await platform.heard()
    assert (await gateway.delivery(key)).receipt == DELIVERED


async def test_another_accounts_person_of_the_same_id_got_nothing(gateway: Gateway) -> None:
    platform = await page(gateway, MESSENGER)
    key = await sent(platform, MESSENGER)
    other = Platform(
        gateway, await account(gateway, MESSENGER, secret="emulator-secret", page_id="7"), "messenger"
    )
    await other.aim(secret="emulator-secret")
    (message,) = await gateway.accepted("messenger")
    for what in ({"read": {"watermark": 4_000_000_000_000}}, {"delivery": {"mids": [message["id"]]}}):
        await other.tell("talk", id="7", person_id=message["recipient"], what=what)
    await other.heard()
    assert (await gateway.delivery(key)).receipt == 0


@BOTH
async def test_whom_the_channel_does_not_let_be_written_to(gateway: Gateway, channel: int) -> None:
    platform = Platform(gateway, await gateway.account(channel), NAMES[channel])
    module = await gateway.module()
    stranger, blocking, silent = (gateway.customer(platform.account_id, channel) for _ in range(3))
    for customer in (blocking, silent):
        await platform.tell("inbound", person_id=person_of(gateway, customer))
    await platform.tell("people", person_id=person_of(gateway, blocking), state="blocked")
    await gateway.ask(*(gateway.send(each, channel, bot_module_id=module) for each in (stranger, blocking)))
    await gateway.settled()
    await platform.tell("clock", advance_seconds=24 * 3600)
    await gateway.ask(gateway.send(silent, channel, bot_module_id=module))
    await gateway.settled()
    outcomes = []
    for customer in (stranger, blocking, silent):
        (mail,) = await gateway.mail(customer)
        assert isinstance(mail.body, SendOutcome)
        outcomes.append((mail.body.outcome, mail.body.reason, mail.body.messages))
    assert outcomes == [
        (Outcome.FAILED, "RECIPIENT_INVALID", 0),
        (Outcome.SKIPPED, "BLOCKED", 0),
        (Outcome.SKIPPED, "OUTSIDE_WINDOW", 0),
    ]


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize(("channel", "fault"), [(MESSENGER, "reset_after"), (INSTAGRAM, "error_after")])
async def test_an_answer_that_is_lost_is_unknown_and_not_repeated(
    gateway: Gateway, channel: int, fault: str
) -> None:
    platform = await page(gateway, channel)
    check = pb.CheckChannelAccountRequest(
        team_id=str(gateway.team_id), channel_account_id=platform.account_id
    )
    assert (await gateway.stub.CheckChannelAccount(check, timeout=TIMEOUT_S)).usable
    assert (await platform.tell("webhooks/greet", verify_token=TOKEN))["verified"]
    await gateway.fault(NAMES[channel], kind=fault, status=502)
    key = await sent(platform, channel)
    assert (await gateway.delivery(key)).state == delivery_pb2.SEND_STATE_UNKNOWN
    assert len(await gateway.accepted(NAMES[channel])) == 1
