"""A running journey service, its clock and a team: what people call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import grpc
import pytest

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database, Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import mail_service_pb2
from omnijourney.journey.v1 import (
    journey_pb2,
    journey_service_pb2,
    journey_service_pb2_grpc,
    node_pb2,
    trigger_pb2,
)
from services.journey.app import app
from services.journey.config import Settings
from tests.integration.journey.brake_server import BrakeServer, brake_server
from tests.integration.journey.open_gate import open_gate

if TYPE_CHECKING:
    from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceAsyncStub

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
ACCOUNT = str(uuid5(TEAM, "account"))
MODULE = str(uuid5(TEAM, "module"))
WAIT_S = 60.0


def mail_of(customer_id: str) -> mail_service_pb2.ListMailRequest:
    cursor = mail_service_pb2.CustomerMailCursor(team_id=str(TEAM), customer_id=customer_id)
    return mail_service_pb2.ListMailRequest(customer=cursor)


class Desk:
    """A running service, a clock and a team."""

    def __init__(
        self,
        stub: JourneyServiceAsyncStub,
        internal: Internal,
        clock: SteppedClock,
        dsn: str,
        gateway: BrakeServer,
    ) -> None:
        self.stub = stub
        self.gateway = gateway
        self.internal = internal
        self.clock = clock
        self.dsn = dsn
        self._requests = 0

    async def call(self, name: str, /, **fields: Any) -> Any:
        """Calls an RPC with the team and, where there is one, a fresh request id."""
        form = getattr(journey_service_pb2, f"{name}Request")
        if "team_id" in form.DESCRIPTOR.fields_by_name:
            fields = {"team_id": str(TEAM), **fields}
        if "request_id" in form.DESCRIPTOR.fields_by_name:
            self._requests += 1
            fields.setdefault("request_id", str(uuid5(TEAM, f"request {self._requests}")))
        return await getattr(self.stub, name)(form(**fields), timeout=10)

    async def create(self, **definition: Any) -> journey_pb2.Journey:
        """A draft."""
        given = {"name": "Welcome", **whole(), **definition}
        answer = await self.call("CreateJourney", definition=journey_pb2.Definition(**given))
        journey: journey_pb2.Journey = answer.journey
        return journey

    async def publish(self, journey: journey_pb2.Journey) -> journey_pb2.Journey:
        """The same, live or scheduled."""
        published: journey_pb2.Journey
        published = (await self.call("PublishJourney", journey_id=journey.journey_id)).journey
        return published

    async def status(self, journey: journey_pb2.Journey) -> int:
        """Its status now."""
        return int((await self.call("GetJourney", journey_id=journey.journey_id)).journey.status)

    async def until_status(self, journey: journey_pb2.Journey, status: int) -> None:
        """Waits for a change that the journey makes by itself."""
        async with asyncio.timeout(WAIT_S):
            while await self.status(journey) != status:
                await asyncio.sleep(0.02)


def whole() -> dict[str, Any]:
    send = node_pb2.MessageNode(channel=channel_pb2.CHANNEL_LINE, bot_module_id=MODULE)
    return {
        "trigger": trigger_pb2.Trigger(contact_added=trigger_pb2.ContactAdded()),
        "targets": [journey_pb2.Target(channel=channel_pb2.CHANNEL_LINE, account_id=ACCOUNT)],
        "nodes": [node_pb2.Node(node_id="hello", message=send)],
    }


def schedule_of(start: datetime, end: datetime, action: int) -> journey_pb2.Schedule:
    return journey_pb2.Schedule(
        start_time=timestamp(start),
        end_time=timestamp(end),
        expiry_action=journey_pb2.ExpiryAction.ValueType(action),
    )


async def refusal(call: Awaitable[Any]) -> Any:
    """What a refused call was told."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@contextlib.asynccontextmanager
async def serving_desk(servers: Servers, databases: Databases, **changes: Any) -> AsyncIterator[Desk]:
    """The same with other settings."""
    async with (
        databases.fresh({"journey": "services.journey"}) as database,
        desk_on(servers, database, SteppedClock(START), **changes) as desk,
    ):
        yield desk


@contextlib.asynccontextmanager
async def desk_on(
    servers: Servers, database: Database, clock: SteppedClock, **changes: Any
) -> AsyncIterator[Desk]:
    """The service on a database that stays when it ends."""
    async with brake_server() as gateway, open_gate() as segment:
        settings = servers.settings(
            Settings,
            database,
            segment_target=segment,
            points_target="127.0.0.1:1",
            channel_gateway_target=f"127.0.0.1:{gateway.port}",
            **changes,
        )
        async with app(settings, clock=clock) as serving, servers.channel(serving.port) as channel:
            stub: Any = journey_service_pb2_grpc.JourneyServiceStub(channel)
            yield Desk(stub, Internal(channel), clock, database.dsn_of("journey"), gateway)
