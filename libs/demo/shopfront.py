"""Sets the demo team up, through the public gRPC API only, in batches."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp

from libs.client import Client
from libs.demo.definitions import LINE_TEXT, TEMPLATES, TIER, References, definitions
from libs.demo.patience import DemoFault, call
from libs.demo.stream import Profile, line_user_of, phone_of
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID, bot_user_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, LineConnection, WhatsappConnection
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, Card, MessageTemplate, TextCard
from omnijourney.channel_gateway.v1.webhook_pb2 import Shop
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import ATTRIBUTE_TYPE_TEXT, Attribute
from omnijourney.segment.v1.customer_pb2 import Customer, Identity, IdentityKey
from omnijourney.segment.v1.team_pb2 import (
    MODULE_CUSTOM_ATTRIBUTES,
    MODULE_JOURNEYS,
    MODULE_POINTS,
    MODULE_SOCIAL_CDP,
    CurrencyRate,
    Team,
    TeamSettings,
)

TEAM_NAME = "Demo shop"
BATCH_MAX = 500
RATE_PER_SECOND = 1_000
"""Of each account: the demo's clock is fast, the emulators' is not."""
WALLET_HKD = 1_000_000
LINE_QUOTA = 1_000_000
LANGUAGE = "en"
_NAMESPACE = uuid.UUID("5f1c7e0a-3c4e-5e0b-9a53-6f6d6e696a6f")


def demo_id(*parts: object) -> str:
    """A UUID that is the same in every run, so that customers fall into the same partitions."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def customer_id_of(shop_id: str, member: int) -> str:
    """Id of a member's customer."""
    return demo_id(shop_id, "customer", member)


@dataclass(frozen=True, slots=True)
class Shopfront:
    """The team as it was set up."""

    team_id: str
    shop_id: str
    webhook_secret: str
    journeys: dict[str, str]
    """Id by name."""
    whatsapp_account: str
    line_account: str


