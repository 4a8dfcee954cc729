"""Sends through the running gateway to the emulators: answers, outcomes, places, mail, facts."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome, SendOutcome
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from omnijourney.internal.v1 import send_pb2
from omnijourney.segment.v1 import team_pb2
from services.channel_gateway.domain.facts import FactKind
from services.channel_gateway.domain.model import Send
from services.channel_gateway.domain.prepare import prepare as write
from services.channel_gateway.domain.presses import Pressed, pressed
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.running_gateway import outcome, usage

HKD = 500_000
"""Price of a WhatsApp message."""
ACCEPTED = delivery_pb2.SEND_STATE_ACCEPTED
SENT = delivery_pb2.SEND_STATE_SENT
EXHAUSTED = delivery_pb2.SEND_STATE_EXHAUSTED


@pytest.mark.rule("C-10a", "C-01a", "C-01b")
async def test_line_send_leaves_and_its_outcome_is_mailed(gateway: Gateway) -> None:
    gateway.neighbours.segment.points_channels = [LINE]
    account = await gateway.account(LINE)
    module = await gateway.module("Hello {{customer.name}}, you have {{points.balance}} points")
    customer = gateway.customer(account, LINE)
    gateway.neighbours.points.balances[customer] = (120, 300)
    send = gateway.send(customer, LINE, bot_module_id=module, depth=3)

    (answer,) = await gateway.ask(send)
    assert (answer.state, answer.messages) == (ACCEPTED, 1)
    await gateway.settled()

    (message,) = await gateway.accepted("line")
    assert message["body"]["messages"][0]["text"] == "Hello Mei, you have 120 points"
    (mail,) = await gateway.mail(customer)
    assert (mail.number, mail.depth, mail.partition) == (1, 3, gateway.partition(customer))
    assert isinstance(mail.body, SendOutcome)
    assert (mail.body.outcome, mail.body.messages) == (Outcome.SENT, 1)
    assert str(mail.body.effect_key) == send.effect_key
    assert mail.body.settled_at == gateway.clock.now()


async def test_nobody_is_asked_about_a_customer_whom_the_send_knows(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    plain, asking = (
        await gateway.module("Hello {{customer.name}}"),
        await gateway.module("{{attribute.tier|?}}"),
    )
    stranger, customer = str(new_id()), gateway.customer(account, LINE)
    line_id = "U" + new_id().hex
    carried = {"account_id": account, "recipient": send_pb2.Recipient(external_id=line_id, name="Mei")}
    answers = await gateway.ask(
        gateway.send(stranger, LINE, bot_module_id=plain, **carried),
        gateway.send(str(new_id()), LINE, bot_module_id=asking, **carried),
        gateway.send(str(new_id()), LINE, bot_module_id=plain, account_id=account, recipient={}),
        gateway.send(customer, LINE, bot_module_id=plain, account_id=account),
    )
    skipped, failed = delivery_pb2.SEND_STATE_SKIPPED, delivery_pb2.SEND_STATE_FAILED
    assert [answer.state for answer in answers] == [ACCEPTED, skipped, failed, ACCEPTED]
    assert gateway.neighbours.segment.asked_customers == 2, "about whom nobody said enough"
    await gateway.settled()
    texts = {m["body"]["to"]: m["body"]["messages"][0]["text"] for m in await gateway.accepted("line")}
    assert texts[line_id] == "Hello Mei"


@pytest.mark.rule("C-01a", "C-01b", "C-50")
async def test_whatsapp_template_is_filled_in_and_paid(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account)
    await gateway.top_up(10 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    content = send_pb2.TemplateContent(
        template_id=template, parameters=["{{customer.name}}", "{{attribute.tier|new}}"]
    )
    send = gateway.send(customer, WHATSAPP, template=content)

    (answer,) = await gateway.ask(send)
    assert answer.state == ACCEPTED
    await gateway.settled()

    (message,) = await gateway.accepted("whatsapp")
    parameters = message["body"]["template"]["components"][0]["parameters"]
    assert [item["text"] for item in parameters] == ["Mei", "new"]
    assert gateway.neighbours.points.calls == 0, "no text names points"
    assert await gateway.balance() == 9 * HKD
    (fact,) = await gateway.facts()
    assert (fact.kind, fact.outcome, fact.messages) == (
        FactKind.SEND_SETTLED,
        delivery_pb2.SEND_STATE_SENT,
        1,
    )
    assert (fact.key, fact.channel) == (UUID(send.effect_key).bytes, WHATSAPP)
    assert (fact.currency, fact.micros) == ("HKD", HKD)
    delivery = await gateway.delivery(send.effect_key)
    assert list(delivery.channel_message_ids) == [message["id"]]
    figures = await gateway.stub.GetSendFigures(
        pb.GetSendFiguresRequest(team_id=str(gateway.team_id)), timeout=TIMEOUT_S
    )
    assert [(f.channel, f.sends_sent, f.messages_sent) for f in figures.figures] == [(WHATSAPP, 1, 1)]


@pytest.mark.rule("J-30b")
async def test_whatsapp_takes_what_fills_header_and_buttons(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    header = {"type": "HEADER", "format": "TEXT", "text": "For {{1}}"}
    buttons = [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Look", "url": "https://shop.example/{{1}}"},
    ]
    more: list[dict[str, Any]] = [header, {"type": "BUTTONS", "buttons": buttons}]
    template = await gateway.template(account, "offer", 1, more)
    await gateway.top_up(10 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    content = send_pb2.TemplateContent(
        template_id=template,
        parameters=["x"],
        header_parameter="{{customer.name|a very long text that stands where nobody has told us any name}}",
        button_parameters={1: "offers/{{attribute.tier|new}}"},
    )
    (answer,) = await gateway.ask(gateway.send(customer, WHATSAPP, template=content))
    assert answer.state == ACCEPTED
    await gateway.settled()
    (message,) = await gateway.accepted("whatsapp")
    assert [
        (component["type"], component.get("index"), [each["text"] for each in component["parameters"]])
        for component in message["body"]["template"]["components"]
    ] == [("header", None, ["Mei"]), ("body", None, ["x"]), ("button", "1", ["offers/new"])]


async def test_values_with_breaks_leave_in_one_line(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, parameters=1)
    await gateway.top_up(10 * HKD)
    customer = gateway.customer(account, WHATSAPP)
    gateway.neighbours.segment.profiles[customer].name = "Leave at door\nRing\t\ttwice"
    content = send_pb2.TemplateContent(template_id=template, parameters=["{{customer.name}}"])
    await gateway.ask(gateway.send(customer, WHATSAPP, template=content))
    await gateway.settled()
    (message,) = await gateway.accepted("whatsapp")
    parameters = message["body"]["template"]["components"][0]["parameters"]
    assert [each["text"] for each in parameters] == ["Leave at door Ring twice"]


@pytest.mark.rule("C-03a", "C-02c")
async def test_customers_who_cannot_be_reached_are_skipped_and_take_nothing(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    blocked = gateway.customer(account, LINE, blocked=True)
    elsewhere = gateway.customer(str(new_id()), LINE)
    content = {"bot_module_id": module, "cap": 5}
    answers = await gateway.ask(
        gateway.send(blocked, LINE, **content),
        gateway.send(elsewhere, LINE, **content),
        gateway.send(str(new_id()), LINE, **content),
    )
    assert [answer.state for answer in answers] == [delivery_pb2.SEND_STATE_SKIPPED] * 3
    assert [answer.reason for answer in answers] == ["BLOCKED", "UNBOUND", "UNBOUND"]
    assert await usage(gateway) == 0
    assert await gateway.mail(blocked) == [], "the answer was given at once"
    assert [fact.reason for fact in await gateway.facts()].count("UNBOUND") == 2


async def test_the_same_key_sends_once_and_is_told_how_the_send_stands(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    send = gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, cap=9)
    first = await asyncio.gather(*(gateway.ask(send, send) for _ in range(10)))
    assert {answer.state for answers in first for answer in answers} <= {ACCEPTED, SENT}
    await gateway.settled()
    # A journey whose turn was lost after the first answer may have taken the mail of the outcome before it asks again.
    (again,) = await gateway.ask(send)
    assert (again.state, again.replayed) == (SENT, True)
    assert again.settle_time == (await gateway.delivery(send.effect_key)).settle_time
    assert len(await gateway.accepted("line")) == 1
    assert await usage(gateway) == 1
    other = send_pb2.Send()
    other.CopyFrom(send)
    other.node_id = "another"
    (reused,) = await gateway.ask(other)
    assert (reused.state, reused.reason) == (delivery_pb2.SEND_STATE_FAILED, "KEY_REUSED")


async def test_a_faulty_send_fails_by_itself(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    faults: list[tuple[str, Any]] = [
        ("node_id", "a\0b"),
        ("channel", 99),
        ("customer_id", "x"),
        ("depth", -1),
    ]
    sends = [gateway.send(customer, LINE, bot_module_id=module) for _ in range(len(faults) + 2)]
    for send, fault in zip(sends[1:], faults, strict=False):
        setattr(send, *fault)
    results = await gateway.ask(*sends)
    failed = (delivery_pb2.SEND_STATE_FAILED, "INVALID_FIELDS")
    assert [(result.state, result.reason) for result in results] == [
        (ACCEPTED, ""),
        *[failed] * len(faults),
        (ACCEPTED, ""),
    ]
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 2


@pytest.mark.rule("C-03a")
async def test_a_send_past_its_window_is_deferred_and_taken_up_anew(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    quiet_from = gateway.clock.now() + timedelta(hours=1)
    send = gateway.send(customer, LINE, bot_module_id=module, cap=1, not_after=timestamp(quiet_from))
    await gateway.fault("line", kind="rate")
    await gateway.ask(send)
    while (await gateway.delivery(send.effect_key)).attempts == 0 or not await usage(gateway):
        await asyncio.sleep(0.01)
    gateway.clock.advance(timedelta(hours=2))
    await gateway.settled()
    deferred = await outcome(gateway, customer)
    assert (deferred.outcome, deferred.reason) == (Outcome.DEFERRED, "DO_NOT_DISTURB")
    assert await usage(gateway) == 0

    (replay,) = await gateway.ask(send)
    told = (delivery_pb2.SEND_STATE_DEFERRED, True)
    assert (replay.state, replay.replayed) == told, "the same ask is told how the send stands"
    later = gateway.clock.now() + timedelta(hours=20)
    send.not_after.CopyFrom(timestamp(later))
    (anew,) = await gateway.ask(send)
    assert (anew.state, anew.replayed) == (ACCEPTED, False)
    await gateway.settled()
    outcomes = [
        mail.body.outcome for mail in await gateway.mail(customer) if isinstance(mail.body, SendOutcome)
    ]
    assert outcomes == [Outcome.DEFERRED, Outcome.SENT]
    assert await usage(gateway) == 1

    past = gateway.send(customer, LINE, bot_module_id=module, not_after=timestamp(gateway.clock.now()))
    (at_once,) = await gateway.ask(past)
    assert (at_once.state, at_once.reason) == (delivery_pb2.SEND_STATE_DEFERRED, "DO_NOT_DISTURB")


async def test_a_stop_cancels_what_waits_and_nothing_leaves_after_its_answer(gateway: Gateway) -> None:
    account = await gateway.account(LINE, concurrency_max=2)
    module = await gateway.module()
    sends = [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, cap=500) for _ in range(100)
    ]
    await gateway.fault("line", kind="delay", seconds=0.2, count=None)
    await gateway.ask(*sends)
    while len(await gateway.accepted("line")) < 4:
        await asyncio.sleep(0.02)
    stopped = await gateway.stop(1)
    left = len(await gateway.accepted("line"))
    await gateway.settled()
    assert len(await gateway.accepted("line")) == left
    states = Counter(fact.outcome for fact in await gateway.facts())
    assert states == {delivery_pb2.SEND_STATE_SENT: left, delivery_pb2.SEND_STATE_CANCELLED: 100 - left}
    assert 0 < stopped.cancelled <= 100 - left
    assert await usage(gateway) == left
    (late,) = await gateway.ask(gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module))
    assert (late.state, late.reason) == (delivery_pb2.SEND_STATE_CANCELLED, "JOURNEY_STOPPED")
    (next_epoch,) = await gateway.ask(
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, stop_epoch=1)
    )
    assert next_epoch.state == ACCEPTED


@pytest.mark.rule("C-10b")
async def test_a_condition_card_branches_on_points(gateway: Gateway) -> None:
    gateway.neighbours.segment.points_channels = [LINE]
    account = await gateway.account(LINE)
    module = content_pb2.BotModule(name="Branch")
    condition = module.cards.add().condition
    condition.figure = content_pb2.POINT_FIGURE_CUMULATIVE
    condition.comparison = content_pb2.POINT_COMPARISON_AT_LEAST
    condition.value = 100
    condition.then_cards.add().text.text = "{{points.cumulative}} in all"
    condition.else_cards.add().text.text = "collect more"
    request = pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)
    module_id = (await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id
    rich, poor = gateway.customer(account, LINE), gateway.customer(account, LINE)
    gateway.neighbours.points.balances = {rich: (0, 100), poor: (99, 99)}
    await gateway.ask(
        gateway.send(rich, LINE, bot_module_id=module_id), gateway.send(poor, LINE, bot_module_id=module_id)
    )
    await gateway.settled()
    texts = {record["body"]["messages"][0]["text"] for record in await gateway.accepted("line")}
    assert texts == {"100 in all", "collect more"}
    assert gateway.neighbours.points.calls == 1


@pytest.mark.rule("P-09")
@pytest.mark.parametrize("with_module", [True, False])
async def test_points_variables_and_coupons_are_open_where_the_team_says_so(
    gateway: Gateway, *, with_module: bool
) -> None:
    if not with_module:
        gateway.neighbours.segment.points_channels = [LINE]
        gateway.neighbours.segment.modules = [team_pb2.MODULE_JOURNEYS]
    account = await gateway.account(LINE)
    module = content_pb2.BotModule(name="Points")
    module.cards.add().text.text = "{{points.balance|some}} points"
    coupon = module.cards.add().coupon
    coupon.coupon_id, coupon.text, coupon.button_label = gateway.coupon(), "A coupon", "Claim"
    request = pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)
    module_id = (await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id
    customer = gateway.customer(account, LINE)
    gateway.neighbours.points.balances = {customer: (7, 7)}
    await gateway.ask(gateway.send(customer, LINE, bot_module_id=module_id))
    await gateway.settled()
    (closed,) = await gateway.accepted("line")
    assert [message.get("text") for message in closed["body"]["messages"]] == ["some points"]


@pytest.mark.rule("C-10c")
async def test_a_team_opens_points_to_a_channel(gateway: Gateway) -> None:
    gateway.neighbours.segment.points_channels = [LINE]
    account = await gateway.account(LINE)
    module = content_pb2.BotModule(name="Points")
    module.cards.add().text.text = "{{points.balance|some}} points"
    coupon = module.cards.add().coupon
    coupon.coupon_id, coupon.text, coupon.button_label = gateway.coupon(), "A coupon", "Claim"
    request = pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)
    module_id = (await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id
    customer = gateway.customer(account, LINE)
    gateway.neighbours.points.balances = {customer: (7, 7)}
    send = gateway.send(customer, LINE, bot_module_id=module_id)
    await gateway.ask(send)
    await gateway.settled()
    (opened,) = await gateway.accepted("line")
    text, offer = opened["body"]["messages"]
    assert text["text"] == "7 points"
    (button,) = offer["template"]["actions"]
    carried = Pressed(f"c=claim&coupon={coupon.coupon_id}", UUID(send.effect_key))
    assert (button["label"], pressed(button["data"])) == ("Claim", carried)


@pytest.mark.rule("C-20d")
async def test_a_send_that_cannot_be_written_fails_alone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, module = await gateway.account(LINE), await gateway.module()
    customers = [gateway.customer(account, LINE) for _ in range(3)]

    def prepare(send: Send, *others: Any, **named: Any) -> Any:
        if str(send.customer_id) == customers[1]:
            raise UnicodeError("no such text")
        return write(send, *others, **named)

    monkeypatch.setattr("services.channel_gateway.usecases.reservation.prepare", prepare)
    sends = [gateway.send(customer, LINE, bot_module_id=module) for customer in customers]
    results = await gateway.ask(*sends)
    assert [(result.state, result.reason) for result in results] == [
        (delivery_pb2.SEND_STATE_ACCEPTED, ""),
        (delivery_pb2.SEND_STATE_FAILED, "CONTENT_INVALID"),
        (delivery_pb2.SEND_STATE_ACCEPTED, ""),
    ]
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 2
