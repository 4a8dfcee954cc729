"""What the cases meet: three teams with all kinds of things, made through the API. `own` is the caller's, `foreign` is
somebody else's whose ids are tried, and nobody ever names `bystander`, whose orders must go on flowing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc

from libs.client import Client, ServiceName
from libs.demo.definitions import TEMPLATES, References, definitions
from libs.demo.shopfront import Builder, Shopfront, approve_templates, customer_id_of
from libs.demo.stream import Profile
from libs.embedded.keepalive import Died, Event
from libs.emulators.config import EmulatorSettings
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.common.v1.installation_service_pb2 import GetLagRequest
from tests.fuzz.furnish import FIRST_MEMBER, furnish
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc, served

SHOPS: Final = ("own", "foreign", "bystander")
MEMBERS: Final = range(FIRST_MEMBER, FIRST_MEMBER + 12)
SURVEY_TIMEOUT_S: Final = 5.0
LAG_WITHIN_S: Final = 60.0


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
    emulators: EmulatorSettings
    deaths: list[str]
    """Processes that ended since the start, and why."""
    secrets: list[str] = field(default_factory=list)
    """Texts that no log may hold."""
    own: Pools = field(default_factory=Pools)
    foreign: Pools = field(default_factory=Pools)

    def pid_of(self, service: ServiceName) -> int:
        """Process id now."""
        return self.installation.pid_of(service)

    async def renew(self, name: str) -> None:
        """The caller gets a new team, in which nothing is spoilt yet."""
        self.own_shop = await _build(self.client, name, self.emulators)
        await furnish(self.client, self.own_shop)
        self.own.begin(known_of(self.own_shop))

    def channel(self, rpc: Rpc) -> grpc.aio.Channel:
        """Where an RPC is called, with what its caller shows."""
        internal = ".internal." in rpc.full_name
        return self.client.internal(rpc.service).channel if internal else self.client.channel(rpc.service)

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
        own, foreign, bystander = shops
        made = World(
            installation,
            client,
            session,
            await served(client),
            own,
            foreign,
            bystander,
            emulators,
            deaths,
            [installation.token, emulators.token, emulators.secret, *(shop.webhook_secret for shop in shops)],
        )
        await furnish(client, made.foreign_shop)
        made.foreign.begin(known_of(made.foreign_shop))
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
