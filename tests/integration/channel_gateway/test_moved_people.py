"""Who changes their number on WhatsApp keeps the window and what they want, under the number that they have now."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, meta_headers, whatsapp
from tests.integration.channel_gateway.test_opt_outs import wa_id_of

__all__ = ["whatsapp"]
NEW = "886955000001"


async def asked(gateway: Gateway, customer: str, module: str) -> tuple[int, str]:
    """Whether a free message would be taken, and why not."""
    (result,) = await gateway.ask(gateway.send(customer, WHATSAPP, bot_module_id=module))
    return result.state, result.reason


async def pass_time(platform: Platform, **by: float) -> None:
    """Here and at the platform."""
    await platform.tell("clock", advance_seconds=timedelta(**by).total_seconds())
    platform.gateway.clock.advance(timedelta(**by))


def known_as(gateway: Gateway, customer: str, wa_id: str) -> None:
    """As segment says it after the change."""
    gateway.neighbours.segment.profiles[customer].identities[0].key.external_id = wa_id


@pytest.mark.rule("C-20b", "S-08a")
async def test_the_window_and_an_opt_out_go_along_once_however_often_it_is_told(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10**9)
    open_, stopped = (gateway.customer(whatsapp.account_id, WHATSAPP) for _ in range(2))
    module = await gateway.module("Hello")
    numbers = {each: wa_id_of(gateway, each) for each in (open_, stopped)}
    for customer, text in ((open_, "hi"), (stopped, "STOP")):
        await whatsapp.tell("inbound", wa_id=numbers[customer], text=text)
    await pass_time(whatsapp, hours=23)
    await whatsapp.aim(times=2)
    new = {open_: NEW, stopped: "886955000002"}
    for customer, wa_id in numbers.items():
        await whatsapp.tell("moves", wa_id=wa_id, new_wa_id=new[customer])
    told = [each.contact_moved for each in await whatsapp.heard() if each.HasField("contact_moved")]
    wanted = {(numbers[customer], new[customer]) for customer in numbers}
    found = {(each.identity.external_id, each.external_id) for each in told}
    assert {pair for pair in found if pair[0].isdigit()} == wanted
    assert len(found) == 4, "what the business knows them by is another id, too"
    for customer in numbers:
        known_as(gateway, customer, new[customer])
    accepted = delivery_pb2.SEND_STATE_ACCEPTED
    assert await asked(gateway, open_, module) == (accepted, "")
    assert await asked(gateway, stopped, module) == (delivery_pb2.SEND_STATE_SKIPPED, "OPTED_OUT")
    await pass_time(whatsapp, hours=1)
    assert await asked(gateway, open_, module) == (delivery_pb2.SEND_STATE_SKIPPED, "OUTSIDE_WINDOW")


async def wrote(platform: Platform, wa_id: str, text: str, at: datetime) -> None:
    """A message of a person, told now and written then."""
    message = {"id": f"wamid.{new_id().hex}", "from": wa_id, "type": "text", "text": {"body": text}}
    message |= {"timestamp": str(int(at.timestamp()))}
    value = {"metadata": {"phone_number_id": "100000000000001"}, "messages": [message]}
    entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert (await platform.post(body, meta_headers(body)))[0] == 200
    await platform.heard()


@pytest.mark.rule("C-20b", "S-08a")
@pytest.mark.parametrize("stranger_first", [True, False])
async def test_what_was_said_before_the_change_counts_when_it_is_told_after_it(
    whatsapp: Platform, stranger_first: bool
) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10**9)
    customer, module = gateway.customer(whatsapp.account_id, WHATSAPP), await gateway.module("Hello")
    old, changed_at = wa_id_of(gateway, customer), gateway.clock.now()
    await whatsapp.tell("moves", wa_id=old, new_wa_id=NEW)
    await whatsapp.heard()
    known_as(gateway, customer, NEW)
    await pass_time(whatsapp, minutes=10)
    stranger = gateway.clock.now() - timedelta(minutes=1)
    told = [(old, "STOP", stranger), (old, "hi", changed_at - timedelta(minutes=1))]
    for each in told if stranger_first else reversed(told):
        await wrote(whatsapp, *each)
    assert await asked(gateway, customer, module) == (delivery_pb2.SEND_STATE_ACCEPTED, "")
    await wrote(whatsapp, old, "STOP", changed_at - timedelta(seconds=30))
    assert await asked(gateway, customer, module) == (delivery_pb2.SEND_STATE_SKIPPED, "OPTED_OUT")


@pytest.mark.rule("C-02a")
@pytest.mark.parametrize("first", [True, False])
async def test_of_two_numbers_the_one_with_an_open_window_is_written_to(
    whatsapp: Platform, first: bool
) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10**9)
    customer, module = gateway.customer(whatsapp.account_id, WHATSAPP), await gateway.module("Hello")
    profile = gateway.neighbours.segment.profiles[customer]
    profile.identities.add(key=profile.identities[0].key).key.external_id = NEW
    ids = [each.key.external_id for each in profile.identities]
    opened, closed = ids if first else reversed(ids)
    await whatsapp.tell("inbound", wa_id=closed, text="hi")
    await whatsapp.heard()
    await pass_time(whatsapp, hours=25)
    await whatsapp.tell("inbound", wa_id=opened, text="hi")
    await whatsapp.heard()
    assert await asked(gateway, customer, module) == (delivery_pb2.SEND_STATE_ACCEPTED, "")
    await gateway.settled()
    assert [each["recipient"] for each in await gateway.accepted("whatsapp")] == [opened]
