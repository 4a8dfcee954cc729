"""From a follow on LINE and a first WhatsApp message to journeys, messages, receipts and figures: by signed HTTP."""

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import aiohttp
import asyncpg
import pytest
from standardwebhooks import Webhook

from libs.client import Client
from libs.demo.patience import call
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, Card, CouponCard, TextCard
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import node_pb2 as node
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.trigger_pb2 import ContactAdded, Trigger
from omnijourney.points.v1 import coupon_pb2 as coupon
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, MODULE_POINTS, Team, TeamSettings
from omnijourney.stats.v1 import stats_service_pb2 as stats

TEAM = UUID("01890000-0000-7000-8000-00000000ea45")
SECRET, TOKEN = "secret of the app", "token of the address"
SALE = "https://shop.example/sale"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1"
PREVIEW = "facebookexternalhit/1.1;line-poker/1.0"
MEI, WA_ID = "U" + "1" * 32, "886912000001"
WITHIN_S = 120.0
"""For a busy machine."""


def _id(*parts: object) -> str:
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
            assert answer.status in {200, 202}, await answer.text()
            return await answer.json()  # type: ignore[no-any-return]

    async def recipients(self, channel: str) -> list[tuple[str, str]]:
        """Whom messages went to, and their ids."""
        async with self.http.get(f"{self.installation.channel_urls[channel]}/_emulator/log") as answer:
            return [(record["recipient"], record["id"]) for record in (await answer.json())["records"]]

    async def account(self, channel: str) -> str:
        """An account whose webhooks come here."""
        made = ChannelAccount(display_name=channel)
        if channel == "line":
            made.channel = CHANNEL_LINE
            made.line.access_token = "emulator-token"
            made.line.channel_secrets.append(SECRET)
        else:
            made.channel = CHANNEL_WHATSAPP
            made.whatsapp.phone_number_id = "100000000000001"
            made.whatsapp.access_token = "emulator-token"
            made.whatsapp.app_secrets.append(SECRET)
            made.whatsapp.verify_token = TOKEN
        request = gateway.CreateChannelAccountRequest(
            team_id=str(TEAM), request_id=_id("account", channel), account=made
        )
        account_id = (
            await call(self.client.channel_gateway.CreateChannelAccount, request)
        ).account.channel_account_id
        url = f"{self.installation.http_url}/v1/teams/{TEAM}/accounts/{account_id}/events"
        await self.tell(channel, "webhooks", url=url, secret=SECRET)
        return account_id

    async def coupon(self, name: str, cost: int) -> str:
        """A coupon that points buy."""
        redemption = coupon.PointsRedemption(
            cost=cost, insufficient_text="You have {{points.balance}} points."
        )
        made = coupon.Coupon(
            team_id=str(TEAM), name=name, type=coupon.COUPON_TYPE_MARKETING, points_redemption=redemption
        )
        request = points.CreateCouponRequest(team_id=str(TEAM), request_id=_id("coupon", name), coupon=made)
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

    async def journey(self, accounts: dict[int, str], coupon_id: str) -> str:
        """Greets new contacts on either channel."""
        offer = CouponCard(coupon_id=coupon_id, text="A mug?", button_label="Claim")
        cards = [Card(text=TextCard(text=f"Hello! {SALE}")), Card(coupon=offer)]
        module = BotModule(name="Hello", cards=cards)
        create = gateway.CreateBotModuleRequest(team_id=str(TEAM), request_id=_id("module"), module=module)
        module_id = (await call(self.client.channel_gateway.CreateBotModule, create)).module.bot_module_id
        nodes = [
            node.Node(
                node_id="line",
                next_node_id="whatsapp",
                message=node.MessageNode(channel=CHANNEL_LINE, bot_module_id=module_id),
            ),
            node.Node(
                node_id="whatsapp",
                message=node.MessageNode(channel=CHANNEL_WHATSAPP, bot_module_id=module_id),
            ),
        ]
        definition = Definition(
            name="welcome",
            trigger=Trigger(contact_added=ContactAdded()),
            targets=[
                Target(channel=channel, account_id=account)  # type: ignore[arg-type]  # numbers of the enum
                for channel, account in accounts.items()
            ],
            nodes=nodes,
        )
        stub = self.client.journey
        request = journey.CreateJourneyRequest(
            team_id=str(TEAM), request_id=_id("journey"), definition=definition
        )
        journey_id = (await call(stub.CreateJourney, request)).journey.journey_id
        publish = journey.PublishJourneyRequest(
            team_id=str(TEAM), request_id=_id("publish"), journey_id=journey_id
        )
        await call(stub.PublishJourney, publish)
        return journey_id

    async def figures(self, journey_id: str) -> dict[str, tuple[int, int, int]]:
        """By node: sent, delivered, read."""
        request = stats.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=journey_id)
        answer = await call(self.client.stats.ListMessageFigures, request)
        return {
            each.node_id: (each.sent.value, each.delivered.value, each.read.value) for each in answer.figures
        }

    async def links(self, channel: str) -> list[str]:
        """Short links in the messages that a channel got."""
        async with self.http.get(f"{self.installation.channel_urls[channel]}/_emulator/log") as answer:
            return re.findall(rf"{self.installation.http_url}/l/[0-9A-Za-z]{{22}}", await answer.text())

    async def open(self, link: str, agent: str) -> str:
        """Where a link leads."""
        async with self.http.get(link, headers={"User-Agent": agent}, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def order(self, phone: str, total: str) -> None:
        """An order of whoever has the phone, by the shop's signed webhook."""
        shop = gateway.CreateShopRequest(team_id=str(TEAM), request_id=_id("shop"))
        shop.shop.shop_id, shop.shop.display_name = "shop", "Shop"
        await call(self.client.channel_gateway.CreateShop, shop)
        key = gateway.CreateShopKeyRequest(team_id=str(TEAM), request_id=_id("key"), shop_id="shop")
        secret = (await call(self.client.channel_gateway.CreateShopKey, key)).key.secret
        now = datetime.now(UTC)
        event = {
            "event": "order.completed",
            "event_id": "order-1",
            "occurred_at": now.isoformat(),
            "customer": {"phone": phone},
            "order": {"id": "1", "currency": "TWD", "total": total},
        }
        body = json.dumps(event)
        headers = {
            "webhook-id": "w1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("w1", now, body),
        }
        url = f"{self.installation.http_url}/v1/teams/{TEAM}/shops/shop/events"
        async with self.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()

    async def earned(self, journey_id: str) -> tuple[int, int, int, int]:
        """Sends that were clicked, by channel; orders and revenue of the journey."""
        request = stats.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=journey_id)
        nodes = {
            each.node_id: each for each in (await call(self.client.stats.ListMessageFigures, request)).figures
        }
        asked = stats.GetJourneyOverviewRequest(team_id=str(TEAM), journey_id=journey_id)
        overview = (await call(self.client.stats.GetJourneyOverview, asked)).overview
        revenue = sum(money.amount_micros for money in overview.revenue.amounts)
        assert nodes["whatsapp"].orders.value == overview.order_count.value
        clicked = (nodes["line"].clicked.value, nodes["whatsapp"].clicked.value)
        return (*clicked, overview.order_count.value, revenue)


