"""In which order a send is checked: of all that is in its way the first is told."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP
from tests.integration.channel_gateway.test_frequency import rule, set_cap
from tests.integration.channel_gateway.test_hooks import Platform, line, whatsapp

__all__ = ["line", "whatsapp"]


async def set_state(platform: Platform, state: account_pb2.AccountState.ValueType) -> None:
    """Switches the account on or off."""
    account = account_pb2.ChannelAccount(channel_account_id=platform.account_id, state=state)
    request = pb.UpdateChannelAccountRequest(
        team_id=str(platform.gateway.team_id), request_id=str(new_id()), account=account
    )
    request.update_mask.paths.append("state")
    await platform.gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)


async def set_quota(platform: Platform, messages: int) -> None:
    """The plan of a LINE account."""
    request = pb.SetPlanQuotaRequest(
        team_id=str(platform.gateway.team_id),
        request_id=str(new_id()),
        account_id=platform.account_id,
        message_limit=messages,
    )
    await platform.gateway.stub.SetPlanQuota(request, timeout=TIMEOUT_S)


async def nothing() -> None:
    """The cap is the send's own."""


async def say(platform: Platform, person: str, text: str, channel: int) -> None:
    """Somebody writes."""
    if channel == LINE:
        await platform.tell("acts", acts=[{"kind": "message", "user_id": person, "text": text}])
    else:
        await platform.tell("inbound", wa_id=person, text=text)
    await platform.heard()


@pytest.mark.rule("C-02a")
async def test_on_line_the_first_of_all_that_is_in_the_way_is_told(line: Platform) -> None:
    await tell_each(line, LINE)


@pytest.mark.rule("C-02a")
async def test_on_whatsapp_the_first_of_all_that_is_in_the_way_is_told(whatsapp: Platform) -> None:
    await tell_each(whatsapp, WHATSAPP)


async def tell_each(platform: Platform, channel: int) -> None:
    """Puts everything in the way of a send, and takes one after the other away."""
    gateway = platform.gateway
    customer, module = gateway.customer(platform.account_id, channel), await gateway.module(*"123456")
    profile = gateway.neighbours.segment.profiles[customer]
    person = profile.identities[0].key.external_id
    key = profile.identities.pop().key
    await set_state(platform, account_pb2.ACCOUNT_STATE_DISABLED)
    await say(platform, person, "STOP", channel)
    await set_cap(gateway, rule(1))
    if channel == LINE:
        await set_quota(platform, 0)

    async def bind(*, blocked: bool) -> None:
        del profile.identities[:]
        profile.identities.add(key=key, blocked=blocked)

    async def pay() -> None:
        await (set_quota(platform, 10) if channel == LINE else gateway.top_up(10_000_000))

    in_the_way: list[tuple[str, int, Awaitable[object]]] = [
        ("ACCOUNT_DISABLED", 1, set_state(platform, account_pb2.ACCOUNT_STATE_ACTIVE)),
        ("UNBOUND", 1, bind(blocked=True)),
        ("BLOCKED", 1, bind(blocked=False)),
        ("OPTED_OUT", 1, say(platform, person, "START", channel)),
        ("LINE_CAP_REACHED" if channel == LINE else "WHATSAPP_CAP_REACHED", 1, nothing()),
        ("FREQUENCY_CAP_REACHED", 10, set_cap(gateway, rule(10))),
        ("LINE_QUOTA_EXHAUSTED" if channel == LINE else "WHATSAPP_BALANCE_EXHAUSTED", 10, pay()),
        ("", 10, gateway.settled()),
    ]
    for reason, cap, mend in in_the_way:
        send = gateway.send(customer, channel, account_id=platform.account_id, bot_module_id=module, cap=cap)
        (result,) = await gateway.ask(send)
        assert result.reason == reason
        await mend
    assert result.state == delivery_pb2.SEND_STATE_ACCEPTED, "its rate lets it wait, and refuses nobody"
    assert len(await gateway.accepted("line" if channel == LINE else "whatsapp")) == result.messages
