"""The gate on its whole path: the four services as they are, and what publishing finds of what a definition names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import account_pb2, channel_gateway_service_pb2, content_pb2
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceStub
from omnijourney.common.v1 import channel_pb2, error_reason_pb2
from omnijourney.journey.v1 import journey_pb2, journey_service_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceStub
from omnijourney.points.v1 import coupon_pb2, points_service_pb2
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1 import attribute_pb2, audience_pb2, customer_pb2, segment_service_pb2, team_pb2
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.channel_gateway.app import app as gateway_app
from services.channel_gateway.config import Settings as GatewaySettings
from services.journey.app import app as journey_app
from services.journey.config import Settings as JourneySettings
from services.points.app import app as points_app
from services.points.config import Settings as PointsSettings
from services.segment.app import app as segment_app
from services.segment.config import Settings as SegmentSettings

LINE, WHATSAPP = channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP
AWAY = "127.0.0.1:1"
TIMEOUT_S = 30.0
ALL = [
    team_pb2.MODULE_JOURNEYS,
    team_pb2.MODULE_POINTS,
    team_pb2.MODULE_CUSTOM_ATTRIBUTES,
    team_pb2.MODULE_SOCIAL_CDP,
]
TEXT = attribute_pb2.ATTRIBUTE_TYPE_TEXT
pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVED = (
    (segment_service_pb2, "segment"),
    (channel_gateway_service_pb2, "gateway"),
    (points_service_pb2, "points"),
    (journey_service_pb2, "journey"),
)


@dataclass
class Site:
    """The services, and a team."""

    stubs: dict[str, Any]
    team_id: str
    stack: AsyncExitStack

    async def call(self, name: str, /, **fields: Any) -> Any:
        """Calls an RPC of whichever service has it."""
        pb, service = next(pair for pair in SERVED if hasattr(pair[0], f"{name}Request"))
        form = getattr(pb, f"{name}Request")
        known = form.DESCRIPTOR.fields_by_name
        if "team_id" in known:
            fields.setdefault("team_id", self.team_id)
        if "request_id" in known:
            fields.setdefault("request_id", str(new_id()))
        return await getattr(self.stubs[service], name)(form(**fields), timeout=TIMEOUT_S)

    async def team(self, modules: Sequence[int]) -> None:
        """Another team, which the calls from now on are about."""
        self.team_id = str(new_id())
        settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
        settings.modules.extend(team_pb2.Module.ValueType(module) for module in modules)
        await self.call("CreateTeam", team=team_pb2.Team(team_id=self.team_id, name="T", settings=settings))

    async def account(self, channel: int) -> str:
        """An account that accepts everything."""
        account = account_pb2.ChannelAccount(channel=channel_pb2.Channel.ValueType(channel), display_name="A")
        account.sink.SetInParent()
        made = await self.call("CreateChannelAccount", account=account)
        return str(made.account.channel_account_id)

    async def module(self, *cards: content_pb2.Card) -> str:
        """A bot module."""
        module = content_pb2.BotModule(name="M", cards=cards or [_text("Hi")])
        return str((await self.call("CreateBotModule", module=module)).module.bot_module_id)

    async def template(self, account_id: str, parameters: int = 2, **changes: Any) -> str:
        """A template that WhatsApp has approved."""
        name = f"t{new_id().hex}"
        template = content_pb2.MessageTemplate(
            account_id=account_id, name=name, language="en", parameter_count=parameters, **changes
        )
        made = await self.call("CreateMessageTemplate", template=template)
        return str(made.template.message_template_id)

    async def attribute(self, key: str, kind: int = TEXT, *, archived: bool = False) -> None:
        """An attribute."""
        attribute = attribute_pb2.Attribute(
            key=key, display_name=key, type=attribute_pb2.AttributeType.ValueType(kind)
        )
        await self.call("CreateAttribute", attribute=attribute)
        if archived:
            await self.call("ArchiveAttribute", key=key)

    async def draft(self, *nodes: node_pb2.Node, **definition: Any) -> str:
        """A draft of nodes that follow each other."""
        made = await self.call("CreateJourney", definition=definition_of(*nodes, **definition))
        return str(made.journey.journey_id)

    async def faults(self, *nodes: node_pb2.Node, **definition: Any) -> dict[str, str]:
        """Path and reason of what keeps a definition from being published, as both doors tell it."""
        journey_id = await self.draft(*nodes, **definition)
        validated = await self.call("ValidateJourney", journey_id=journey_id)
        found = {fault.field: reason(fault) for fault in validated.faults}
        unsaved = await self.call("ValidateJourney", definition=definition_of(*nodes, **definition))
        assert unsaved == validated
        if not found:
            published = await self.call("PublishJourney", journey_id=journey_id)
            assert published.journey.status == journey_pb2.JOURNEY_STATUS_ACTIVE
            return {}
        told = await refusal(self.call("PublishJourney", journey_id=journey_id))
        assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS")
        assert {fault.field: fault.reason or "INVALID_FIELDS" for fault in told.violations} == found
        journey = (await self.call("GetJourney", journey_id=journey_id)).journey
        assert journey.status == journey_pb2.JOURNEY_STATUS_DRAFT
        return found

    async def warnings(self, *nodes: node_pb2.Node, **definition: Any) -> list[str]:
        """Paths of warnings of what could be published."""
        validated = await self.call("ValidateJourney", definition=definition_of(*nodes, **definition))
        assert not validated.faults
        return [warning.field for warning in validated.warnings]


def reason(fault: Any) -> str:
    """Its reason in a word."""
    return error_reason_pb2.ErrorReason.Name(fault.reason).removeprefix("ERROR_REASON_")


def definition_of(*nodes: node_pb2.Node, **definition: Any) -> journey_pb2.Definition:
    """A definition whose nodes follow each other, started by any order."""
    given = {
        "name": "J",
        "trigger": trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted()),
        **definition,
    }
    whole = journey_pb2.Definition(nodes=nodes, **given)
    for index, node in enumerate(whole.nodes):
        node.node_id = f"n{index}"
        if index + 1 < len(whole.nodes) and node.WhichOneof("kind") != "condition":
            node.next_node_id = f"n{index + 1}"
        elif node.WhichOneof("kind") == "condition":
            node.condition.no.end.SetInParent()
            if index + 1 < len(whole.nodes):
                node.condition.yes.node_id = f"n{index + 1}"
            else:
                node.condition.yes.end.SetInParent()
    return whole


def target(channel: int, account_id: str) -> journey_pb2.Target:
    return journey_pb2.Target(channel=channel_pb2.Channel.ValueType(channel), account_id=account_id)


def say(channel: int, module_id: str) -> node_pb2.Node:
    message = node_pb2.MessageNode(channel=channel_pb2.Channel.ValueType(channel), bot_module_id=module_id)
    return node_pb2.Node(message=message)


def send(template_id: str, *parameters: str) -> node_pb2.Node:
    template = node_pb2.TemplateContent(template_id=template_id, parameters=parameters)
    return node_pb2.Node(message=node_pb2.MessageNode(channel=WHATSAPP, template=template))


def ask(audience: audience_pb2.Audience) -> node_pb2.Node:
    return node_pb2.Node(condition=node_pb2.ConditionNode(audience=audience))


def wait() -> node_pb2.Node:
    return node_pb2.Node(delay=node_pb2.DelayNode(delay=Duration(seconds=60)))


def _bound(account_id: str) -> audience_pb2.Audience:
    """Those who are bound to a LINE account."""
    operator = audience_pb2.BINDING_OPERATOR_BOUND
    predicate = audience_pb2.BindingPredicate(operator=operator, channel=LINE, account_id=account_id)
    return audience_pb2.Audience(binding=predicate)


def _text(text: str) -> content_pb2.Card:
    return content_pb2.Card(text=content_pb2.TextCard(text=text))


def _link(url: str) -> content_pb2.Card:
    button = content_pb2.Button(label="Go", url=url)
    return content_pb2.Card(button=content_pb2.ButtonCard(text="Look", buttons=[button]))


async def refusal(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@asynccontextmanager
async def serving_site(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Journey with points, segment and the gateway; those three end with `site.stack`."""
    services = ("journey", "segment", "points", "channel_gateway")
    async with (
        databases.fresh({each: f"services.{each}" for each in services}) as database,
        AsyncExitStack() as later,
    ):
        stack = await later.enter_async_context(AsyncExitStack())
        stubs: dict[str, Any] = {}
        targets: dict[str, Any] = {
            "segment_target": AWAY,
            "channel_gateway_target": AWAY,
            "points_target": AWAY,
        }

        async def serve(name: str, app: Any, settings: Any, stub: Any, on: AsyncExitStack) -> str:
            known = {key: value for key, value in targets.items() if key in settings.model_fields}
            extra = {"http_port": 0} if name == "gateway" else {}
            serving = await on.enter_async_context(
                app(servers.settings(settings, database, **known, **extra))
            )
            stubs[name] = stub(await on.enter_async_context(servers.channel(serving.port)))
            return f"127.0.0.1:{serving.port}"

        targets["points_target"] = await serve("points", points_app, PointsSettings, PointsServiceStub, stack)
        targets["segment_target"] = await serve(
            "segment", segment_app, SegmentSettings, SegmentServiceStub, stack
        )
        targets["channel_gateway_target"] = await serve(
            "gateway", gateway_app, GatewaySettings, ChannelGatewayServiceStub, stack
        )
        await serve("journey", journey_app, JourneySettings, JourneyServiceStub, later)
        yield Site(stubs, "", stack)


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


