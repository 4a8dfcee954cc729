"""What the cases meet: three teams with all kinds of things, made through the API. `own` is the caller's, `foreign` is
somebody else's whose ids are tried, and nobody ever names `bystander`, whose orders must go on flowing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import grpc

from libs.client import Client, ServiceName
from libs.demo.definitions import TEMPLATES, References, definitions
from libs.demo.patience import call
from libs.demo.shopfront import Builder, Shopfront, approve_templates, customer_id_of
from libs.demo.stream import Checkout, Item, Kind, Profile
from libs.demo.webhooks import WebhookPoster
from libs.embedded.keepalive import Died, Event
from libs.emulators.config import EmulatorSettings
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2 import CreatePixelKeyRequest
from omnijourney.common.v1.installation_service_pb2 import GetLagRequest
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_OPERATE, SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1.api_client_pb2 import ApiClient
from omnijourney.segment.v1.segment_service_pb2 import CreateApiClientRequest
from tests.fuzz.furnish import FIRST_MEMBER, furnish
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc, served

PAGES: Final = "https://shop.example"
SHOPS: Final = ("own", "foreign", "bystander", "edge")
MEMBERS: Final = range(FIRST_MEMBER, FIRST_MEMBER + 12)
CALM_WITHIN_S: Final = 5.0
"""What a new team's first order may take; what is not done then is not known to the cases."""
LAG_WITHIN_S: Final = 60.0
_WAITING_FOR_CHANNELS: Final = """
WITH repeated AS (
    SELECT team_id, journey_id FROM channel_gateway.delivery
     WHERE state >= channel_gateway.send_state('ACCEPTED') AND attempts > 0 AND next_attempt_at IS NOT NULL
)
SELECT (SELECT count(*) FROM repeated) AS channel_gateway,
       (SELECT count(*) FROM journey.journey AS j
         WHERE j.status = journey.journey_status('STOPPING') AND j.deleted_at IS NULL
           AND (j.team_id, j.journey_id) IN (SELECT team_id, journey_id FROM repeated)) AS journey
"""
_LEFT_AT_JOURNEY: Final = """
SELECT 'STOPPING: ' || journey_id || ', reason ' || reason || ', stop epochs ' || stop_epoch || ' and ' || braked_epoch
  FROM journey.journey WHERE status = journey.journey_status('STOPPING') AND deleted_at IS NULL
 UNION ALL
SELECT 'due: customer ' || customer_id || ', parked: ' || EXISTS (
        SELECT FROM journey.parked_customer AS p
         WHERE (p.partition, p.team_id, p.customer_id) = (a.partition, a.team_id, a.customer_id))
  FROM journey.actor AS a WHERE wake_at <= now()
 LIMIT 20
"""