async def comes(what: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Waits until it is so."""
    until = asyncio.get_running_loop().time() + WITHIN_S
    while (found := await what()) != wanted:
        assert asyncio.get_running_loop().time() < until, found
        await asyncio.sleep(0.2)


@pytest.mark.timeout(480)
@pytest.mark.rule("J-21b", "P-20c", "C-30a", "T-02a")
async def test_who_follows_or_writes_is_greeted_and_what_becomes_of_it_is_counted() -> None:
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as directory:
        settings = InstallationSettings(data_dir=Path(directory) / "data")
        options = InstallationOptions(settings=settings, free_ports=True, one_process=True, emulators=True)
        async with (
            Installation(options) as installation,
            Client(installation.targets, installation.token, installation.tools_token) as client,
            aiohttp.ClientSession() as http,
        ):
            admin = await asyncpg.connect(installation.postgres_dsn)
            try:
                await _story(Shop(installation, client, http, admin))
            finally:
                await admin.close()


async def _story(shop: Shop) -> None:
    team_settings = TeamSettings(
        time_zone="Asia/Taipei",
        currency_code="TWD",
        modules=[MODULE_JOURNEYS, MODULE_POINTS],
        points_channels=[CHANNEL_LINE],
    )
    team = Team(team_id=str(TEAM), name="Heard", settings=team_settings)
    await call(shop.client.segment.CreateTeam, segment.CreateTeamRequest(request_id=_id("team"), team=team))
    top_up = gateway.AdjustWalletRequest(
        team_id=str(TEAM),
        request_id=_id("wallet"),
        amount=Money(currency_code="HKD", amount_micros=10_000_000),
    )
    await call(shop.client.channel_gateway.AdjustWallet, top_up)
    accounts = {CHANNEL_LINE: await shop.account("line"), CHANNEL_WHATSAPP: await shop.account("whatsapp")}
    assert (await shop.tell("whatsapp", "webhooks/greet", verify_token=TOKEN))["verified"]
    journey_id = await shop.journey(accounts, await shop.coupon("Mug", 80))  # type: ignore[arg-type]  # numbers of the enum

    await shop.tell("line", "acts", acts=[{"kind": "follow", "user_id": MEI}])
    await shop.tell("whatsapp", "inbound", wa_id=WA_ID, text="hi")

    async def greeted() -> set[str]:
        return {who for channel in ("line", "whatsapp") for who, _ in await shop.recipients(channel)}

    await comes(greeted, {MEI, WA_ID})
    ((_, message_id),) = await shop.recipients("whatsapp")
    await shop.tell("whatsapp", "statuses", id=message_id, status="read")
    await comes(lambda: shop.figures(journey_id), {"line": (1, 0, 0), "whatsapp": (1, 1, 1)})

    await _buys(shop, journey_id)
    await _claims(shop)

    await shop.tell("line", "acts", acts=[{"kind": "unfollow", "user_id": MEI}])
    blocked = "SELECT array_agg(external_id) FROM segment.identity WHERE blocked"
    await comes(lambda: shop.admin.fetchval(blocked), [MEI])


async def _buys(shop: Shop, journey_id: str) -> None:
    """Both open their links, the second one buys."""
    (line_link,), (whatsapp_link,) = await shop.links("line"), await shop.links("whatsapp")
    for link, agent in ((line_link, PREVIEW), (line_link, BROWSER), (whatsapp_link, BROWSER)):
        assert await shop.open(link, agent) == SALE
    assert await shop.open(whatsapp_link, BROWSER) == SALE
    await shop.order("0912000001", "90.00")
    await comes(lambda: shop.earned(journey_id), (1, 1, 1, 90_000_000))


async def _claims(shop: Shop) -> None:
    """Mei presses the button of the coupon that she was sent, and another one's."""
    customer = await shop.admin.fetchval(
        "SELECT customer_id::text FROM segment.identity WHERE external_id = $1", MEI
    )
    gift = points.AdjustBalanceRequest(
        team_id=str(TEAM), request_id=_id("gift"), customer_id=customer, points=100, note="gift"
    )
    await call(shop.client.points.AdjustBalance, gift)
    [offer] = [each["template"]["actions"][0]["data"] for each in await shop.pushed("template")]
    await shop.press(offer)
    await comes(lambda: _count(shop), 2)
    await shop.press(offer)
    await comes(lambda: _count(shop), 3)
    _, code, again = await shop.texts()
    assert code == again
    dear = await shop.coupon("Bicycle", 500)
    await shop.press(f"c=claim&coupon={dear}")
    await comes(lambda: _count(shop), 4)
    assert (await shop.texts())[-1] == "You have 20 points."
    use = points.UseCouponClaimRequest(team_id=str(TEAM), request_id=_id("use"), code=code)
    assert (await call(shop.client.points.UseCouponClaim, use)).coupon_claim.customer_id == customer


async def _count(shop: Shop) -> int:
    return len(await shop.texts())
