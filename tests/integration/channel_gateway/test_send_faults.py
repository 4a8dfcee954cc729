"""What channels answer to sends, and what is gone: repeated, given back, told, and ended."""

from __future__ import annotations

from uuid import UUID

import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.domain.facts import FactKind, GoneKind
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.running_gateway import outcome, usage

HKD = 500_000
"""Price of a WhatsApp message."""
ACCEPTED = delivery_pb2.SEND_STATE_ACCEPTED
SENT = delivery_pb2.SEND_STATE_SENT
EXHAUSTED = delivery_pb2.SEND_STATE_EXHAUSTED


@pytest.mark.rule("C-04a", "C-04b")
async def test_line_is_asked_again_with_the_same_key_when_no_answer_came(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    await gateway.fault("line", kind="reset_after")
    await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    await gateway.settled()
    assert (await outcome(gateway, customer)).outcome == Outcome.SENT
    assert len(await gateway.accepted("line")) == 1, "the retry key made the second attempt none"


@pytest.mark.rule("C-04c", "C-02c")
async def test_whatsapp_without_an_answer_is_unknown_and_keeps_its_place(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, parameters=1)
    await gateway.top_up(5 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    await gateway.fault("whatsapp", kind="reset_after")
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    await gateway.ask(gateway.send(customer, WHATSAPP, template=content, cap=3))
    await gateway.settled()
    unknown = await outcome(gateway, customer)
    assert (unknown.outcome, unknown.messages) == (Outcome.UNKNOWN, 1)
    assert len(await gateway.accepted("whatsapp")) == 1
    assert await gateway.balance() == 4 * HKD
    assert await usage(gateway) == 1


@pytest.mark.rule("C-02c")
@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (131026, Outcome.FAILED, "UNDELIVERABLE"),
        (131047, Outcome.SKIPPED, "OUTSIDE_WINDOW"),
        (131050, Outcome.SKIPPED, "OPTED_OUT"),
        (131042, Outcome.EXHAUSTED, "WHATSAPP_BALANCE_EXHAUSTED"),
        (131009, Outcome.FAILED, "WHATSAPP_131009"),
    ],
)
async def test_refusals_of_whatsapp_give_the_place_back(
    gateway: Gateway, code: int, state: Outcome, reason: str
) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, parameters=1)
    await gateway.top_up(5 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    await gateway.fault("whatsapp", kind="code", code=code, status=400)
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    await gateway.ask(gateway.send(customer, WHATSAPP, template=content, cap=3))
    await gateway.settled()
    refused = await outcome(gateway, customer)
    assert (refused.outcome, refused.reason, refused.messages) == (state, reason, 0)
    assert await gateway.balance() == 5 * HKD
    assert await usage(gateway) == 0


async def test_passing_faults_are_repeated(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, parameters=1)
    await gateway.top_up(5 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    await gateway.fault("whatsapp", kind="error_before")
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    send = gateway.send(customer, WHATSAPP, template=content)
    await gateway.ask(send)
    await gateway.settled()
    assert (await outcome(gateway, customer)).outcome == Outcome.SENT
    assert (await gateway.delivery(send.effect_key)).attempts == 2


async def test_a_template_that_whatsapp_lost_is_reported_as_gone(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, name="lost", parameters=1)
    await gateway.top_up(5 * HKD)
    url = gateway.emulators.urls["whatsapp"] + "/v25.0/200000000000001/message_templates?name=lost"
    async with gateway.http.delete(url, headers={"Authorization": "Bearer emulator-token"}) as answer:
        assert answer.status == 200
    customer = gateway.customer(account, WHATSAPP)
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    await gateway.ask(gateway.send(customer, WHATSAPP, template=content))
    await gateway.settled()
    assert (await outcome(gateway, customer)).reason == "WHATSAPP_TEMPLATE_MISSING"
    gone = [fact for fact in await gateway.facts() if fact.kind == FactKind.CONTENT_GONE]
    assert [(fact.outcome, fact.key) for fact in gone] == [(GoneKind.TEMPLATE, UUID(template).bytes)]
    (next_answer,) = await gateway.ask(gateway.send(customer, WHATSAPP, template=content))
    assert (next_answer.state, next_answer.reason) == (EXHAUSTED, "WHATSAPP_TEMPLATE_MISSING")


async def test_a_refused_token_makes_the_account_unusable_until_it_is_renewed(gateway: Gateway) -> None:
    connection = account_pb2.LineConnection(channel_id="1", access_token="expired")
    request = pb.CreateChannelAccountRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        account=account_pb2.ChannelAccount(channel=LINE, display_name="Shop", line=connection),
    )
    account = (await gateway.stub.CreateChannelAccount(request, timeout=TIMEOUT_S)).account.channel_account_id
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    await gateway.settled()
    assert (await outcome(gateway, customer)).reason == "ACCOUNT_UNUSABLE"
    (refused,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    assert (refused.state, refused.reason) == (delivery_pb2.SEND_STATE_FAILED, "ACCOUNT_UNUSABLE")

    renewed = account_pb2.ChannelAccount(
        channel_account_id=account,
        line=account_pb2.LineConnection(channel_id="1", access_token="emulator-token"),
    )
    update = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=renewed
    )
    update.update_mask.paths.append("connection")
    reply = await gateway.stub.UpdateChannelAccount(update, timeout=TIMEOUT_S)
    assert reply.account.state == account_pb2.ACCOUNT_STATE_ACTIVE
    assert reply.account.line.access_token == "", "secrets are never shown"
    (taken,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    assert taken.state == ACCEPTED
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 1


async def test_a_deleted_module_is_told_and_ends_sends(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    request = pb.DeleteBotModuleRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), bot_module_id=module
    )
    await gateway.stub.DeleteBotModule(request, timeout=TIMEOUT_S)
    await gateway.stub.DeleteBotModule(request, timeout=TIMEOUT_S)
    (fact,) = await gateway.facts()
    assert (fact.kind, fact.outcome) == (FactKind.CONTENT_GONE, GoneKind.BOT_MODULE)
    assert (fact.key, fact.reason) == (UUID(module).bytes, "DELETED")
    (answer,) = await gateway.ask(gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module))
    assert (answer.state, answer.reason) == (EXHAUSTED, "BOT_MODULE_MISSING")
