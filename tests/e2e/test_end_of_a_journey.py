"""The end of a journey, through real processes: the gateway is killed as it comes, and nothing leaves after it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.client import Client
from libs.client.paging import items
from libs.common.clock import SystemClock
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.common.v1.installation_service_pb2 import SetClockRequest
from omnijourney.journey.v1 import journey_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.enrolment_pb2 import ENROLMENT_STATE_HALTED, ENROLMENT_STATE_LIVE
from omnijourney.segment.v1 import customer_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

INSIDE: Final = 120
PER_SECOND: Final = 2
WATCHED_S: Final = 3.0
"""After the journey is over; by then six more messages would have left."""
CALL_S: Final = 20.0
WAIT_S: Final = 60.0


class Place:
    """A running installation with a team."""

    def __init__(self, installation: Installation, client: Client, http: aiohttp.ClientSession) -> None:
        self.installation = installation
        self.client = client
        self.http = http
        self.team_id = str(new_id())

    async def call(self, name: str, form: Any, **fields: Any) -> Any:
        """Calls an RPC of whichever service has it, for the team."""
        stubs = (self.client.segment, self.client.channel_gateway, self.client.journey)
        stub = next(stub for stub in stubs if hasattr(stub, name))
        known = form.DESCRIPTOR.fields_by_name
        given = {"team_id": self.team_id, "request_id": str(new_id())}
        given = {key: value for key, value in given.items() if key in known}
        return await getattr(stub, name)(form(**given, **fields), timeout=CALL_S)

    async def accepted(self) -> int:
        """Messages that LINE has taken."""
        async with self.http.get(f"{self.installation.channel_urls['line']}/_emulator/health") as answer:
            return int((await answer.json())["accepted"])

    async def account(self) -> str:
        """A LINE account of which two messages a second leave."""
        emulators = EmulatorSettings()
        connection = account_pb2.LineConnection(
            channel_id=FIRST_CHANNEL_ID, access_token=emulators.token, channel_secrets=[emulators.secret]
        )
        account = account_pb2.ChannelAccount(
            channel=CHANNEL_LINE, display_name="LINE", line=connection, rate_per_second=PER_SECOND
        )
        made = await self.call("CreateChannelAccount", gateway.CreateChannelAccountRequest, account=account)
        account_id = str(made.account.channel_account_id)
        await self.call(
            "SetPlanQuota", gateway.SetPlanQuotaRequest, account_id=account_id, message_limit=10_000
        )
        return account_id

    async def customers(self, account_id: str) -> list[str]:
        """Those who are to be inside, all on the account."""
        keys = [
            customer_pb2.IdentityKey(
                channel=CHANNEL_LINE, account_id=account_id, external_id=f"U{number:032x}"
            )
            for number in range(INSIDE)
        ]
        people = [customer_pb2.Customer(identities=[customer_pb2.Identity(key=key)]) for key in keys]
        made = await self.call("BatchCreateCustomers", segment.BatchCreateCustomersRequest, customers=people)
        return [result.customer_id for result in made.results]

    async def live(self, account_id: str, end: datetime) -> str:
        """A journey that says one thing and stops at its end."""
        cards = [content_pb2.Card(text=content_pb2.TextCard(text="Hello"))]
        made = await self.call(
            "CreateBotModule",
            gateway.CreateBotModuleRequest,
            module=content_pb2.BotModule(name="Hello", cards=cards),
        )
        message = node_pb2.MessageNode(channel=CHANNEL_LINE, bot_module_id=made.module.bot_module_id)
        definition = journey_pb2.Definition(
            name="Ends",
            trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()),
            targets=[journey_pb2.Target(channel=CHANNEL_LINE, account_id=account_id)],
            nodes=[node_pb2.Node(node_id="hello", message=message)],
            schedule=journey_pb2.Schedule(
                start_time=timestamp(end - timedelta(hours=2)),
                end_time=timestamp(end),
                expiry_action=journey_pb2.EXPIRY_ACTION_STOP,
            ),
        )
        draft = await self.call("CreateJourney", journey.CreateJourneyRequest, definition=definition)
        journey_id = str(draft.journey.journey_id)
        await self.call("PublishJourney", journey.PublishJourneyRequest, journey_id=journey_id)
        return journey_id

    async def deliveries(self) -> int:
        """Sends that the gateway has been handed."""
        request = gateway.ListDeliveriesRequest(team_id=self.team_id, page_size=100)
        sends = items(self.client.channel_gateway.ListDeliveries, request, "deliveries", timeout_s=CALL_S)
        return len([None async for _ in sends])

    async def states(self, journey_id: str) -> list[int]:
        """Of all enrolments."""
        request = journey.ListEnrolmentsRequest(team_id=self.team_id, journey_id=journey_id, page_size=100)
        listed = items(self.client.journey.ListEnrolments, request, "enrolments", timeout_s=CALL_S)
        return [enrolment.state async for enrolment in listed]

    async def status(self, journey_id: str) -> int:
        """Of the journey."""
        found = await self.call("GetJourney", journey.GetJourneyRequest, journey_id=journey_id)
        return int(found.journey.status)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await holds():
            await asyncio.sleep(0.1)


@pytest.mark.rule("J-03d", "J-03f", "J-04b", "J-04c")
@pytest.mark.timeout(240)
async def test_no_message_leaves_after_the_end_where_the_gateway_dies_just_before_it(tmp_path: Path) -> None:
    settings = InstallationSettings(data_dir=tmp_path / "data", clock_control="on")
    options = InstallationOptions(settings=settings, free_ports=True, emulators=True)
    async with (
        Installation(options) as installation,
        Client(installation.targets, installation.token) as client,
        aiohttp.ClientSession() as http,
    ):
        place = Place(installation, client, http)
        modules = [team_pb2.MODULE_JOURNEYS]
        team_settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=modules)
        team = team_pb2.Team(team_id=place.team_id, name="Team", settings=team_settings)
        await place.call("CreateTeam", segment.CreateTeamRequest, team=team)
        account_id = await place.account()
        customers = await place.customers(account_id)
        end = SystemClock().now() + timedelta(hours=1)
        journey_id = await place.live(account_id, end)
        triggers = [
            journey.SystemTriggerItem(
                request_id=str(new_id()), journey_id=journey_id, customer_id=customer_id
            )
            for customer_id in customers
        ]
        await place.call("TriggerJourneys", journey.TriggerJourneysRequest, items=triggers)

        async def all_inside() -> bool:
            return await place.deliveries() == INSIDE and await place.accepted() > 0

        await until(all_inside)
        os.kill(installation.pid_of("channel_gateway"), signal.SIGKILL)
        at_the_end = SetClockRequest(rate=1.0, domain_time=timestamp(end))
        await client.installation("segment").SetClock(at_the_end, timeout=CALL_S)
        before = await place.accepted()
        assert 0 < before < INSIDE - 20

        async def is_over() -> bool:
            return await place.status(journey_id) == journey_pb2.JOURNEY_STATUS_STOPPED

        await until(is_over)
        await asyncio.sleep(WATCHED_S)
        assert await place.accepted() == before
        states = await place.states(journey_id)
        assert len(states) == INSIDE
        assert ENROLMENT_STATE_LIVE not in states
        assert states.count(ENROLMENT_STATE_HALTED) >= INSIDE - before - 2
