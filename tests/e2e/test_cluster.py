"""The whole installation on a Redis Cluster of three nodes: two of them die and one forgets all, in the middle."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest

from libs.client import Client
from libs.common.rpc.values import duration, timestamp
from libs.demo.patience import call
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from libs.testing import redis_servers
from libs.testing.redis_servers import RedisServer
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, SinkConnection
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, Card, TextCard
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, SetClockRequest
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.internal.v1.change_pb2 import Change, TagChange
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import node_pb2 as node
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.trigger_pb2 import ContactAdded, Trigger
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.audience_pb2 import TAG_OPERATOR_ANY_OF, Audience, TagPredicate
from omnijourney.segment.v1.customer_pb2 import Customer, IdentityKey
from omnijourney.segment.v1.event_pb2 import EVENT_STATUS_REFUSED, CustomerEvent
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, MODULE_POINTS, Team, TeamSettings

TEAM = UUID("01890000-0000-7000-8000-00000000c1a5")
CUSTOMERS = [uuid5(TEAM, f"customer {number}") for number in range(400)]
REGULARS = CUSTOMERS[::2]
"""Those who have the tag, and get points for it."""
BATCH = 40
RATE = 60.0
"""Domain seconds a real one: the journey's minute takes one."""
GIFT = 10
DONE_WITHIN_S = 180.0
"""For a busy machine; nobody waits so long where nothing is lost."""
COUNTS = {
    "enrolments that ended": "SELECT count(*) FROM journey.enrolment WHERE state = 2",
    "enrolments": "SELECT count(*) FROM journey.enrolment",
    # A run segment within a record: after its customer and enrolment stands true (0xc3 in msgpack) where it began.
    "beginnings told": """
        SELECT count(*) FROM journey.history_record AS h
         CROSS JOIN regexp_matches(encode(h.body, 'hex'), '9801..c410[0-9a-f]{32}c410[0-9a-f]{32}c3', 'g')""",
    "sends that left": "SELECT count(*) FROM channel_gateway.delivery WHERE state = 1",
    "sends": "SELECT count(*) FROM channel_gateway.delivery",
    "outcomes told": "SELECT sum(cardinality(customers)) FROM channel_gateway.history_record",
    "entries": "SELECT count(*) FROM points.entry",
    "points": "SELECT sum(balance) FROM points.account",
    "customers whose mail was not all taken": """
        SELECT count(*) FROM segment.customer AS c JOIN journey.actor AS a USING (team_id, customer_id)
         WHERE c.mail_number <> a.taken_segment""",
    "journeys that stats counted": "SELECT sum(value) FROM stats.total WHERE metric = 3",
}
WANTED = {
    "enrolments that ended": len(CUSTOMERS),
    "enrolments": len(CUSTOMERS),
    "beginnings told": len(CUSTOMERS),
    "sends that left": len(CUSTOMERS),
    "sends": len(CUSTOMERS),
    "outcomes told": len(CUSTOMERS),
    "entries": len(REGULARS),
    "points": len(REGULARS) * GIFT,
    "customers whose mail was not all taken": 0,
    "journeys that stats counted": len(CUSTOMERS),
}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """Three primaries."""
    with redis_servers.running_cluster(redis_servers.valkey_binary(), tmp_path) as started:
        yield started


@dataclass
class Site:
    """The installation, and what the story needs of it."""

    client: Client
    admin: "asyncpg.Connection[Any]"
    account_id: str = ""

    async def counts(self) -> dict[str, int]:
        """All figures."""
        return {what: int(await self.admin.fetchval(sql) or 0) for what, sql in COUNTS.items()}