class Builder:
    """Makes everything for one profile. Every call is safe to repeat: its request id follows from what it makes."""

    def __init__(
        self,
        client: Client,
        profile: Profile,
        emulators: EmulatorSettings,
        journeys: Callable[[Profile, References], Sequence[Definition]] = definitions,
    ) -> None:
        """`emulators`: where the tokens and ids of the emulated accounts are from; `journeys`: what is published."""
        self._client = client
        self._journeys = journeys
        self._profile = profile
        self._emulators = emulators
        self.team_id = demo_id(profile.shop_id, "team")

    async def build(self, members: Sequence[int]) -> Shopfront:
        """Team, accounts, content, customers, formula, shop and its key, journeys: all live when it returns."""
        await self._create_team()
        await self._create_attribute()
        await self._set_formula()
        whatsapp, line = await self._create_whatsapp(), await self._create_line()
        await self._fill_wallet_and_quota(line)
        references = References(
            whatsapp, line, await self._create_templates(whatsapp), await self._create_bot_module()
        )
        await self._create_customers(members, references)
        secret = await self._create_shop()
        journeys = await self._publish_journeys(references)
        return Shopfront(self.team_id, self._profile.shop_id, secret, journeys, whatsapp, line)

    def _request_id(self, *parts: object) -> str:
        return demo_id(self._profile.shop_id, "request", *parts)

    async def _create_team(self) -> None:
        settings = TeamSettings(
            time_zone=self._profile.time_zone,
            currency_code=self._profile.currency,
            modules=[MODULE_JOURNEYS, MODULE_POINTS, MODULE_CUSTOM_ATTRIBUTES, MODULE_SOCIAL_CDP],
            # The LINE card names the balance; by itself that is open to WhatsApp only.
            points_channels=[CHANNEL_WHATSAPP, CHANNEL_LINE],
            currency_rates=[
                CurrencyRate(currency_code=code, rate=str(rate)) for code, rate in self._profile.rates.items()
            ],
        )
        team = Team(team_id=self.team_id, name=TEAM_NAME, settings=settings)
        request = segment.CreateTeamRequest(request_id=self._request_id("team"), team=team)
        stub = self._client.segment
        await call(stub.CreateTeam, request)

    async def _create_attribute(self) -> None:
        request = segment.CreateAttributeRequest(
            team_id=self.team_id,
            request_id=self._request_id("attribute"),
            attribute=Attribute(key=TIER, display_name="Tier", type=ATTRIBUTE_TYPE_TEXT),
        )
        stub = self._client.segment
        await call(stub.CreateAttribute, request)

    async def _set_formula(self) -> None:
        request = points.SetEarningFormulaRequest(
            team_id=self.team_id, request_id=self._request_id("formula"), amount="10", points="1"
        )
        stub = self._client.points
        await call(stub.SetEarningFormula, request)

    async def _create_whatsapp(self) -> str:
        connection = WhatsappConnection(
            phone_number_id=self._emulators.whatsapp_phone_number_id,
            waba_id=self._emulators.whatsapp_waba_id,
            access_token=self._emulators.token,
            app_secrets=[self._emulators.secret],
        )
        account = ChannelAccount(channel=CHANNEL_WHATSAPP, display_name="WhatsApp", whatsapp=connection)
        return await self._create_account(account)

    async def _create_line(self) -> str:
        connection = LineConnection(
            channel_id=FIRST_CHANNEL_ID,
            bot_user_id=bot_user_id(FIRST_CHANNEL_ID),
            access_token=self._emulators.token,
            channel_secrets=[self._emulators.secret],
        )
        account = ChannelAccount(channel=CHANNEL_LINE, display_name="LINE", line=connection)
        return await self._create_account(account)

    async def _create_account(self, account: ChannelAccount) -> str:
        account.rate_per_second = RATE_PER_SECOND
        request = gateway.CreateChannelAccountRequest(
            team_id=self.team_id,
            request_id=self._request_id("account", account.channel),
            account=account,
        )
        stub = self._client.channel_gateway
        answer = await call(stub.CreateChannelAccount, request)
        return answer.account.channel_account_id

    async def _fill_wallet_and_quota(self, line_account: str) -> None:
        stub = self._client.channel_gateway
        balance = Money(currency_code="HKD", amount_micros=WALLET_HKD * 1_000_000)
        wallet = gateway.AdjustWalletRequest(
            team_id=self.team_id, request_id=self._request_id("wallet"), amount=balance, note="prepaid"
        )
        await call(stub.AdjustWallet, wallet)
        quota = gateway.SetPlanQuotaRequest(
            team_id=self.team_id,
            request_id=self._request_id("quota"),
            account_id=line_account,
            message_limit=LINE_QUOTA,
        )
        await call(stub.SetPlanQuota, quota)

    async def _create_templates(self, account_id: str) -> dict[str, str]:
        stub = self._client.channel_gateway
        made: dict[str, str] = {}
        for name in TEMPLATES:
            template = MessageTemplate(
                account_id=account_id, name=name, language=LANGUAGE, category="MARKETING", parameter_count=3
            )
            request = gateway.CreateMessageTemplateRequest(
                team_id=self.team_id, request_id=self._request_id("template", name), template=template
            )
            answer = await call(stub.CreateMessageTemplate, request)
            made[name] = answer.template.message_template_id
        return made

    async def _create_bot_module(self) -> str:
        module = BotModule(name="Favourite is back", cards=[Card(text=TextCard(text=LINE_TEXT))])
        request = gateway.CreateBotModuleRequest(
            team_id=self.team_id, request_id=self._request_id("module"), module=module
        )
        stub = self._client.channel_gateway
        answer = await call(stub.CreateBotModule, request)
        return answer.module.bot_module_id

    async def _create_customers(self, members: Sequence[int], references: References) -> None:
        stub = self._client.segment
        for number, batch in enumerate(_batches(members)):
            request = segment.BatchCreateCustomersRequest(
                team_id=self.team_id,
                request_id=self._request_id("customers", number),
                customers=[self._customer(member, references) for member in batch],
            )
            answer = await call(stub.BatchCreateCustomers, request)
            refused = [result for result in answer.results if result.reason]
            if refused:
                raise DemoFault(f"{len(refused)} customers were refused, first: {refused[0].message}")

    def _customer(self, member: int, references: References) -> Customer:
        phone = phone_of(member)
        keys = [
            IdentityKey(
                channel=CHANNEL_WHATSAPP,
                account_id=references.whatsapp_account,
                external_id=phone.removeprefix("+"),
            )
        ]
        line_user = line_user_of(member)
        if line_user is not None:
            keys.append(
                IdentityKey(channel=CHANNEL_LINE, account_id=references.line_account, external_id=line_user)
            )
        return Customer(
            customer_id=customer_id_of(self._profile.shop_id, member),
            member_id=str(member),
            name=f"Customer {member}",
            phone=phone,
            identities=[Identity(key=key) for key in keys],
        )

    async def _create_shop(self) -> str:
        stub = self._client.channel_gateway
        shop = Shop(shop_id=self._profile.shop_id, display_name=self._profile.source, enabled=True)
        request = gateway.CreateShopRequest(
            team_id=self.team_id, request_id=self._request_id("shop"), shop=shop
        )
        await call(stub.CreateShop, request)
        key = gateway.CreateShopKeyRequest(
            team_id=self.team_id, request_id=self._request_id("key"), shop_id=self._profile.shop_id
        )
        answer = await call(stub.CreateShopKey, key)
        return answer.key.secret

    async def _publish_journeys(self, references: References) -> dict[str, str]:
        stub = self._client.journey
        made: dict[str, str] = {}
        for definition in self._journeys(self._profile, references):
            create = journey.CreateJourneyRequest(
                team_id=self.team_id,
                request_id=self._request_id("journey", definition.name),
                definition=definition,
            )
            draft = await call(stub.CreateJourney, create)
            publish = journey.PublishJourneyRequest(
                team_id=self.team_id,
                request_id=self._request_id("publish", definition.name),
                journey_id=draft.journey.journey_id,
            )
            await call(stub.PublishJourney, publish)
            made[definition.name] = draft.journey.journey_id
        return made


async def approve_templates(session: aiohttp.ClientSession, url: str) -> None:
    """Registers the templates with the WhatsApp emulator: approval happens outside the product."""
    for name, text in TEMPLATES.items():
        definition = {"name": name, "language": LANGUAGE, "components": [{"type": "BODY", "text": text}]}
        async with session.post(f"{url}/_emulator/templates", json=definition) as answer:
            if answer.status != 201:
                raise DemoFault(f"the WhatsApp emulator refused a template: {await answer.text()}")


def _batches(members: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(members), BATCH_MAX):
        yield members[start : start + BATCH_MAX]
