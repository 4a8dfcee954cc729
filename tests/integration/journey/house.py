"""Segment, the gateway and journey as they are, for what passes between them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from libs.common.ids import new_id
from libs.embedded.ports import free_port
from libs.testing.fixtures import Database, Servers
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

WAIT_S = 60.0
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
        self.database = database
        self._stacks: dict[str, AsyncExitStack] = {}
        # Segment, which is there before, asks journey as well.
        self._ports: dict[str, int] = {"journey": free_port()}
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
                ("journey_target", "journey"),
            )
            if field in settings.model_fields
        }
        changes = {"port": self._ports.get(name, 0), **targets}
        if "http_port" in settings.model_fields:
            changes["http_port"] = 0
        stack = self._stacks[name] = AsyncExitStack()
        serving = await stack.enter_async_context(
            app(self._servers.settings(settings, self.database, **changes))
        )
        self._ports[name] = serving.port
        channel = await stack.enter_async_context(self._servers.channel(serving.port))
        # gRPC shares connections of a process: one that was refused while the service was away is waited for.
        await asyncio.wait_for(channel.channel_ready(), WAIT_S)
        self._stubs[name] = stub(channel)

    async def furnish(self, **plan: int) -> None:
        """Starts all three, and makes a team that has every module and perhaps a plan."""
        for name in ("segment", "gateway"):
            await self.start(name)
        settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
        settings.modules.extend(number for number in team_pb2.Module.values() if number)
        if plan:
            settings.plan.CopyFrom(team_pb2.Plan(name="small", **plan))
        team = team_pb2.Team(team_id=self.team_id, name="Team", settings=settings)
        await self.call("segment", "CreateTeam", team=team)
        await self.start("journey")

    def target(self, name: str) -> str:
        """Where a service is called."""
        return f"127.0.0.1:{self._ports[name]}"

    @property
    def journey_target(self) -> str:
        """Where journey is called."""
        return self.target("journey")

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
        await until(lambda: self._is_stopped(journey_id))
        assert await self.seen(journey_id) == (STOPPED, reason)

    async def _is_stopped(self, journey_id: str) -> bool:
        return (await self.seen(journey_id))[0] == STOPPED

    async def enter(self, journey_id: str) -> str:
        """A customer who is inside a journey."""
        (customer_id,) = await self.trigger(journey_id, 1)
        await until(lambda: self._inside(journey_id))
        return customer_id

    async def trigger(self, journey_id: str, customers: int) -> list[str]:
        """Triggers a journey for new customers."""
        items = []
        for _ in range(customers):
            created = await self.call("segment", "CreateCustomer", customer=customer_pb2.Customer(name="Mei"))
            item = journey_service_pb2.SystemTriggerItem(journey_id=journey_id, request_id=str(new_id()))
            item.customer_id = created.customer.customer_id
            items.append(item)
        await self.call("journey", "TriggerJourneys", items=items)
        return [item.customer_id for item in items]

    async def _inside(self, journey_id: str) -> bool:
        counts = await self.call("journey", "CountEnrolments", journey_id=journey_id)
        return bool(counts.live_count == 1)

    async def users(self, **subject: str) -> list[tuple[str, int, list[str]]]:
        """Who uses a thing: name, status, paths."""
        answer = await self.call("journey", "ListReferringJourneys", **subject)
        return [(each.name, each.status, list(each.fields)) for each in answer.journeys]


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await done():
            await asyncio.sleep(0.02)


def message(node_id: str, **content: Any) -> node_pb2.Node:
    """A node that sends."""
    return node_pb2.Node(node_id=node_id, message=node_pb2.MessageNode(**{"channel": LINE, **content}))


def delay() -> node_pb2.Node:
    """A node in which customers wait for an hour."""
    node = node_pb2.Node(node_id="wait")
    node.delay.delay.FromSeconds(3600)
    return node
