"""A team with an account on each of the four channels, and who plays its customers: by signed HTTP, as from outside."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import aiohttp
import asyncpg
from google.protobuf.duration_pb2 import Duration
from standardwebhooks import Webhook

from libs.client import Client
from libs.demo.patience import call
from libs.supervisor import Installation
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, Card, CouponCard, TextCard
from omnijourney.common.v1.channel_pb2 import (
    CHANNEL_INSTAGRAM,
    CHANNEL_LINE,
    CHANNEL_MESSENGER,
    CHANNEL_WHATSAPP,
)
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import node_pb2 as node
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.trigger_pb2 import CheckoutCompleted, ContactAdded, Trigger
from omnijourney.points.v1 import coupon_pb2 as coupon
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import Customer
from omnijourney.stats.v1 import stats_service_pb2 as stats
from omnijourney.stats.v1.figures_pb2 import JourneyOverview, MessageFigures, NodeFigures

TEAM = UUID("01890000-0000-7000-8000-00000000ea45")
SECRET, TOKEN = "secret of the app", "token of the address"
PAGES_SECRET = "emulator-secret"
"""Also proves calls to pages and Instagram accounts."""
SALE = "https://shop.example/sale"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1"
PREVIEW = "facebookexternalhit/1.1;line-poker/1.0"
MEI, WA_ID, PSID, IGSID = "U" + "1" * 32, "886912000001", "5000000000000001", "6000000000000001"
PEOPLE: Final = {"line": MEI, "whatsapp": WA_ID, "messenger": PSID, "instagram": IGSID}
"""Who is greeted on each channel."""
UNREACHED: Final = {
    "line": "U" + "2" * 32,
    "whatsapp": "886912000002",
    "messenger": "5000000000000002",
    "instagram": "6000000000000002",
}
"""Whose messages the channel refuses for good."""
REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "line": {"status": 400, "text": "Failed to send messages"},
    "whatsapp": {"code": 131026},
    "messenger": {"code": 100, "subcode": 2018001},
    "instagram": {"code": 100, "subcode": 2534014},
}
REASONS: Final = {
    "line": "RECIPIENT_INVALID",
    "whatsapp": "UNDELIVERABLE",
    "messenger": "RECIPIENT_INVALID",
    "instagram": "RECIPIENT_INVALID",
}
"""How figures name them."""
CHANNELS: Final = {
    "line": CHANNEL_LINE,
    "whatsapp": CHANNEL_WHATSAPP,
    "messenger": CHANNEL_MESSENGER,
    "instagram": CHANNEL_INSTAGRAM,
}
WITHIN_S = 120.0
"""For a busy machine."""


def id_of(*parts: object) -> str:
    return str(uuid5(TEAM, "/".join(map(str, parts))))


@dataclass
class Shop:
    """A team with an account on either channel, and who plays its customers."""

    installation: Installation
    client: Client
    http: aiohttp.ClientSession
    admin: "asyncpg.Connection[Any]"

    async def tell(self, channel: str, path: str, **body: Any) -> dict[str, Any]:
        """A switch of an emulator."""
        url = f"{self.installation.channel_urls[channel]}/_emulator/{path}"
        async with self.http.post(url, json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()  # type: ignore[no-any-return]

    async def recipients(self, channel: str) -> list[tuple[str, str]]:
        """Whom messages went to, and their ids."""
        async with self.http.get(f"{self.installation.channel_urls[channel]}/_emulator/log") as answer:
            return [(record["recipient"], record["id"]) for record in (await answer.json())["records"]]

    async def account(self, channel: str) -> str:
        """An account whose webhooks come here."""
        made = ChannelAccount(display_name=channel, channel=CHANNELS[channel])
        secret = SECRET
        match channel:
            case "line":
                made.line.access_token = "emulator-token"
                made.line.channel_secrets.append(SECRET)
            case "whatsapp":
                made.whatsapp.phone_number_id = "100000000000001"
                made.whatsapp.access_token = "emulator-token"
                made.whatsapp.app_secrets.append(SECRET)
                made.whatsapp.verify_token = TOKEN
            case "messenger":
                secret = PAGES_SECRET
                made.messenger.page_id = "300000000000001"
                made.messenger.access_token = "emulator-token"
                made.messenger.app_secrets.append(secret)
            case "instagram":
                secret = PAGES_SECRET
                made.instagram.instagram_id = "400000000000001"
                made.instagram.access_token = "emulator-token"
                made.instagram.app_secrets.append(secret)
        request = gateway.CreateChannelAccountRequest(
            team_id=str(TEAM), request_id=id_of("account", channel), account=made
        )
        account_id = (
            await call(self.client.channel_gateway.CreateChannelAccount, request)
        ).account.channel_account_id
        url = f"{self.installation.http_url}/v1/teams/{TEAM}/accounts/{account_id}/events"
        await self.tell(channel, "webhooks", url=url, secret=secret)
        return account_id

    async def coupon(self, name: str, cost: int) -> str:
        """A coupon that points buy."""
        redemption = coupon.PointsRedemption(
            cost=cost, insufficient_text="You have {{points.balance}} points."
        )
        made = coupon.Coupon(
            team_id=str(TEAM), name=name, type=coupon.COUPON_TYPE_MARKETING, points_redemption=redemption
        )
        request = points.CreateCouponRequest(team_id=str(TEAM), request_id=id_of("coupon", name), coupon=made)
        return (await call(self.client.points.CreateCoupon, request)).coupon.coupon_id

    async def press(self, data: str) -> None:
        """Mei presses a button that carries this."""
        await self.tell("line", "acts", acts=[{"kind": "postback", "user_id": MEI, "data": data}])

    async def pushed(self, kind: str) -> list[dict[str, Any]]:
        """What LINE showed to Mei, of a kind."""
        url = f"{self.installation.channel_urls['line']}/_emulator/log?recipient={MEI}"
        async with self.http.get(url) as answer:
            records = (await answer.json())["records"]
        return [each for record in records for each in record["body"]["messages"] if each["type"] == kind]

    async def texts(self) -> list[str]:
        """The texts."""
        return [each["text"] for each in await self.pushed("text")]

    async def journey(self, accounts: dict[str, str], coupon_id: str) -> str:
        """Greets new contacts on each channel."""
        offer = CouponCard(coupon_id=coupon_id, text="A mug?", button_label="Claim")
        cards = [Card(text=TextCard(text=f"Hello! {SALE}")), Card(coupon=offer)]
        module = BotModule(name="Hello", cards=cards)
        create = gateway.CreateBotModuleRequest(team_id=str(TEAM), request_id=id_of("module"), module=module)
        module_id = (await call(self.client.channel_gateway.CreateBotModule, create)).module.bot_module_id
        names = list(CHANNELS)
        nodes = [
            node.Node(
                node_id=name,
                next_node_id=after,
                message=node.MessageNode(channel=CHANNELS[name], bot_module_id=module_id),
            )
            for name, after in zip(names, [*names[1:], ""], strict=True)
        ]
        definition = Definition(
            name="welcome",
            trigger=Trigger(contact_added=ContactAdded()),
            targets=[
                Target(channel=CHANNELS[channel], account_id=account) for channel, account in accounts.items()
            ],
            nodes=nodes,
        )
        stub = self.client.journey
        request = journey.CreateJourneyRequest(
            team_id=str(TEAM), request_id=id_of("journey"), definition=definition
        )
        journey_id = (await call(stub.CreateJourney, request)).journey.journey_id
        publish = journey.PublishJourneyRequest(
            team_id=str(TEAM), request_id=id_of("publish"), journey_id=journey_id
        )
        await call(stub.PublishJourney, publish)
        return journey_id

    async def later(self) -> str:
        """Thanks for an order on WhatsApp, a minute later."""
        module = BotModule(name="Thanks", cards=[Card(text=TextCard(text="Thanks!"))])
        create = gateway.CreateBotModuleRequest(team_id=str(TEAM), request_id=id_of("thanks"), module=module)
        module_id = (await call(self.client.channel_gateway.CreateBotModule, create)).module.bot_module_id
        query = "SELECT account_id::text FROM channel_gateway.account WHERE channel = $1"
        account_id = await self.admin.fetchval(query, int(CHANNEL_WHATSAPP))
        message = node.MessageNode(channel=CHANNEL_WHATSAPP, bot_module_id=module_id)
        definition = Definition(
            name="thanks",
            trigger=Trigger(checkout_completed=CheckoutCompleted()),
            targets=[Target(channel=CHANNEL_WHATSAPP, account_id=account_id)],
            nodes=[
                node.Node(
                    node_id="wait", next_node_id="send", delay=node.DelayNode(delay=Duration(seconds=60))
                ),
                node.Node(node_id="send", message=message),
            ],
        )
        stub = self.client.journey
        request = journey.CreateJourneyRequest(
            team_id=str(TEAM), request_id=id_of("later"), definition=definition
        )
        journey_id = (await call(stub.CreateJourney, request)).journey.journey_id
        publish = journey.PublishJourneyRequest(
            team_id=str(TEAM), request_id=id_of("publish later"), journey_id=journey_id
        )
        await call(stub.PublishJourney, publish)
        return journey_id

    async def nodes(self, journey_id: str) -> dict[str, MessageFigures]:
        """The figures of each message node."""
        request = stats.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=journey_id)
        answer = await call(self.client.stats.ListMessageFigures, request)
        return {each.node_id: each for each in answer.figures}

    async def steps(self, journey_id: str) -> dict[str, NodeFigures]:
        """What happened at each node."""
        request = stats.ListNodeFiguresRequest(team_id=str(TEAM), journey_id=journey_id)
        answer = await call(self.client.stats.ListNodeFigures, request)
        return {each.node_id: each for each in answer.nodes}

    async def figures(self, journey_id: str, *names: str) -> dict[str, tuple[int | None, ...]]:
        """Some figures of each message node; None: the channel does not tell."""
        return {
            node_id: tuple(
                count.value if count.HasField("value") else None
                for count in (getattr(each, name) for name in names)
            )
            for node_id, each in (await self.nodes(journey_id)).items()
        }

    async def overview(self, journey_id: str) -> JourneyOverview:
        """The journey as a whole."""
        request = stats.GetJourneyOverviewRequest(team_id=str(TEAM), journey_id=journey_id)
        return (await call(self.client.stats.GetJourneyOverview, request)).overview

    async def arrive(self, channel: str, who: str) -> None:
        """Somebody follows, or writes for the first time."""
        match channel:
            case "line":
                await self.tell("line", "acts", acts=[{"kind": "follow", "user_id": who}])
            case "whatsapp":
                await self.tell("whatsapp", "inbound", wa_id=who, text="hi")
            case _:
                await self.tell(channel, "inbound", person_id=who, text="hi")

    async def links(self, channel: str) -> list[str]:
        """Short links in the messages that a channel got."""
        async with self.http.get(f"{self.installation.channel_urls[channel]}/_emulator/log") as answer:
            return re.findall(rf"{self.installation.http_url}/l/[0-9A-Za-z]{{22}}", await answer.text())

    async def open(self, link: str, agent: str) -> str:
        """Where a link leads."""
        async with self.http.get(link, headers={"User-Agent": agent}, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def customer_of(self, channel: str) -> str:
        """The customer who was greeted on a channel."""
        query = "SELECT customer_id::text FROM segment.identity WHERE external_id = $1"
        return str(await self.admin.fetchval(query, PEOPLE[channel]))

    async def introduce(self, channel: str, phone: str) -> None:
        """Somebody tells their phone."""
        customer = Customer(customer_id=await self.customer_of(channel), phone=phone)
        request = segment.UpdateCustomerRequest(
            team_id=str(TEAM), request_id=id_of("phone", channel), customer=customer
        )
        await call(self.client.segment.UpdateCustomer, request)

    async def order(self, number: int, phone: str, total: str) -> None:
        """An order of whoever has the phone, by the shop's signed webhook."""
        shop = gateway.CreateShopRequest(team_id=str(TEAM), request_id=id_of("shop"))
        shop.shop.shop_id, shop.shop.display_name = "shop", "Shop"
        await call(self.client.channel_gateway.CreateShop, shop)
        key = gateway.CreateShopKeyRequest(team_id=str(TEAM), request_id=id_of("key"), shop_id="shop")
        secret = (await call(self.client.channel_gateway.CreateShopKey, key)).key.secret
        now = datetime.now(UTC)
        event = {
            "event": "order.completed",
            "event_id": f"order-{number}",
            "occurred_at": now.isoformat(),
            "customer": {"phone": phone},
            "order": {"id": str(number), "currency": "TWD", "total": total},
        }
        body = json.dumps(event)
        headers = {
            "webhook-id": f"w{number}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(f"w{number}", now, body),
        }
        url = f"{self.installation.http_url}/v1/teams/{TEAM}/shops/shop/events"
        async with self.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()


async def comes(what: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Waits until it is so."""
    until = asyncio.get_running_loop().time() + WITHIN_S
    while (found := await what()) != wanted:
        assert asyncio.get_running_loop().time() < until, found
        await asyncio.sleep(0.2)
