"""Customers of whom much is known are sent to like others."""

from __future__ import annotations

from libs.common.rpc.limits import MESSAGE_BYTES_MAX
from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import LINE, Gateway


async def test_sends_to_customers_who_are_too_much_for_one_answer_leave_all_the_same(
    gateway: Gateway,
) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module("Hello {{customer.name}}")
    customers = [gateway.customer(account, LINE, name=name) for name in ("Mei", "Ann", "Bo")]
    profiles = gateway.neighbours.segment.profiles
    for customer in customers[:2]:
        profiles[customer].attributes["essay"] = "x" * (MESSAGE_BYTES_MAX * 5 // 8)
    sends = [gateway.send(customer, LINE, bot_module_id=module) for customer in customers]
    assert [answer.state for answer in await gateway.ask(*sends)] == [delivery_pb2.SEND_STATE_ACCEPTED] * 3
    await gateway.settled()
    greeted = {message["body"]["messages"][0]["text"] for message in await gateway.accepted("line")}
    assert greeted == {"Hello Mei", "Hello Ann", "Hello Bo"}
