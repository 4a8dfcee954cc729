"""What nodes do, each once, and what follows from it: through segment, points and the channels as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import structlog

from libs.common import crash
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2, journey_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.store.turns import TurnStore
from tests.integration.journey.turns_by_hand import refused_for
from tests.integration.journey.whole_site import ALL, LINE, WHATSAPP, refusal
from tests.integration.whole_path.stage import STATUS, Stage, node, quiet, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

QUIET = enrolment_pb2.WAIT_REASON_QUIET
CAUSATION_DEPTH = 3


def gives(node_id: str, following: str = "", **points: int) -> node_pb2.Node:
    return node(node_id, following, points=node_pb2.PointsNode(**points))


def sends(node_id: str, template_id: str, *parameters: str) -> node_pb2.Node:
    content = node_pb2.TemplateContent(template_id=template_id, parameters=parameters)
    return node(node_id, message=node_pb2.MessageNode(channel=WHATSAPP, template=content))


def tagged(*tags: str) -> trigger_pb2.Trigger:
    return trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=tags))


@pytest.mark.rule("J-30a", "J-33", "J-34a", "J-35a", "J-35c")
async def test_each_node_does_what_it_says_to_a_customer(stage: Stage) -> None:
    await stage.site.attribute("tier")
    module_id = await stage.module("Dear {{customer.name}}", "{{attribute.tier}} {{points.balance}}")
    journey_id = await stage.live(
        gives("add", "spend", add=10),
        gives("spend", "much", deduct=4),
        gives("much", "tags", deduct=7),
        node("tags", "tier", tags=node_pb2.TagsNode(add=["VIP", "seen"], remove=["new"])),
        node("tier", "hello", attribute=node_pb2.AttributeNode(key="tier", text="gold")),
        says("hello", module_id),
    )
    mei, stranger = await stage.customer(tags=["NEW", "old"], name="Mei"), await stage.customer(WHATSAPP)
    await stage.trigger(journey_id, mei, stranger)
    await stage.until_done(journey_id, 2)
    assert await stage.texts(mei) == ["Dear Mei", "gold 6"]
    assert await stage.balance(mei) == (6, 10)
    seen = await stage.person(mei)
    assert (sorted(seen.tags), dict(seen.attributes)) == (["VIP", "old", "seen"], {"tier": "gold"})
    assert [step for step in await stage.steps(journey_id, mei) if "APPLIED" not in step] == [
        *("much INSUFFICIENT INSUFFICIENT", "hello SEND_REQUESTED", "hello SENT")
    ]
    assert (await stage.steps(journey_id, stranger))[-1] == "hello SKIPPED UNBOUND"


@pytest.mark.rule("J-30b", "J-11b")
async def test_every_door_says_the_same_of_what_a_template_takes_and_with_all_of_it_it_is_sent(
    stage: Stage,
) -> None:
    name = f"sale_{new_id().hex}"
    components = [
        {"type": "HEADER", "format": "DOCUMENT"},
        {"type": "BODY", "text": "Dear {{1}}."},
        {
            "type": "BUTTONS",
            "buttons": [{"type": "URL", "text": "Look", "url": "https://shop.example/{{1}}"}],
        },
    ]
    definition = {"name": name, "language": "en", "category": "MARKETING", "components": components}
    await stage.emulator("post", WHATSAPP, "templates", definition)
    account = stage.accounts[WHATSAPP]
    await stage.call("SyncMessageTemplates", account_id=account)
    listed = await stage.call("ListMessageTemplates", account_id=account, page_size=500)
    [template_id] = [each.message_template_id for each in listed.templates if each.name == name]

    def sending(**content: Any) -> list[node_pb2.Node]:
        template = node_pb2.TemplateContent(template_id=template_id, **content)
        return [node("a", message=node_pb2.MessageNode(channel=WHATSAPP, template=template))]

    bare = await stage.draft(*sending(header_parameters=["x"]), targets=stage.targets(WHATSAPP))
    path = "nodes[0].message.template"
    lacking = {f"{path}.{each}" for each in ("parameters", "header_media", "button_parameters[0]")}
    refused = await refusal(stage.call("PublishJourney", journey_id=bare))
    assert {each.field for each in refused.violations} == {*lacking, f"{path}.header_parameters"}
    looked = await stage.call("ValidateJourney", journey_id=bare)
    told = {each.field.removeprefix(f"{path}."): each.message for each in looked.faults}
    assert set(told) == {"parameters", "header_media", "button_parameters[0]", "header_parameters"}
    now = await stage.site.now()
    span = {"start_time": timestamp(now - timedelta(days=1)), "end_time": timestamp(now)}
    simulated = await refusal(stage.call("StartSimulation", journey_id=bare, **span))
    assert {each.field for each in simulated.violations} == {"trigger", *(f"{path}.{each}" for each in told)}
    shown = {"message_template_id": template_id, "customer_id": await stage.customer(WHATSAPP)}
    unseen = await refusal(stage.call("PreviewMessageTemplate", **shown, header_parameter="x"))
    assert {each.field: each.description for each in unseen.violations} == {
        "header_parameter" if field == "header_parameters" else field: message
        for field, message in told.items()
    }

    media = content_pb2.TemplateMedia(
        document_url="https://shop.example/{{trigger.order}}.pdf", filename="Order {{trigger.order}}.pdf"
    )
    whole = {"parameters": ["Mei"], "button_parameters": ["{{trigger.order}}"], "header_media": media}
    journey_id = await stage.live(*sending(**whole), targets=stage.targets(WHATSAPP))
    assert (await stage.seen(journey_id)).definition.nodes == sending(**whole)
    unfit = await refusal(stage.edit(journey_id, nodes=sending(**{**whole, "button_parameters": ["a", "b"]})))
    assert [each.field for each in unfit.violations] == [f"{path}.button_parameters[1]"]
    customer = await stage.customer(WHATSAPP)
    trigger = pb.SystemTriggerItem(
        request_id=str(new_id()), journey_id=journey_id, customer_id=customer, data={"order": "A#7"}
    )
    await stage.call("TriggerJourneys", items=[trigger])
    await stage.until_done(journey_id)
    [sent] = await stage.accepted(WHATSAPP, customer)
    header, _, button = sent["body"]["template"]["components"]
    document = {"link": "https://shop.example/A%237.pdf", "filename": "Order A#7.pdf"}
    assert header["parameters"] == [{"type": "document", "document": document}]
    assert button["parameters"] == [{"type": "text", "text": "A#7"}]

    more = content_pb2.MessageTemplate(message_template_id=template_id, parameter_count=2)
    await stage.call("UpdateMessageTemplate", template=more)
    another = await stage.customer(WHATSAPP)
    trigger.request_id, trigger.customer_id = str(new_id()), another
    await stage.call("TriggerJourneys", items=[trigger])
    await stage.until_done(journey_id, 2)
    [enrolment] = [each for each in await stage.enrolments(journey_id) if each.customer_id == another]
    explained = await stage.call("ExplainEnrolment", enrolment_id=enrolment.enrolment_id)
    assert [each.detail for each in explained.steps][-1] == "TEMPLATE_PARAMETERS"
    looked = await stage.call("ValidateJourney", journey_id=journey_id)
    assert [each.field for each in looked.faults] == [f"{path}.parameters"]
    assert list(explained.message_faults) == list(looked.faults)
    asked = {"journey_id": journey_id, "customer_id": another, "event_id": trigger.request_id}
    [entry] = (await stage.call("ExplainCustomer", **asked)).entries
    assert list(entry.message_faults) == list(looked.faults)


@pytest.mark.rule("J-12c")
async def test_only_the_message_waits_for_the_night_to_end_and_leaves_by_itself(stage: Stage) -> None:
    await stage.at_hour(2)
    module_id = await stage.module("Good morning")
    journey_id = await stage.live(
        gives("give", "hello", add=5),
        says("hello", module_id, "after"),
        node("after", tags=node_pb2.TagsNode(add=["greeted"])),
        do_not_disturb=quiet((23, 24), (0, 8)),
    )
    customer = await stage.customer()
    await stage.trigger(journey_id, customer)
    await stage.until_waiting(journey_id, QUIET)
    assert await stage.balance(customer) == (5, 5)
    await stage.at_hour(7)
    assert await stage.texts(customer) == []
    await stage.at_hour(8)
    await stage.until_done(journey_id)
    assert await stage.texts(customer) == ["Good morning"]
    assert list((await stage.person(customer)).tags) == ["greeted"]


@pytest.mark.rule("J-25a")
async def test_what_a_journey_does_starts_another_one(stage: Stage) -> None:
    first = await stage.live(node("tag", tags=node_pb2.TagsNode(add=["VIP"])))
    second = await stage.live(gives("give", add=5), trigger=tagged("vip"))
    customer = await stage.customer()
    await stage.trigger(first, customer, customer)
    await stage.until_done(first, 2)
    await stage.until_done(second)
    [enrolment] = await stage.enrolments(second)
    assert enrolment.causation_depth == 1
    assert await stage.balance(customer) == (5, 5)


@pytest.mark.rule("J-25a", "J-25b")
async def test_a_journey_that_starts_itself_is_cut_counted_and_logged(stage: Stage) -> None:
    journey_id = await stage.live(
        node("untag", "tag", tags=node_pb2.TagsNode(remove=["loop"])),
        node("tag", tags=node_pb2.TagsNode(add=["loop"])),
        trigger=tagged("loop"),
    )
    customer, refused = await stage.customer(), refused_for("CAUSATION_DEPTH")

    async def is_refused() -> bool:
        return [fact.reason for fact in await stage.refusals(journey_id)] == [CAUSATION_DEPTH]

    with structlog.testing.capture_logs() as logged:
        await stage.call("ChangeCustomerTags", customer_id=customer, add=["loop"])
        await until(is_refused)
    depths = [enrolment.causation_depth for enrolment in await stage.enrolments(journey_id)]
    assert sorted(depths) == list(range(17))
    assert "a chain of journeys was cut" in [entry["event"] for entry in logged]
    assert refused_for("CAUSATION_DEPTH") == refused + 1


async def _effects_of_all_kinds(stage: Stage) -> str:
    await stage.site.attribute("tier")
    module_id = await stage.module("Hello")
    return await stage.live(
        gives("add", "tags", add=10),
        node("tags", "tier", tags=node_pb2.TagsNode(add=["VIP"])),
        node("tier", "hello", attribute=node_pb2.AttributeNode(key="tier", text="gold")),
        says("hello", module_id),
    )


@pytest.mark.rule("J-36a")
@pytest.mark.parametrize(
    "point",
    ["journey.between_effects", "journey.before_commit", "gateway.after_reserve", "relay.after_deliver"],
)
async def test_each_effect_happens_once_whatever_is_run_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    journey_id = await _effects_of_all_kinds(stage)
    customer = await stage.customer()
    left = [True]

    def reach(reached: str) -> None:
        if reached == point and left:
            left.pop()
            raise ConnectionError(f"cut off at {point}")

    with monkeypatch.context() as patched:
        patched.setattr(crash, "reach", reach)
        await stage.trigger(journey_id, customer)
        await stage.until_done(journey_id)
    assert not left
    await _happened_once(stage, journey_id, customer)


@pytest.mark.rule("J-36a", "J-06e")
@pytest.mark.parametrize("change", ["stop", "close", "edit"])
async def test_what_a_changed_journey_has_done_is_told_and_not_done_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    journey_id = await _effects_of_all_kinds(stage)
    customer, late = await stage.customers(2)
    commit, left = TurnStore.commit, [True]

    async def change_first(self: TurnStore, turns: Any, *others: Any) -> Any:
        if left and any(turn.enrolments for turn in turns.values()):
            left.clear()
            if change == "stop":
                await stage.call("StopJourney", journey_id=journey_id)
            elif change == "close":
                await stage.call("CloseTrigger", journey_id=journey_id)
            else:
                nodes = list((await stage.seen(journey_id)).definition.nodes)
                await stage.edit(journey_id, nodes=[gives("add", "tags", add=20), *nodes[1:]])
        return await commit(self, turns, *others)

    with monkeypatch.context() as patched:
        patched.setattr(TurnStore, "commit", change_first)
        await stage.trigger(journey_id, customer)
        await until(lambda: _has_ended(stage, journey_id))
    assert not left
    if change != "stop":
        await _happened_once(stage, journey_id, customer)
    else:  # the message had been handed over and was cancelled, or was on its way
        await stage.until_status(journey_id, STATUS.Value("JOURNEY_STATUS_STOPPED"))
        assert await stage.balance(customer) == (10, 10)
        steps = await stage.steps(journey_id, customer)
        assert [step for step in steps if "APPLIED" in step] == [
            f"{n} APPLIED" for n in ("add", "tags", "tier")
        ]
        assert len(await stage.texts(customer)) == sum("SENT" in step for step in steps)
    assert not any("REFUSED" in step for step in await stage.steps(journey_id))
    if change != "edit":
        (told,) = await stage.trigger(journey_id, late)
        assert not told.accepted


async def _has_ended(stage: Stage, journey_id: str) -> bool:
    live = enrolment_pb2.ENROLMENT_STATE_LIVE
    found = await stage.enrolments(journey_id)
    return bool(found) and all(each.state != live for each in found)


async def _happened_once(stage: Stage, journey_id: str, customer: str) -> None:
    assert await stage.balance(customer) == (10, 10)
    assert await stage.texts(customer) == ["Hello"]
    seen = await stage.person(customer)
    assert (list(seen.tags), dict(seen.attributes)) == (["VIP"], {"tier": "gold"})
    steps = await stage.steps(journey_id, customer)
    # A run that comes again may find the message sent where the first one had it handed over.
    assert [step for step in steps if step != "hello SEND_REQUESTED"] == [
        *("add APPLIED", "tags APPLIED", "tier APPLIED", "hello SENT")
    ]
    assert steps.count("hello SEND_REQUESTED") <= 1


async def _stops_with(stage: Stage, journey_id: str, reason: str, text: str) -> None:
    stopped = await stage.until_status(journey_id, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    assert stopped.status_reason == journey_pb2.StatusReason.Value(f"STATUS_REASON_{reason}")
    assert (await stage.seen(journey_id, language_code="zh-TW")).status_message == text


@pytest.mark.rule("J-07a", "J-07i")
async def test_a_line_plan_that_is_found_empty_stops_the_journey(stage: Stage) -> None:
    plan = {"channel_id": "2", "token": "second-token", "quota": 2}
    await stage.emulator("post", LINE, "accounts", plan)
    await stage.account(LINE, access_token="second-token")
    module_id = await stage.module("Hello")
    journey_id = await stage.live(says("hello", module_id))
    crowd = await stage.customers(4)
    for customer in crowd:
        await stage.trigger(journey_id, customer)
    await _stops_with(
        stage, journey_id, "LINE_QUOTA_EXHAUSTED", "LINE 渠道無法發送訊息，官方帳號已無可用訊息則數"
    )
    assert len(await stage.texts(*crowd)) == 2


@pytest.mark.rule("J-07b", "J-07i")
async def test_a_prepaid_balance_of_nothing_stops_the_journey(stage: Stage) -> None:
    await stage.site.team(ALL, [WHATSAPP])
    await stage.account(WHATSAPP)
    await stage.top_up(1_200_000)  # two messages of HK$0.5, and not a third
    journey_id = await stage.live(
        sends("hello", await stage.template("balance"), "Mei"), targets=stage.targets(WHATSAPP)
    )
    crowd = await stage.customers(4, WHATSAPP)
    for customer in crowd:
        await stage.trigger(journey_id, customer)
    await _stops_with(
        stage, journey_id, "WHATSAPP_BALANCE_EXHAUSTED", "WhatsApp 渠道無法發送訊息，預付帳戶餘額為 0"
    )
    assert len(await stage.accepted(WHATSAPP, *crowd)) == 2


@pytest.mark.rule("J-07c", "J-07d", "J-07i")
@pytest.mark.parametrize("channel", [LINE, WHATSAPP])
async def test_a_journey_over_its_own_cap_sends_that_many_and_stops(stage: Stage, channel: int) -> None:
    name = channel_pb2.Channel.Name(channel_pb2.Channel.ValueType(channel)).removeprefix("CHANNEL_")
    hello = (
        says("hello", await stage.module("Hello"))
        if channel == LINE
        else sends("hello", await stage.template("cap"), "Mei")
    )
    journey_id = await stage.live(hello, targets=stage.targets(channel, **{name.lower(): 3}))
    crowd = await stage.customers(5, channel)
    await stage.trigger(journey_id, *crowd)
    label = "LINE" if channel == LINE else "WhatsApp"
    await _stops_with(
        stage, journey_id, f"{name}_CAP_REACHED", f"{label} 渠道無法發送訊息，目標渠道訊息量已達上限"
    )
    assert len(await stage.accepted(channel, *crowd)) == 3