@pytest.fixture
async def site(nodes: list[RedisServer]) -> AsyncIterator[Site]:
    """Five services that know one node's address, and an embedded PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as directory:
        settings = InstallationSettings(
            redis_url=nodes[0].url.replace("redis://", "redis+cluster://"),
            clock_control="on",
            data_dir=Path(directory),
        )
        options = InstallationOptions(settings=settings, free_ports=True, more_workers={"journey": 1})
        async with (
            Installation(options) as installation,
            Client(installation.targets, installation.token, installation.tools_token) as client,
        ):
            admin = await asyncpg.connect(installation.postgres_dsn)
            try:
                yield Site(client, admin)
            finally:
                await admin.close()


def _id(*parts: object) -> str:
    return str(uuid5(TEAM, "/".join(map(str, parts))))


async def set_up(site: Site) -> None:
    """A team, an account that sends nowhere, customers of whom every other one has the tag, the journey."""
    client = site.client
    await call(client.installation("segment").SetClock, SetClockRequest(rate=RATE))
    modules = [MODULE_JOURNEYS, MODULE_POINTS]
    settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=modules)
    team = Team(team_id=str(TEAM), name="Cluster", settings=settings)
    await call(client.segment.CreateTeam, segment.CreateTeamRequest(request_id=_id("team"), team=team))
    customers = [
        Customer(customer_id=str(c), name="A", phone=f"+886{n:09d}") for n, c in enumerate(CUSTOMERS)
    ]
    made = segment.BatchCreateCustomersRequest(
        team_id=str(TEAM), request_id=_id("customers"), customers=customers
    )
    await call(client.segment.BatchCreateCustomers, made)
    now = (await call(client.installation("segment").GetClock, GetClockRequest())).now
    changes = [
        Change(
            effect_key=_id("tag", customer),
            team_id=str(TEAM),
            customer_id=str(customer),
            occur_time=now,
            tags=TagChange(add=["regular"]),
        )
        for customer in REGULARS
    ]
    await call(
        client.internal("segment").customers.ApplyChanges,
        customers_service_pb2.ApplyChangesRequest(changes=changes),
    )
    account = ChannelAccount(
        channel=CHANNEL_LINE, display_name="Nowhere", rate_per_second=1_000, sink=SinkConnection()
    )
    request = gateway.CreateChannelAccountRequest(
        team_id=str(TEAM), request_id=_id("account"), account=account
    )
    site.account_id = (
        await call(client.channel_gateway.CreateChannelAccount, request)
    ).account.channel_account_id
    await _publish(site)


async def _publish(site: Site) -> None:
    module = BotModule(name="Hello", cards=[Card(text=TextCard(text="Hello!"))])
    create = gateway.CreateBotModuleRequest(team_id=str(TEAM), request_id=_id("module"), module=module)
    module_id = (await call(site.client.channel_gateway.CreateBotModule, create)).module.bot_module_id
    regulars = Audience(tags=TagPredicate(operator=TAG_OPERATOR_ANY_OF, tags=["regular"]))
    welcome = Definition(
        name="welcome",
        trigger=Trigger(contact_added=ContactAdded()),
        targets=[Target(channel=CHANNEL_LINE, account_id=site.account_id)],
        nodes=[
            node.Node(
                node_id="hello",
                next_node_id="pause",
                message=node.MessageNode(channel=CHANNEL_LINE, bot_module_id=module_id),
            ),
            node.Node(
                node_id="pause",
                next_node_id="regular",
                delay=node.DelayNode(delay=duration(timedelta(minutes=1))),
            ),
            node.Node(
                node_id="regular",
                condition=node.ConditionNode(
                    audience=regulars,
                    yes=node.Branch(node_id="gift"),
                    no=node.Branch(end=node.EndOfJourney()),
                ),
            ),
            node.Node(node_id="gift", points=node.PointsNode(add=GIFT)),
        ],
    )
    stub = site.client.journey
    draft = await call(
        stub.CreateJourney,
        journey.CreateJourneyRequest(team_id=str(TEAM), request_id=_id("journey"), definition=welcome),
    )
    await call(
        stub.PublishJourney,
        journey.PublishJourneyRequest(
            team_id=str(TEAM), request_id=_id("publish"), journey_id=draft.journey.journey_id
        ),
    )


async def join(site: Site, customers: Sequence[UUID]) -> None:
    """These customers join the account: one event each, whatever state the cluster is in."""
    now = (await call(site.client.installation("segment").GetClock, GetClockRequest())).now.ToDatetime(UTC)
    events = []
    for customer in customers:
        event = CustomerEvent(team_id=str(TEAM), event_key=f"joined {customer}", occur_time=timestamp(now))
        event.customer.customer_id = str(customer)
        identity = IdentityKey(
            channel=CHANNEL_LINE, account_id=site.account_id, external_id=f"U{customer.hex}"
        )
        event.contact_added.identity.CopyFrom(identity)
        events.append(event)
    answer = await call(site.client.segment.RecordEvents, segment.RecordEventsRequest(events=events))
    assert all(result.status != EVENT_STATUS_REFUSED for result in answer.results), answer.results[0]


def _dies(server: RedisServer) -> None:
    server.stop(signal.SIGKILL)
    server.start()


def _forgets(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@pytest.mark.timeout(480)
async def test_journeys_walk_on_a_cluster_that_loses_nodes(site: Site, nodes: list[RedisServer]) -> None:
    await set_up(site)
    blows: dict[int, tuple[Callable[[RedisServer], None], RedisServer]] = {
        2: (_dies, nodes[2]),
        4: (_forgets, nodes[1]),
        6: (_dies, nodes[0]),
    }
    for number, start in enumerate(range(0, len(CUSTOMERS), BATCH)):
        await join(site, CUSTOMERS[start : start + BATCH])
        if number in blows:
            strike, server = blows[number]
            await asyncio.to_thread(strike, server)
    assert await counts_at_last(site) == WANTED


async def counts_at_last(site: Site) -> dict[str, int]:
    """All figures, once they are WANTED or a while has passed."""
    counts: dict[str, int] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DONE_WITHIN_S):
            while counts != WANTED:
                await asyncio.sleep(0.2)
                counts = await site.counts()
    return counts
