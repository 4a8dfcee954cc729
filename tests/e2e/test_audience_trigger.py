"""A saved audience enrols through real processes that are killed all the while: each customer gets the one message."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration

from libs.client import Client
from libs.client.paging import items
from libs.common.backoff import Backoff
from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from libs.common.rpc.values import timestamp
from libs.embedded import keepalive
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID
from libs.supervisor import Died, Event, Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, SetClockRequest
from omnijourney.common.v1.operation_pb2 import OPERATION_STATE_SUCCEEDED
from omnijourney.journey.v1 import audience_trigger_pb2, journey_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.explain_pb2 import ENTRY_RESULT_ENROLLED
from omnijourney.segment.v1 import audience_pb2, customer_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from tests.chaos.director import crashes
from tests.e2e.test_end_of_a_journey import CALL_S, Place

INSIDE: Final = 300
OUTSIDE: Final = 40
RATE: Final = 60
WAIT_S: Final = 200.0
"""A process takes its time to start on a busy machine."""
PAUSE: Final = Backoff(0.2, 0.2)
"""Between a death and the next start; it would grow with deaths in a row."""
LEASE_S: Final = "2"
"""The next process has the partitions of one that was killed no earlier."""
_FREE: Final = (
    "UPDATE journey.audience_trigger SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()"
)
"""What a process that was killed had claimed is free at once: nobody waits 5 or 10 s for the claim to be over."""
CRASHES: Final = tuple(f"journey.{point}" for point in ("after_found", *("before_hand", "after_hand") * 2))
"""Where the next processes of journey die, one after the other; then one lives."""


class Shop(Place):
    """A running installation with a team whose audience enrols."""

    async def account(self) -> str:
        """A LINE account."""
        emulators = EmulatorSettings()
        connection = account_pb2.LineConnection(
            channel_id=FIRST_CHANNEL_ID, access_token=emulators.token, channel_secrets=[emulators.secret]
        )
        account = account_pb2.ChannelAccount(channel=CHANNEL_LINE, display_name="LINE", line=connection)
        made = await self.call("CreateChannelAccount", gateway.CreateChannelAccountRequest, account=account)
        account_id = str(made.account.channel_account_id)
        await self.call(
            "SetPlanQuota", gateway.SetPlanQuotaRequest, account_id=account_id, message_limit=10_000
        )
        return account_id

    async def people(self, account_id: str, count: int, first: int, *tags: str) -> list[str]:
        """Customers on the account, each with a name of their own there; their ids."""
        people: list[customer_pb2.Customer] = []
        for number in range(first, first + count):
            key = customer_pb2.IdentityKey(
                channel=CHANNEL_LINE, account_id=account_id, external_id=f"U{number:032x}"
            )
            people.append(customer_pb2.Customer(identities=[customer_pb2.Identity(key=key)], tags=tags))
        made = await self.call("BatchCreateCustomers", segment.BatchCreateCustomersRequest, customers=people)
        return [result.customer_id for result in made.results]

    async def audience(self, tag: str) -> str:
        """A saved audience of who has a tag."""
        given = audience_pb2.SavedAudience(name="VIP")
        given.audience.tags.operator = audience_pb2.TAG_OPERATOR_ANY_OF
        given.audience.tags.tags.append(tag)
        made = await self.call(
            "CreateSavedAudience", segment.CreateSavedAudienceRequest, saved_audience=given
        )
        return str(made.saved_audience.saved_audience_id)

    async def says_hello(self, account_id: str) -> str:
        """A live journey of one message, which calls start."""
        cards = [content_pb2.Card(text=content_pb2.TextCard(text="Hello"))]
        module = content_pb2.BotModule(name="Hello", cards=cards)
        made = await self.call("CreateBotModule", gateway.CreateBotModuleRequest, module=module)
        message = node_pb2.MessageNode(channel=CHANNEL_LINE, bot_module_id=made.module.bot_module_id)
        return await self._live(account_id, node_pb2.Node(node_id="hello", message=message))

    async def _live(self, account_id: str, *nodes: node_pb2.Node) -> str:
        definition = journey_pb2.Definition(
            name="Hello",
            trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()),
            targets=[journey_pb2.Target(channel=CHANNEL_LINE, account_id=account_id)],
            nodes=nodes,
        )
        draft = await self.call("CreateJourney", journey.CreateJourneyRequest, definition=definition)
        journey_id = str(draft.journey.journey_id)
        await self.call("PublishJourney", journey.PublishJourneyRequest, journey_id=journey_id)
        return journey_id

    async def says_later(self, account_id: str) -> str:
        """The same of a message that comes after a minute, and says what the trigger brought."""
        cards = [content_pb2.Card(text=content_pb2.TextCard(text="Code {{trigger.code|none}}"))]
        module = content_pb2.BotModule(name="Code", cards=cards)
        made = await self.call("CreateBotModule", gateway.CreateBotModuleRequest, module=module)
        message = node_pb2.MessageNode(channel=CHANNEL_LINE, bot_module_id=made.module.bot_module_id)
        delay = node_pb2.DelayNode(delay=Duration(seconds=60))
        return await self._live(
            account_id,
            node_pb2.Node(node_id="later", delay=delay, next_node_id="code"),
            node_pb2.Node(node_id="code", message=message),
        )

    async def trigger(self, journey_id: str, customers: Mapping[str, str]) -> None:
        """Triggers customers with a code each; asked for again while journey is dead."""
        request = journey.TriggerJourneysRequest(team_id=self.team_id)
        for customer_id, code in customers.items():
            request.items.add(
                request_id=str(new_id()), journey_id=journey_id, customer_id=customer_id, data={"code": code}
            )
        answer = await retrying(
            lambda: self.client.journey.TriggerJourneys(request, timeout=CALL_S), attempts=None
        )
        assert all(result.accepted for result in answer.results)

    async def texts(self, start: str) -> list[str]:
        """Texts that LINE has taken and that begin like this, in order."""
        async with self.http.get(f"{self.installation.channel_urls['line']}/_emulator/log") as answer:
            records = (await answer.json())["records"]
        texts = [message["text"] for record in records for message in record["body"]["messages"]]
        return sorted(text for text in texts if text.startswith(start))

    async def start(self, journey_id: str, audience_id: str) -> str:
        """An audience trigger; asked for again while journey is dead."""
        request = journey.TriggerAudienceRequest(
            team_id=self.team_id,
            request_id="once",
            journey_id=journey_id,
            audience_id=audience_id,
            customers_per_second=RATE,
        )
        answer = await retrying(
            lambda: self.client.journey.TriggerAudience(request, timeout=CALL_S), attempts=None
        )
        return str(answer.operation.operation_id)

    async def seen(self, operation_id: str) -> audience_trigger_pb2.AudienceTrigger:
        """How far it is."""
        request = journey.GetAudienceTriggerRequest(team_id=self.team_id, operation_id=operation_id)
        answer = await retrying(
            lambda: self.client.journey.GetAudienceTrigger(request, timeout=CALL_S), attempts=None
        )
        found: audience_trigger_pb2.AudienceTrigger = answer.audience_trigger
        return found

    async def customers_sent_to(self) -> Counter[str]:
        """Sends by customer."""
        request = gateway.ListDeliveriesRequest(team_id=self.team_id, page_size=100)
        sends = items(self.client.channel_gateway.ListDeliveries, request, "deliveries", timeout_s=CALL_S)
        return Counter([each.customer_id async for each in sends])


async def _free_claims(dsn: str, deaths: asyncio.Queue[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            await deaths.get()
            await connection.execute(_FREE)
    finally:
        await connection.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await holds():
            await asyncio.sleep(0.2)


async def _each_reads_their_own(shop: Shop, account_id: str, customers: Sequence[str]) -> None:
    """What triggers brought is read by whom it is for, though journey is killed before, and while they sleep."""
    journey_id = await retrying(lambda: shop.says_later(account_id), attempts=None)
    await shop.trigger(journey_id, {customer: f"{n:02}" for n, customer in enumerate(customers)})
    codes = [f"Code {n:02}" for n in range(len(customers))]

    async def sleep() -> bool:
        request = journey.CountEnrolmentsRequest(team_id=shop.team_id, journey_id=journey_id)
        counts = await retrying(
            lambda: shop.client.journey.CountEnrolments(request, timeout=CALL_S), attempts=None
        )
        return int(counts.live_count) == len(codes)

    async def have_read() -> bool:
        return len(await shop.texts("Code ")) >= len(codes)

    os.kill(shop.installation.pid_of("journey"), signal.SIGKILL)
    await until(sleep)
    os.kill(shop.installation.pid_of("journey"), signal.SIGKILL)
    clock = shop.client.installation("segment")
    now = (await clock.GetClock(GetClockRequest(), timeout=CALL_S)).now.ToDatetime(UTC)
    later = SetClockRequest(rate=1.0, domain_time=timestamp(now + timedelta(minutes=2)))
    await clock.SetClock(later, timeout=CALL_S)
    await until(have_read)
    assert await shop.texts("Code ") == codes


@pytest.mark.rule("J-24a", "J-24b")
@pytest.mark.timeout(300)
async def test_an_audience_enters_once_each_whatever_is_killed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "BACKOFF", PAUSE)
    deaths: asyncio.Queue[str] = asyncio.Queue()

    armed: list[str] = []

    def hear(event: Event) -> None:
        if not isinstance(event, Died) or event.name != "journey":
            return
        deaths.put_nowait(event.why)
        if event.why == "signal SIGKILL":
            point = f"{armed.pop(0)}:1:0" if armed else ""
            installation.change_environment({"OMNIJOURNEY_CRASH_POINTS": point}, "journey")

    options = InstallationOptions(
        settings=InstallationSettings(data_dir=tmp_path / "data", clock_control="on"),
        free_ports=True,
        emulators=True,
        listener=hear,
        environment={"OMNIJOURNEY_LEASE_SECONDS": LEASE_S},
    )
    async with (
        Installation(options) as installation,
        Client(installation.targets, installation.token) as client,
        aiohttp.ClientSession() as http,
    ):
        freeing = asyncio.create_task(_free_claims(installation.postgres_dsn, deaths))
        shop = Shop(installation, client, http)
        settings = team_pb2.TeamSettings(
            time_zone="Asia/Taipei", currency_code="TWD", modules=[team_pb2.MODULE_JOURNEYS]
        )
        team = team_pb2.Team(team_id=shop.team_id, name="Team", settings=settings)
        await shop.call("CreateTeam", segment.CreateTeamRequest, team=team)
        account_id = await shop.account()
        await shop.people(account_id, INSIDE, 0, "vip")
        outside = await shop.people(account_id, OUTSIDE, INSIDE, "other")
        await _each_reads_their_own(shop, account_id, outside)
        journey_id, audience_id = await shop.says_hello(account_id), await shop.audience("vip")
        armed += CRASHES
        os.kill(installation.pid_of("journey"), signal.SIGKILL)

        operation_id = await shop.start(journey_id, audience_id)
        os.kill(installation.pid_of("segment"), signal.SIGKILL)

        async def is_over() -> bool:
            return (await shop.seen(operation_id)).operation.HasField("end_time")

        await until(is_over)
        found = await shop.seen(operation_id)
        assert (found.operation.state, found.found_count) == (OPERATION_STATE_SUCCEEDED, INSIDE)
        counted = [(each.result, each.customer_count) for each in found.counts]
        assert counted == [(ENTRY_RESULT_ENROLLED, INSIDE)]

        async def all_told() -> bool:
            return await shop.accepted() >= INSIDE + OUTSIDE

        await until(all_told)
        assert await shop.accepted() == INSIDE + OUTSIDE
        assert set((await shop.customers_sent_to()).values()) == {1}, "a message each"
        assert crashes(installation.log_dir, "journey.log*") == Counter(CRASHES)
        assert not freeing.done(), "all the while"
        freeing.cancel()