@dataclass(slots=True)
class World:
    """A running installation and what is in it."""

    installation: Installation
    client: Client
    session: aiohttp.ClientSession
    rpcs: list[Rpc]
    own_shop: Shopfront
    foreign_shop: Shopfront
    bystander: Shopfront
    edge_shop: Shopfront
    """Whose webhooks are tried: no call changes it, so that its key stays good."""
    emulators: EmulatorSettings
    deaths: list[str]
    """Processes that ended since the start, and why."""
    pixel_key: str
    """Under which pages of the edge's shop may report."""
    secrets: list[str] = field(default_factory=list)
    """Texts that no log may hold."""
    own_client: Client | None = None
    """With the token of a client of the own team."""
    own: Pools = field(default_factory=Pools)
    foreign: Pools = field(default_factory=Pools)

    def pid_of(self, service: ServiceName) -> int:
        """Process id now."""
        return self.installation.pid_of(service)

    async def renew(self, name: str) -> None:
        """The caller gets a new team, in which nothing is spoilt yet."""
        self.own_shop = await _build(self.client, name, self.emulators)
        await furnish(self.client, self.own_shop)
        await self._make_client()
        now = datetime.now(UTC)
        order = Checkout(Kind.ORDER, f"{name}-1", now, Decimal(200), FIRST_MEMBER, (Item("tea", 1),))
        poster = WebhookPoster(
            self.session, self.events_url(self.own_shop), self.own_shop.webhook_secret, "HKD"
        )
        await poster.post([order], now)
        await self.until_calm(CALM_WITHIN_S)
        self.own.begin(known_of(self.own_shop))

    async def _make_client(self) -> None:
        """All that a client of a team may."""
        named = ApiClient(name="fuzz", scopes=[SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE])
        asked = CreateApiClientRequest(team_id=self.own_shop.team_id, request_id="client", api_client=named)
        made = await call(self.client.segment.CreateApiClient, asked)
        self.own.hidden = frozenset({made.api_client.api_client_id})
        self.secrets.append(made.token)
        await self.close_own()
        self.own_client = Client(self.installation.targets, made.token)

    async def close_own(self) -> None:
        """Closes what the own team's client has opened."""
        if self.own_client is not None:
            await self.own_client.close()

    def events_url(self, shop: Shopfront) -> str:
        """Where a shop's webhooks go."""
        return f"{self.installation.http_url}/v1/teams/{shop.team_id}/shops/{shop.shop_id}/events"

    def channel(self, rpc: Rpc, *, by_team: bool = False) -> grpc.aio.Channel:
        """Where an RPC is called: with the token of the own team's client, of the installation's, or of the tools."""
        if by_team and self.own_client is not None:
            return self.own_client.channel(rpc.service)
        internal = ".internal." in rpc.full_name
        return self.client.internal(rpc.service).channel if internal else self.client.channel(rpc.service)

    async def waiting_for_channels(self) -> Counter[str]:
        """What services still have since a channel has refused for now: sends, which are tried again for up to a day,
        and journeys that stop by themselves, which let those leave."""
        [counts] = await self._rows(_WAITING_FOR_CHANNELS)
        return Counter(dict(counts))

    async def left_at_journey(self) -> list[str]:
        """What journey may count as pending, in words; what is not among it is mail."""
        return [line for (line,) in await self._rows(_LEFT_AT_JOURNEY)]

    async def _rows(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.installation.postgres_dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def pending(self) -> dict[str, int]:
        """What each service has not worked off yet, where it is anything."""
        lags: dict[str, int] = {}
        for service in self.client.known:
            lag = await self.client.installation(service).GetLag(GetLagRequest(), timeout=15)
            if lag.pending:
                lags[service] = lag.pending
        return lags

    async def until_calm(self, within_s: float = LAG_WITHIN_S) -> dict[str, int]:
        """Waits until nothing is pending; what still is after `within_s`."""
        deadline = asyncio.get_running_loop().time() + within_s
        left = await self.pending()
        while left and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            left = await self.pending()
        return left


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """Starts everything and sets the teams up."""
    deaths: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Died):
            deaths.append(f"{event.name}: {event.why}")

    emulators = EmulatorSettings.model_construct()
    options = InstallationOptions(
        settings=InstallationSettings(data_dir=directory, bind_host="127.0.0.1"),
        free_ports=True,
        emulators=True,
        listener=hear,
        environment={
            "OMNIJOURNEY_EMULATOR_TOKEN": emulators.token,
            "OMNIJOURNEY_EMULATOR_SECRET": emulators.secret,
        },
    )
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation(options))
        client = await stack.enter_async_context(
            Client(installation.targets, installation.token, installation.tools_token)
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        )
        await approve_templates(session, installation.channel_urls["whatsapp"])
        shops = [await _build(client, shop_id, emulators) for shop_id in SHOPS]
        own, foreign, bystander, edge = shops
        made = World(
            installation,
            client,
            session,
            await served(client),
            own,
            foreign,
            bystander,
            edge,
            emulators,
            deaths,
            await _pixel_key(client, edge),
            [installation.token, emulators.token, emulators.secret, *(shop.webhook_secret for shop in shops)],
        )
        await furnish(client, made.foreign_shop)
        made.foreign.begin(known_of(made.foreign_shop))
        stack.push_async_callback(made.close_own)
        yield made


def known_of(shop: Shopfront) -> dict[str, list[str]]:
    """What is known of a team before anything is asked."""
    return {
        "team_id": [shop.team_id],
        "customer_id": [customer_id_of(shop.shop_id, member) for member in MEMBERS],
        "member_id": [str(member) for member in MEMBERS],
        "journey_id": list(shop.journeys.values()),
        "account_id": [shop.whatsapp_account, shop.line_account],
        "shop_id": [shop.shop_id],
    }


async def _pixel_key(client: Client, shop: Shopfront) -> str:
    """One of the shop, for pages of `PAGES`."""
    asked = CreatePixelKeyRequest(
        team_id=shop.team_id, request_id="pixel", shop_id=shop.shop_id, origins=[PAGES]
    )
    made = await call(client.channel_gateway.CreatePixelKey, asked)
    return made.pixel_key.pixel_key_id


async def _build(client: Client, shop_id: str, emulators: EmulatorSettings) -> Shopfront:
    profile = Profile(
        source=shop_id,
        shop_id=shop_id,
        currency="HKD",
        time_zone="Asia/Hong_Kong",
        big_amount=Decimal(100),
        big_points=10,
        favourite="tea",
    )
    return await Builder(client, profile, emulators, _definitions).build(list(MEMBERS))


def _definitions(profile: Profile, references: References) -> Sequence[Any]:
    assert set(references.templates) == set(TEMPLATES)
    return definitions(profile, references)
