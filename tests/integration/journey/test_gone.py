"""What goes at the gateway or in segment stops the live journeys that name it: the three services, as they are."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from libs.common.ids import new_id
from libs.testing.fixtures import Database, Databases, Servers
from omnijourney.channel_gateway.v1 import (
    account_pb2,
    channel_gateway_service_pb2,
    channel_gateway_service_pb2_grpc,
    content_pb2,
)
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import (
    journey_pb2,
    journey_service_pb2,
    journey_service_pb2_grpc,
    node_pb2,
    trigger_pb2,
)
from omnijourney.segment.v1 import (
    attribute_pb2,
    audience_pb2,
    customer_pb2,
    segment_service_pb2,
    segment_service_pb2_grpc,
    team_pb2,
)
from services.channel_gateway.app import app as gateway_app
from services.channel_gateway.config import Settings as GatewaySettings
from services.journey.app import app as journey_app
from services.journey.config import Settings as JourneySettings
from services.segment.app import app as segment_app
from services.segment.config import Settings as SegmentSettings

WAIT_S = 20.0
LINE, WHATSAPP = channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP
TEXT, NUMBER = attribute_pb2.ATTRIBUTE_TYPE_TEXT, attribute_pb2.ATTRIBUTE_TYPE_NUMBER
ACTIVE, STOPPED = journey_pb2.JOURNEY_STATUS_ACTIVE, journey_pb2.JOURNEY_STATUS_STOPPED
SCHEDULED, DRAFT = journey_pb2.JOURNEY_STATUS_SCHEDULED, journey_pb2.JOURNEY_STATUS_DRAFT
_CONTRACTS = {
    "segment": segment_service_pb2,
    "gateway": channel_gateway_service_pb2,
    "journey": journey_service_pb2,
}
_SERVICES: dict[str, tuple[Any, Any, Any]] = {
    "segment": (segment_app, SegmentSettings, segment_service_pb2_grpc.SegmentServiceStub),
    "gateway": (gateway_app, GatewaySettings, channel_gateway_service_pb2_grpc.ChannelGatewayServiceStub),
    "journey": (journey_app, JourneySettings, journey_service_pb2_grpc.JourneyServiceStub),
}


class House:
    """Segment, the gateway and journey on one database; each may go and come back."""

    def __init__(self, servers: Servers, database: Database) -> None:
        self._servers = servers
        self._database = database
        self._stacks: dict[str, AsyncExitStack] = {}
        self._ports: dict[str, int] = {}
        self._stubs: dict[str, Any] = {}
        self.team_id = str(new_id())

    async def start(self, name: str) -> None:
        """Starts a service, where it was before."""
        app, settings, stub = _SERVICES[name]
        targets = {
            field: f"127.0.0.1:{self._ports.get(peer, 1)}"
            for field, peer in (
                ("segment_target", "segment"),
                ("channel_gateway_target", "gateway"),
                ("points_target", "points"),
            )
            if field in settings.model_fields
        }
        changes = {"port": self._ports.get(name, 0), **targets}
        if "http_port" in settings.model_fields:
            changes["http_port"] = 0
        stack = self._stacks[name] = AsyncExitStack()
        serving = await stack.enter_async_context(
            app(self._servers.settings(settings, self._database, **changes))
        )
        self._ports[name] = serving.port
        channel = await stack.enter_async_context(self._servers.channel(serving.port))
        self._stubs[name] = stub(channel)

    async def stop(self, name: str) -> None:
        """Ends a service; its database stays."""
        await self._stacks.pop(name).aclose()

    async def close(self) -> None:
        """Ends all."""
        for name in ("journey", "gateway", "segment"):
            if name in self._stacks:
                await self.stop(name)

    async def call(self, service: str, name: str, /, **fields: Any) -> Any:
        """Calls an RPC with the team and, where there is one, a fresh request id."""
        form = getattr(_CONTRACTS[service], f"{name}Request")
        known = form.DESCRIPTOR.fields_by_name
        given = {"team_id": self.team_id, "request_id": str(new_id())}
        fields = {**{key: value for key, value in given.items() if key in known}, **fields}
        return await getattr(self._stubs[service], name)(form(**fields), timeout=WAIT_S)

    async def account(self, channel: int = LINE) -> str:
        """An account without a channel behind it."""
        account = account_pb2.ChannelAccount(channel=channel_pb2.Channel.ValueType(channel), display_name="x")
        account.sink.SetInParent()
        answer = await self.call("gateway", "CreateChannelAccount", account=account)
        return str(answer.account.channel_account_id)

    async def module(self, text: str = "hello") -> str:
        """A bot module of one text."""
        module = content_pb2.BotModule(name="Hello")
        module.cards.add().text.text = text
        return str((await self.call("gateway", "CreateBotModule", module=module)).module.bot_module_id)

    async def template(self, account_id: str) -> str:
        """An approved template without parameters."""
        template = content_pb2.MessageTemplate(account_id=account_id, name="hi", language="en")
        template.state = content_pb2.TEMPLATE_STATE_APPROVED
        answer = await self.call("gateway", "CreateMessageTemplate", template=template)
        return str(answer.template.message_template_id)

    async def attribute(self, key: str, kind: attribute_pb2.AttributeType.ValueType = TEXT) -> str:
        """An attribute; its key."""
        await self.call("segment", "CreateAttribute", attribute=attribute_pb2.Attribute(key=key, type=kind))
        return key

    async def draft(self, *nodes: node_pb2.Node, **definition: Any) -> str:
        """A draft of these nodes, each leading to the next, that a system trigger starts."""
        for node, following in itertools.pairwise(nodes):
            if node.WhichOneof("kind") != "condition":
                node.next_node_id = following.node_id
        given: dict[str, Any] = {
            "name": "journey",
            "trigger": trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()),
            **definition,
        }
        if "targets" not in given:
            given["targets"] = [journey_pb2.Target(channel=LINE, account_id=await self.account())]
        draft = journey_pb2.Definition(nodes=nodes, **given)
        return str((await self.call("journey", "CreateJourney", definition=draft)).journey.journey_id)

    async def publish(self, *nodes: node_pb2.Node, **definition: Any) -> str:
        """A live journey."""
        journey_id = await self.draft(*nodes, **definition)
        await self.call("journey", "PublishJourney", journey_id=journey_id)
        return journey_id

    async def seen(self, journey_id: str) -> tuple[int, int]:
        """Status and its reason."""
        journey = (await self.call("journey", "GetJourney", journey_id=journey_id)).journey
        return journey.status, journey.status_reason

    async def until_stopped(self, journey_id: str, reason: int) -> None:
        """Waits for a stop for a reason."""
        await _until(lambda: self._is_stopped(journey_id))
        assert await self.seen(journey_id) == (STOPPED, reason)

    async def _is_stopped(self, journey_id: str) -> bool:
        return (await self.seen(journey_id))[0] == STOPPED

    async def enter(self, journey_id: str) -> str:
        """A customer who is inside a journey."""
        created = await self.call("segment", "CreateCustomer", customer=customer_pb2.Customer(name="Mei"))
        customer_id = str(created.customer.customer_id)
        trigger = journey_service_pb2.SystemTriggerItem(journey_id=journey_id, customer_id=customer_id)
        trigger.request_id = str(new_id())
        await self.call("journey", "TriggerJourneys", items=[trigger])
        await _until(lambda: self._inside(journey_id))
        return customer_id

    async def _inside(self, journey_id: str) -> bool:
        counts = await self.call("journey", "CountEnrolments", journey_id=journey_id)
        return bool(counts.live_count == 1)

    async def users(self, **subject: str) -> list[tuple[str, int, list[str]]]:
        """Who uses a thing: name, status, paths."""
        answer = await self.call("journey", "ListReferringJourneys", **subject)
        return [(each.name, each.status, list(each.fields)) for each in answer.journeys]


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await done():
            await asyncio.sleep(0.02)


@pytest.fixture
async def house(servers: Servers, databases: Databases, redis: object) -> AsyncIterator[House]:
    """All three, with a team."""
    services = {name: f"services.{name}" for name in ("journey", "segment", "channel_gateway")}
    async with databases.fresh(services) as database:
        made = House(servers, database)
        try:
            for name in ("segment", "gateway"):
                await made.start(name)
            team = team_pb2.Team(team_id=made.team_id, name="Team")
            settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
            settings.modules.extend(number for number in team_pb2.Module.values() if number)
            team.settings.CopyFrom(settings)
            await made.call("segment", "CreateTeam", team=team)
            await made.start("journey")
            yield made
        finally:
            await made.close()


def message(node_id: str, **content: Any) -> node_pb2.Node:
    """A node that sends."""
    return node_pb2.Node(node_id=node_id, message=node_pb2.MessageNode(**{"channel": LINE, **content}))


def delay() -> node_pb2.Node:
    """A node in which customers wait for an hour."""
    node = node_pb2.Node(node_id="wait")
    node.delay.delay.FromSeconds(3600)
    return node


@pytest.mark.rule("J-07e", "J-07k", "J-02b")
async def test_a_deleted_module_stops_each_live_journey_that_sends_it(house: House) -> None:
    module, other = await house.module(), await house.module()
    inside = await house.publish(delay(), message("a", bot_module_id=module))
    await house.enter(inside)
    empty = await house.publish(message("a", bot_module_id=other), message("b", bot_module_id=module))
    untouched = await house.publish(message("a", bot_module_id=other))
    draft = await house.draft(message("a", bot_module_id=module))
    await house.call("gateway", "DeleteBotModule", bot_module_id=module)
    for each in (inside, empty):
        await house.until_stopped(each, journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    assert not (await house.call("journey", "CountEnrolments", journey_id=inside)).live_count
    assert (await house.seen(untouched))[0] == ACTIVE
    assert (await house.seen(draft))[0] == DRAFT


@pytest.mark.rule("J-07e", "J-07f", "J-07k")
async def test_a_deleted_account_or_template_stops_journeys(house: House) -> None:
    module, line = await house.module(), await house.account()
    targets = [journey_pb2.Target(channel=LINE, account_id=line)]
    sends = await house.publish(message("a", bot_module_id=module), targets=targets)
    whatsapp = await house.account(WHATSAPP)
    templates = await house.template(whatsapp)
    used = node_pb2.TemplateContent(template_id=templates)
    to_whatsapp = [journey_pb2.Target(channel=WHATSAPP, account_id=whatsapp)]
    with_template = await house.publish(
        message("a", channel=WHATSAPP, template=used), targets=to_whatsapp, name="template"
    )
    await house.call("gateway", "DeleteMessageTemplate", message_template_id=templates)
    await house.until_stopped(with_template, journey_pb2.STATUS_REASON_WHATSAPP_TEMPLATE_MISSING)
    await house.call("gateway", "DeleteChannelAccount", channel_account_id=line)
    await house.until_stopped(sends, journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)


def asks(key: str) -> node_pb2.Node:
    """A condition on an attribute, after which the journey ends."""
    predicate = audience_pb2.AttributePredicate(key=key, is_set=audience_pb2.IsSet())
    ends = node_pb2.Branch(end=node_pb2.EndOfJourney())
    condition = node_pb2.ConditionNode(audience=audience_pb2.Audience(attribute=predicate), yes=ends, no=ends)
    return node_pb2.Node(node_id="asks", condition=condition)


def sets(key: str) -> node_pb2.Node:
    """A node that sets an attribute."""
    return node_pb2.Node(node_id="sets", attribute=node_pb2.AttributeNode(key=key, text="gold"))


def changed(key: str) -> trigger_pb2.Trigger:
    """A trigger by an attribute."""
    return trigger_pb2.Trigger(attribute_changed=trigger_pb2.AttributeChanged(keys=[key]))


async def _retype(house: House, key: str) -> None:
    attribute = attribute_pb2.Attribute(key=key, type=NUMBER)
    await house.call("segment", "UpdateAttribute", attribute=attribute, update_mask={"paths": ["type"]})


async def _archive(house: House, key: str) -> None:
    await house.call("segment", "ArchiveAttribute", key=key)


@pytest.mark.rule("J-07g", "J-07k", "S-07")
@pytest.mark.parametrize("change", [_archive, _retype])
async def test_an_attribute_that_goes_stops_every_way_of_using_it(
    house: House, change: Callable[[House, str], Awaitable[None]]
) -> None:
    key, kept = await house.attribute("level"), await house.attribute("kept")
    plain, filled = await house.module(), await house.module("You are {{ attribute.level | new }}")
    users = [
        await house.publish(delay(), sets(key)),
        await house.publish(asks(key)),
        await house.publish(message("a", bot_module_id=plain), trigger=changed(key)),
        await house.publish(message("a", bot_module_id=filled)),
    ]
    await house.enter(users[0])
    untouched = await house.publish(asks(kept), trigger=changed(kept))
    await change(house, key)
    for each in users:
        await house.until_stopped(each, journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE)
    assert (await house.seen(untouched))[0] == ACTIVE


@pytest.mark.rule("J-07g")
async def test_what_changed_before_a_journey_was_published_does_not_stop_it(house: House) -> None:
    key = await house.attribute("level")
    await _archive(house, key)
    await house.call("segment", "RestoreAttribute", key=key)
    await _retype(house, key)
    journey_id = await house.publish(asks(key))
    witness = await house.publish(asks(await house.attribute("other")))
    await _archive(house, "other")
    await house.until_stopped(witness, journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE)
    assert (await house.seen(journey_id))[0] == ACTIVE


@pytest.mark.rule("J-07k")
@pytest.mark.parametrize("away", ["journey", "gateway"])
async def test_what_goes_during_an_outage_stops_journeys_after_it_and_once(house: House, away: str) -> None:
    modules = [await house.module() for _ in range(2)]
    journeys = [await house.publish(message("a", bot_module_id=module)) for module in modules]
    if away == "journey":
        await house.stop("journey")
        await house.call("gateway", "DeleteBotModule", bot_module_id=modules[0])
        await house.start("journey")
    else:
        await house.call("gateway", "DeleteBotModule", bot_module_id=modules[0])
        await house.stop("gateway")
        await house.start("gateway")
    await house.until_stopped(journeys[0], journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    copy = (await house.call("journey", "GetJourney", journey_id=journeys[0])).journey
    await house.stop("journey")
    await house.start("journey")
    await house.call("gateway", "DeleteBotModule", bot_module_id=modules[1])
    await house.until_stopped(journeys[1], journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    assert (await house.call("journey", "GetJourney", journey_id=journeys[0])).journey == copy


async def test_who_uses_a_thing_is_told_with_the_places(house: House) -> None:
    key, account = await house.attribute("level"), await house.account()
    module, filled = await house.module(), await house.module("{{attribute.level}}")
    targets = [journey_pb2.Target(channel=LINE, account_id=account)]
    vip = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))
    await house.draft(
        message("a", bot_module_id=module), sets(key), name="draft", trigger=vip, targets=targets
    )
    live = await house.publish(message("a", bot_module_id=filled), delay(), asks(key), name="live")
    stopped = await house.publish(sets(key), name="stopped")
    await house.call("journey", "StopJourney", journey_id=stopped)
    assert await house.users(attribute_key=key) == [
        (
            "live",
            ACTIVE,
            ["nodes[0].message.bot_module_id", "nodes[2].condition.audience.attribute.key"],
        ),
        ("draft", DRAFT, ["nodes[1].attribute.key"]),
    ]
    assert await house.users(bot_module_id=module) == [("draft", DRAFT, ["nodes[0].message.bot_module_id"])]
    assert await house.users(channel_account_id=account) == [("draft", DRAFT, ["targets[0].account_id"])]
    assert await house.users(tag="vip") == [("draft", DRAFT, ["trigger.tag_applied.tags[0]"])]
    assert await house.users(message_template_id=str(new_id())) == []
    assert await house.users(coupon_id=str(new_id())) == []
    assert await house.users(saved_audience_id=str(new_id())) == []

    edited = journey_pb2.Definition(nodes=[message("a", bot_module_id=module)])
    mask = {"paths": ["nodes"]}
    draft_id = (await house.call("journey", "ListReferringJourneys", tag="VIP")).journeys[0].journey_id
    await house.call("journey", "UpdateJourney", journey_id=draft_id, definition=edited, update_mask=mask)
    assert [name for name, *_ in await house.users(attribute_key=key)] == ["live"], "an edit is seen at once"
    await house.call("journey", "DeleteJourney", journey_id=draft_id)
    assert await house.users(bot_module_id=module) == []
    first = await house.call("journey", "ListReferringJourneys", attribute_key=key, page_size=1)
    assert [each.journey_id for each in first.journeys] == [live]


async def test_the_pages_of_who_uses_a_thing_hold_each_journey_once(house: House) -> None:
    module = await house.module()
    names = [f"journey {number}" for number in range(5)]
    for name in names:
        await house.draft(message("a", bot_module_id=module), name=name)
    found: list[str] = []
    token = ""
    while True:
        page = await house.call(
            "journey", "ListReferringJourneys", bot_module_id=module, page_size=2, page_token=token
        )
        found += [each.name for each in page.journeys]
        token = page.next_page_token
        if not token:
            break
    assert found == names[::-1]
