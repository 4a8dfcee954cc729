"""The gate on its whole path: the four services as they are, and what publishing finds of what a definition names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.journey.v1 import journey_pb2, node_pb2, trigger_pb2
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import attribute_pb2, audience_pb2, customer_pb2
from tests.integration.journey.whole_site import (
    ALL,
    LINE,
    TIMEOUT_S,
    WHATSAPP,
    Site,
    ask,
    bound,
    definition_of,
    link,
    refusal,
    say,
    send,
    serving_site,
    target,
    text,
    wait,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services, once for all tests here: each test has a team of its own."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(services: Site) -> Site:
    """The same with a team that has all modules."""
    await services.team(ALL)
    return services


@pytest.mark.rule("J-11c", "J-34c", "J-35b", "S-02")
async def test_modules_that_the_team_lacks_are_told_with_all_else_that_is_missing(site: Site) -> None:
    await site.team([])
    nothing = str(new_id())
    many = audience_pb2.PointsPredicate(
        figure=audience_pb2.POINTS_FIGURE_BALANCE, operator=audience_pb2.COMPARE_OPERATOR_GREATER, value=5
    )
    nodes = (
        say(LINE, nothing),
        node_pb2.Node(attribute=node_pb2.AttributeNode(key="tier", text="gold")),
        node_pb2.Node(points=node_pb2.PointsNode(add=5)),
        ask(audience_pb2.Audience()),
        ask(audience_pb2.Audience(points=many)),
    )
    assert await site.faults(*nodes, targets=[target(LINE, nothing)]) == {
        "targets[0].account_id": "RESOURCE_NOT_FOUND",
        "nodes[0].message.bot_module_id": "RESOURCE_NOT_FOUND",
        "nodes[1].attribute": "MODULE_MISSING",
        "nodes[1].attribute.key": "ATTRIBUTE_UNAVAILABLE",
        "nodes[2].points": "MODULE_MISSING",
        "nodes[3].condition.audience": "AUDIENCE_INVALID",
        "nodes[4].condition.audience.points": "MODULE_MISSING",
        "team_id": "MODULE_MISSING",
    }


@pytest.mark.rule("J-11a")
async def test_every_fault_of_shape_is_told_at_once(site: Site) -> None:
    def node(node_id: str, following: str = "", **kind: Any) -> node_pb2.Node:
        return node_pb2.Node(node_id=node_id, next_node_id=following, **kind)

    delay = node_pb2.DelayNode(delay=Duration(seconds=60))
    whole = journey_pb2.Definition(
        name="J",
        schedule=journey_pb2.Schedule(
            start_time=timestamp(datetime(2020, 1, 1, tzinfo=UTC)),
            end_time=timestamp(datetime(2020, 1, 2, tzinfo=UTC)),
            expiry_action=journey_pb2.EXPIRY_ACTION_STOP,
        ),
        nodes=[
            node("a", "b", delay=delay),
            node("b", "c", message=node_pb2.MessageNode(channel=LINE)),
            node("c", condition=node_pb2.ConditionNode(yes=node_pb2.Branch(node_id="a"))),
            node("lonely", "nowhere", tags=node_pb2.TagsNode(add=["VIP", " "], remove=["vip"])),
            node("Bad Id", points=node_pb2.PointsNode()),
        ],
    )
    journey_id = (await site.call("CreateJourney", definition=whole)).journey.journey_id
    told = await refusal(site.call("PublishJourney", journey_id=journey_id))
    validated = await site.call("ValidateJourney", journey_id=journey_id)
    paths = {fault.field for fault in told.violations}
    assert paths == {fault.field for fault in validated.faults}
    assert paths == {
        *("trigger", "targets", "schedule.end_time", "nodes[1].message.channel", "nodes[1].message"),
        *("nodes[2]", "nodes[2].condition.no", "nodes[2].condition.audience"),
        *("nodes[3]", "nodes[3].next_node_id", "nodes[3].tags", "nodes[3].tags.add[1]"),
        *("nodes[4]", "nodes[4].node_id", "nodes[4].points"),
    }


@pytest.mark.rule("J-11b")
async def test_accounts_modules_and_templates_are_looked_at_as_they_are(site: Site) -> None:
    line, whatsapp, other = [await site.account(channel) for channel in (LINE, WHATSAPP, WHATSAPP)]
    module = await site.module()
    sound, strange = await site.template(whatsapp), await site.template(other)
    pending = await site.template(whatsapp, state=content_pb2.TEMPLATE_STATE_PENDING)
    targets = [target(LINE, line), target(WHATSAPP, whatsapp)]
    good = (say(LINE, module), send(sound, "{{customer.name|you}}", "x"))
    assert await site.faults(*good, targets=targets) == {}
    nodes = (
        *(say(LINE, str(new_id())), send(strange, "a", "b"), send(pending, "a", "b")),
        *(send(sound, "a"), send(str(new_id()), "a", "b"), send(sound, "{{customer.first_name}}", "a\nb")),
    )
    assert await site.faults(*nodes, targets=targets) == {
        "nodes[0].message.bot_module_id": "RESOURCE_NOT_FOUND",
        "nodes[1].message.template.template_id": "RESOURCE_NOT_FOUND",
        "nodes[2].message.template.template_id": "TEMPLATE_NOT_APPROVED",
        "nodes[3].message.template.parameters": "TEMPLATE_PARAMETERS",
        "nodes[4].message.template.template_id": "RESOURCE_NOT_FOUND",
        "nodes[5].message.template.parameters[0]": "INVALID_FIELDS",
        "nodes[5].message.template.parameters[1]": "INVALID_FIELDS",
    }
    crossed = [target(LINE, whatsapp), target(WHATSAPP, line)]
    found = await site.faults(say(LINE, module), targets=crossed)
    assert found == {f"targets[{place}].account_id": "CHANNEL_UNSUPPORTED" for place in (0, 1)}
    asked = [bound(account) for account in (line, whatsapp, str(new_id()))]
    assert await site.faults(*map(ask, asked), targets=targets) == {
        "nodes[1].condition.audience": "CHANNEL_UNSUPPORTED",
        "nodes[2].condition.audience": "RESOURCE_NOT_FOUND",
    }
    await site.call("DeleteBotModule", bot_module_id=module)
    assert list(await site.faults(*good, targets=targets)) == ["nodes[0].message.bot_module_id"]


@pytest.mark.rule("J-11d")
async def test_text_that_can_never_fit_its_channel_is_told(site: Site) -> None:
    targets = [target(channel, await site.account(channel)) for channel in (LINE, WHATSAPP)]
    long_link = await site.module(text("Hi"), link(f"https://example.com/{'x' * 1_100}"))
    assert await site.faults(say(LINE, long_link), targets=targets) == {
        "nodes[0].message.bot_module_id": "CONTENT_INVALID"
    }
    assert await site.faults(say(WHATSAPP, long_link), targets=targets) == {}
    card = content_pb2.ButtonCard(text="x" * 161, buttons=[content_pb2.Button(label="Go", message_text="go")])
    long_text = await site.module(content_pb2.Card(button=card))
    assert list(await site.faults(say(LINE, long_text), targets=targets)) == [
        "nodes[0].message.bot_module_id"
    ]


@pytest.mark.rule("J-34b", "J-23c")
async def test_attributes_are_there_and_of_a_type_that_can_be_set_or_met(site: Site) -> None:
    await site.attribute("tier")
    await site.attribute("spent", attribute_pb2.ATTRIBUTE_TYPE_NUMBER)
    await site.attribute("old", archived=True)
    line = [target(LINE, await site.account(LINE))]

    def put(key: str) -> node_pb2.Node:
        return node_pb2.Node(attribute=node_pb2.AttributeNode(key=key, text="gold"))

    assert await site.faults(put("tier")) == {"targets": "INVALID_FIELDS"}
    found = await site.faults(put("tier"), put("spent"), put("old"), put("none"), targets=line)
    assert found == {f"nodes[{place}].attribute.key": "ATTRIBUTE_UNAVAILABLE" for place in (1, 2, 3)}
    named = await site.module(text("{{attribute.tier}} {{attribute.old}}"))
    assert await site.faults(say(LINE, named), targets=line) == {
        "nodes[0].message.bot_module_id": "ATTRIBUTE_UNAVAILABLE"
    }
    changed = trigger_pb2.AttributeChanged(
        keys=["spent", "old"], value=trigger_pb2.ValueCondition(any_of=["10000.0", "much"])
    )
    trigger = trigger_pb2.Trigger(attribute_changed=changed)
    assert await site.faults(wait(), targets=line, trigger=trigger) == {
        "trigger.attribute_changed.keys[1]": "ATTRIBUTE_UNAVAILABLE",
        "trigger.attribute_changed.value.any_of[1]": "INVALID_FIELDS",
    }


@pytest.mark.rule("J-23c")
async def test_a_typed_condition_decides_who_enters(site: Site) -> None:
    await site.attribute("spent", attribute_pb2.ATTRIBUTE_TYPE_NUMBER)
    await site.attribute("tier")
    least = audience_pb2.NumberTest(operator=audience_pb2.COMPARE_OPERATOR_GREATER_OR_EQUAL, value="10000.0")

    def trigger(key: str) -> trigger_pb2.Trigger:
        value = trigger_pb2.ValueCondition(number=least)
        return trigger_pb2.Trigger(attribute_changed={"keys": [key], "value": value})  # type: ignore[arg-type]

    line = [target(LINE, await site.account(LINE))]
    assert await site.faults(wait(), targets=line, trigger=trigger("tier")) == {
        "trigger.attribute_changed.keys[0]": "ATTRIBUTE_UNAVAILABLE"
    }
    journey_id = await site.draft(wait(), targets=line, trigger=trigger("spent"))
    await site.call("PublishJourney", journey_id=journey_id)
    entered = []
    for values in (["9999.99", "-10000"], ["9999.99", "10000"]):
        created = await site.call("CreateCustomer", customer=customer_pb2.Customer(name="C"))
        entered.append(created.customer.customer_id)
        for value in values:
            changed = {"customer_id": entered[-1], "values": {"spent": value}}
            await site.call("SetCustomerAttributes", **changed)
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := await site.call("ListEnrolments", journey_id=journey_id)).enrolments:
            await asyncio.sleep(0.05)
    assert [enrolment.customer_id for enrolment in found.enrolments] == entered[1:]
    first = await site.call("ListEnrolments", customer_id=entered[0])
    assert not first.enrolments


@pytest.mark.rule("S-04")
async def test_every_fault_of_an_audience_is_told_below_its_node(site: Site) -> None:
    line = [target(LINE, await site.account(LINE))]
    await site.attribute("tier")
    equals = audience_pb2.NumberTest(operator=audience_pb2.COMPARE_OPERATOR_EQUALS, value="1")
    wrong = audience_pb2.AttributePredicate(key="tier", number=equals)
    none = audience_pb2.AttributePredicate(key="none", is_set=audience_pb2.IsSet())
    both = [audience_pb2.Audience(attribute=each) for each in (wrong, none)]
    deep = audience_pb2.Audience(tags={"operator": audience_pb2.TAG_OPERATOR_ANY_OF, "tags": ["a"]})  # type: ignore[arg-type]
    for _ in range(10):
        deep = audience_pb2.Audience(negation=deep)
    audiences = (
        audience_pb2.Audience(all_of=audience_pb2.AudienceList(items=both)),
        audience_pb2.Audience(all_of=audience_pb2.AudienceList()),
        deep,
        bound("no id"),
    )
    found = await site.faults(*map(ask, audiences), targets=line)
    assert found.pop(f"nodes[2].condition.audience.{'.'.join(['negation'] * 8)}") == "AUDIENCE_INVALID"
    assert found == {
        "nodes[0].condition.audience.all_of.items[0].attribute": "ATTRIBUTE_UNAVAILABLE",
        "nodes[0].condition.audience.all_of.items[1].attribute.key": "ATTRIBUTE_UNAVAILABLE",
        "nodes[1].condition.audience.all_of.items": "AUDIENCE_INVALID",
        "nodes[3].condition.audience.binding.account_id": "AUDIENCE_INVALID",
    }


@pytest.mark.rule("J-10b")
async def test_a_definition_is_bounded_in_everything(site: Site) -> None:
    async def fields(*nodes: node_pb2.Node, **definition: Any) -> set[str]:
        told = await refusal(site.draft(*nodes, **definition))
        assert told.reason == "INVALID_FIELDS"
        return {fault.field for fault in told.violations}

    assert await fields(*[wait()] * 201) == {"definition.nodes"}
    assert await fields(name="x" * 201) == {"definition.name"}
    tags = node_pb2.Node(tags=node_pb2.TagsNode(add=["x" * 60_000] * 10))
    assert await fields(tags) == {"definition"}
    assert await fields(node_pb2.Node(tags=node_pb2.TagsNode(add=["x"] * 51))) == {
        "definition.nodes[0].tags.add"
    }
    copied = await site.draft(wait())
    for name in (" ", "x" * 201):
        told = await refusal(site.call("CopyJourney", journey_id=copied, name=name))
        assert [fault.field for fault in told.violations] == ["name"]
    window = journey_pb2.QuietWindow(start_minute=60, end_minute=120)
    quiet = journey_pb2.DoNotDisturb(windows=[window] * 51)
    line = [target(LINE, await site.account(LINE))]
    long = node_pb2.Node(tags=node_pb2.TagsNode(add=["x" * 101]))
    assert set(await site.faults(long, targets=line, do_not_disturb=quiet)) == {
        "do_not_disturb.windows",
        "nodes[0].tags.add[0]",
    }


async def test_coupons_and_points_of_content_are_looked_at(site: Site) -> None:
    whatsapp = await site.account(WHATSAPP)
    coupon = coupon_pb2.Coupon(
        name="C",
        type=coupon_pb2.COUPON_TYPE_MARKETING,
        points_redemption=coupon_pb2.PointsRedemption(cost=1, insufficient_text="no"),
        start_time={"seconds": 1_700_000_000},  # type: ignore[arg-type]
    )
    coupon_id = (await site.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
    card = content_pb2.CouponCard(coupon_id=coupon_id, text="Yours", button_label="Claim")
    module = await site.module(content_pb2.Card(coupon=card))
    node, targets = say(WHATSAPP, module), [target(WHATSAPP, whatsapp)]
    assert await site.faults(node, targets=targets) == {}
    line = target(LINE, await site.account(LINE))
    assert await site.warnings(say(LINE, module), targets=[line]) == ["nodes[0].message.bot_module_id"]
    await site.call("ArchiveCoupon", coupon_id=coupon_id)
    assert await site.faults(node, targets=targets) == {
        "nodes[0].message.bot_module_id": "COUPON_NOT_CLAIMABLE"
    }


async def test_circles_and_empty_parameters_are_warnings(site: Site) -> None:
    whatsapp = await site.account(WHATSAPP)
    template = await site.template(whatsapp, 1)
    nodes = (
        node_pb2.Node(tags=node_pb2.TagsNode(add=["vip"])),
        send(template, "{{customer.name}}"),
    )
    trigger = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))
    found = await site.warnings(*nodes, targets=[target(WHATSAPP, whatsapp)], trigger=trigger)
    unknown = "nodes[1].message.template.template_id"
    assert found == ["nodes[0].tags.add", "nodes[1].message.template.parameters[0]", unknown]


async def test_an_edit_of_a_live_journey_names_what_is_there(site: Site) -> None:
    targets = [target(LINE, await site.account(LINE))]
    first, second = await site.account(LINE), await site.account(LINE)
    nodes = (ask(bound(first)), say(LINE, await site.module()))
    journey_id = await site.draft(*nodes, targets=targets)
    await site.call("PublishJourney", journey_id=journey_id)

    async def change(account_id: str, name: str) -> Any:
        edited = definition_of(ask(bound(account_id)), nodes[1], targets=targets, name=name)
        return await site.call("UpdateJourney", journey_id=journey_id, definition=edited)

    told = await refusal(change(str(new_id()), "J"))
    assert [(fault.field, fault.reason) for fault in told.violations] == [
        ("nodes[0].condition.audience", "RESOURCE_NOT_FOUND")
    ]
    await change(second, "J")
    await site.call(
        "DeleteChannelAccount", channel_account_id=second
    )  # which stops nobody who only asks about it
    assert (await change(second, "Renamed")).journey.definition.name == "Renamed"


@pytest.mark.rule("J-25c")
async def test_a_circle_by_way_of_a_live_journey_is_warned_of(site: Site) -> None:
    await site.team(ALL)

    def by(*tags: str) -> trigger_pb2.Trigger:
        return trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=tags))

    def adds(*tags: str) -> node_pb2.Node:
        return node_pb2.Node(tags=node_pb2.TagsNode(add=tags))

    targets = [target(LINE, await site.account(LINE))]
    back = await site.draft(adds("first"), trigger=by("second"), targets=targets, name="Back")
    there = {"trigger": by("First"), "targets": targets}
    assert await site.warnings(adds("Second"), **there) == []
    await site.call("PublishJourney", journey_id=back)
    async with asyncio.timeout(60):
        while await site.warnings(adds("Second"), **there) != ["nodes[0].tags.add"]:
            await asyncio.sleep(0.05)
    itself = await site.call("ValidateJourney", journey_id=back)
    assert not itself.warnings
    await site.call("StopJourney", journey_id=back)
    assert await site.warnings(adds("Second"), **there) == []


async def test_nothing_is_published_while_nobody_can_say(site: Site) -> None:
    """The last one: the other services are gone then."""
    targets = [target(LINE, await site.account(LINE))]
    module = await site.module()
    live = await site.draft(say(LINE, module), targets=targets)
    published = await site.call("PublishJourney", journey_id=live, request_id="once")
    journey_id = await site.draft(say(LINE, module), targets=targets)
    await site.stack.aclose()
    told = await refusal(site.call("PublishJourney", journey_id=journey_id))
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    told = await refusal(site.call("ValidateJourney", journey_id=journey_id))
    assert told.code == grpc.StatusCode.UNAVAILABLE
    journey = (await site.call("GetJourney", journey_id=journey_id)).journey
    assert journey.status == journey_pb2.JOURNEY_STATUS_DRAFT
    # What was answered is answered again.
    assert await site.call("PublishJourney", journey_id=live, request_id="once") == published
