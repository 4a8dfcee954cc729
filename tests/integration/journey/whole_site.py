"""Journey with the three services that its gate asks, as they are, and short ways to what tests of the gate do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.values import datetime_of, timestamp
from libs.embedded.ports import LOOPBACK, free_port
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import account_pb2, channel_gateway_service_pb2, content_pb2
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceStub
from omnijourney.common.v1 import channel_pb2, error_reason_pb2
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest, SetClockRequest
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.journey.v1 import journey_pb2, journey_service_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceStub
from omnijourney.points.v1 import points_service_pb2
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1 import attribute_pb2, audience_pb2, segment_service_pb2, team_pb2
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from omnijourney.stats.v1.stats_service_pb2_grpc import StatsServiceStub
from services.channel_gateway.app import app as gateway_app
from services.channel_gateway.config import Settings as GatewaySettings
from services.journey.app import app as journey_app
from services.journey.config import Settings as JourneySettings
from services.points.app import app as points_app
from services.points.config import Settings as PointsSettings
from services.segment.app import app as segment_app
from services.segment.config import Settings as SegmentSettings
from services.stats.app import app as stats_app
from services.stats.config import Settings as StatsSettings

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
SERVED = (
    (segment_service_pb2, "segment"),
    (channel_gateway_service_pb2, "gateway"),
    (points_service_pb2, "points"),
    (journey_service_pb2, "journey"),
)
_SERVED: Final[set[str]] = set()
"""Addresses of the Valkeys that have an installation now."""


@dataclass
class Site:
    """The services, and a team."""

    stubs: dict[str, Any]
    team_id: str
    stack: AsyncExitStack
    installations: list[Any] = field(default_factory=list)
    """Of each service, journey's last."""
    journey_target: str = ""
    targets: dict[str, str] = field(default_factory=dict)
    """Address of each service, by the name of the setting."""
    http_port: int = 0
    """Of the gateway."""
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    admin_dsn: str = ""
    """Of the database."""

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

    async def now(self) -> datetime:
        """Domain time."""
        clock = await self.installations[-1].GetClock(GetClockRequest(), timeout=TIMEOUT_S)
        return datetime_of(clock.now)

    async def advance(self, **by: float) -> None:
        """Moves the clock of all services on, the last minute by itself: while they do not see it alike yet, what one
        of them asks of another must not look days old."""
        most, last = timedelta(**by) - timedelta(minutes=1), timedelta(minutes=1)
        for step in (most, last) if most > last else (timedelta(**by),):
            await self._step(step)

    async def _step(self, by: timedelta) -> None:
        at = timestamp(await self.now() + by)
        changed = await self.installations[-1].SetClock(
            SetClockRequest(rate=1, domain_time=at), timeout=TIMEOUT_S
        )
        lag = GetLagRequest(min_clock_version=changed.version)
        async with asyncio.timeout(TIMEOUT_S):
            for service in self.installations:
                await retrying(partial(service.GetLag, lag, timeout=TIMEOUT_S), attempts=None)

    async def team(self, modules: Sequence[int], points_channels: Sequence[int] = ()) -> None:
        """Another team, which the calls from now on are about."""
        self.team_id = str(new_id())
        settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
        settings.points_channels.extend(map(channel_pb2.Channel.ValueType, points_channels))
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
        module = content_pb2.BotModule(name="M", cards=cards or [text("Hi")])
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


def bound(account_id: str) -> audience_pb2.Audience:
    """Those who are bound to a LINE account."""
    operator = audience_pb2.BINDING_OPERATOR_BOUND
    predicate = audience_pb2.BindingPredicate(operator=operator, channel=LINE, account_id=account_id)
    return audience_pb2.Audience(binding=predicate)


def text(text: str) -> content_pb2.Card:
    return content_pb2.Card(text=content_pb2.TextCard(text=text))


def link(url: str) -> content_pb2.Card:
    button = content_pb2.Button(label="Go", url=url)
    return content_pb2.Card(button=content_pb2.ButtonCard(text="Look", buttons=[button]))


async def refusal(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@asynccontextmanager
async def _alone_on(redis_url: str) -> AsyncIterator[None]:
    assert redis_url not in _SERVED, (
        "the installation of an earlier test still serves: which fixture keeps it?"
    )
    _SERVED.add(redis_url)
    try:
        yield
    finally:
        _SERVED.discard(redis_url)


@asynccontextmanager
async def serving_site(
    servers: Servers,
    databases: Databases,
    *,
    with_stats: bool = False,
    segment: Any = segment_app,
    **of_gateway: Any,
) -> AsyncIterator[Site]:
    """Journey with points, segment and the gateway, whose settings `of_gateway` changes; those three end with
    `site.stack`. `with_stats`: so that there are all five, and points follows customers. `segment` makes
    that service of its settings. There is one at a time: a second one would take the first one's mail from the
    mailboxes."""
    services = ("journey", "segment", "points", "channel_gateway", *(["stats"] if with_stats else []))
    async with (
        _alone_on(servers.redis_url),
        databases.fresh({each: f"services.{each}" for each in services}) as database,
        AsyncExitStack() as later,
    ):
        stack = await later.enter_async_context(AsyncExitStack())
        stubs: dict[str, Any] = {}
        installations: list[Any] = []
        channels: dict[str, grpc.aio.Channel] = {}
        http_port = 0
        # All of them ask others, which may be there only later.
        ports = {name: free_port() for name in ("segment", "gateway", "journey")}
        targets: dict[str, Any] = {
            "segment_target": f"{LOOPBACK}:{ports['segment']}",
            "channel_gateway_target": f"{LOOPBACK}:{ports['gateway']}",
            "journey_target": f"{LOOPBACK}:{ports['journey']}",
            "points_target": AWAY,
        }
        if with_stats:
            ports |= {"stats": free_port(), "segment": free_port()}
            targets["stats_target"] = f"{LOOPBACK}:{ports['stats']}"
            targets["segment_target"] = f"{LOOPBACK}:{ports['segment']}"

        async def serve(name: str, app: Any, settings: Any, stub: Any, on: AsyncExitStack) -> str:
            known = {key: value for key, value in targets.items() if key in settings.model_fields}
            extra = {"http_port": 0, **of_gateway} if name == "gateway" else {}
            changes = {"port": ports.get(name, 0), **known, **extra}
            serving = await on.enter_async_context(app(servers.settings(settings, database, **changes)))
            if name == "gateway":
                nonlocal http_port
                http_port = serving.http_port
            channel = channels[name] = await on.enter_async_context(servers.channel(serving.port))
            stubs[name] = stub(channel)
            installations.append(InstallationServiceStub(channel))
            return f"127.0.0.1:{serving.port}"

        targets["points_target"] = await serve("points", points_app, PointsSettings, PointsServiceStub, stack)
        targets["segment_target"] = await serve(
            "segment", segment, SegmentSettings, SegmentServiceStub, stack
        )
        targets["channel_gateway_target"] = await serve(
            "gateway", gateway_app, GatewaySettings, ChannelGatewayServiceStub, stack
        )
        journey = await serve("journey", journey_app, JourneySettings, JourneyServiceStub, later)
        targets["journey_target"] = journey
        if with_stats:
            await serve("stats", stats_app, StatsSettings, StatsServiceStub, later)
        yield Site(stubs, "", stack, installations, journey, targets, http_port, channels, database.admin_dsn)