@pytest.mark.rule("J-11c", "J-34c", "J-35b")
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
    asked = [_bound(account) for account in (line, whatsapp, str(new_id()))]
    assert await site.faults(*map(ask, asked), targets=targets) == {
        "nodes[1].condition.audience": "CHANNEL_UNSUPPORTED",
        "nodes[2].condition.audience": "RESOURCE_NOT_FOUND",
    }
    await site.call("DeleteBotModule", bot_module_id=module)
    assert list(await site.faults(*good, targets=targets)) == ["nodes[0].message.bot_module_id"]


@pytest.mark.rule("J-11d")
async def test_text_that_can_never_fit_its_channel_is_told(site: Site) -> None:
    targets = [target(channel, await site.account(channel)) for channel in (LINE, WHATSAPP)]
    long_link = await site.module(_text("Hi"), _link(f"https://example.com/{'x' * 1_100}"))
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
    named = await site.module(_text("{{attribute.tier}} {{attribute.old}}"))
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
    )
    found = await site.faults(*map(ask, audiences), targets=line)
    assert found.pop(f"nodes[2].condition.audience.{'.'.join(['negation'] * 8)}") == "AUDIENCE_INVALID"
    assert found == {
        "nodes[0].condition.audience.all_of.items[0].attribute": "ATTRIBUTE_UNAVAILABLE",
        "nodes[0].condition.audience.all_of.items[1].attribute.key": "ATTRIBUTE_UNAVAILABLE",
        "nodes[1].condition.audience.all_of.items": "AUDIENCE_INVALID",
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
    assert found == ["nodes[0].tags.add", "nodes[1].message.template.parameters[0]"]


async def test_an_edit_of_a_live_journey_names_what_is_there(site: Site) -> None:
    targets = [target(LINE, await site.account(LINE))]
    first, second = await site.module(), await site.module()
    journey_id = await site.draft(say(LINE, first), targets=targets)
    await site.call("PublishJourney", journey_id=journey_id)

    async def change(module_id: str, name: str) -> Any:
        edited = definition_of(say(LINE, module_id), targets=targets, name=name)
        return await site.call("UpdateJourney", journey_id=journey_id, definition=edited)

    told = await refusal(change(str(new_id()), "J"))
    assert [(fault.field, fault.reason) for fault in told.violations] == [
        ("nodes[0].message.bot_module_id", "RESOURCE_NOT_FOUND")
    ]
    await change(second, "J")
    await site.call("DeleteBotModule", bot_module_id=second)
    assert (await change(second, "Renamed")).journey.definition.name == "Renamed"


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
