"""A running gateway as tests use it: a team of its own, and short ways to what they do most."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.feeds.gateway_records import (
    SEND_BYTES,
    ClickFact,
    GoneFact,
    ReceiptFact,
    ResolvedFact,
    read_record,
)
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import PARTITIONS, new_id, partition_of
from libs.common.mailbox.mail import Mail, SendOutcome, decode_all
from libs.common.sealing import key_ring
from libs.emulators.line import FIRST_CHANNEL_ID
from libs.emulators.server import Running
from libs.testing.fixtures import SECRET_KEY, Database
from omnijourney.channel_gateway.v1 import (
    account_pb2,
    content_pb2,
    delivery_pb2,
    quota_pb2,
    webhook_pb2,
)
from omnijourney.channel_gateway.v1 import (
    channel_gateway_service_pb2 as pb,
)
from omnijourney.common.v1 import channel_pb2, installation_service_pb2, money_pb2
from omnijourney.internal.v1 import (
    mail_service_pb2,
    profile_pb2,
    send_pb2,
    sends_service_pb2,
)
from omnijourney.segment.v1 import (
    customer_pb2,
)
from services.channel_gateway.app import GatewayApp
from services.channel_gateway.store.vault import Vault
from tests.integration.channel_gateway.stand_ins import Neighbours

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub

TIMEOUT_S = 30.0
VAULT = Vault(key_ring(SECRET_KEY))
"""As the gateway's own."""
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LINE, WHATSAPP = channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP
MESSENGER, INSTAGRAM = channel_pb2.CHANNEL_MESSENGER, channel_pb2.CHANNEL_INSTAGRAM
PAGE_ID, INSTAGRAM_ID = "300000000000001", "400000000000001"


@dataclass
class Gateway:
    """A running gateway, a team of its own, and short ways to what tests do most."""

    app: GatewayApp
    stub: ChannelGatewayServiceAsyncStub
    operations: Any
    internal: Internal
    clock: SteppedClock
    neighbours: Neighbours
    emulators: Running
    database: Database
    http: aiohttp.ClientSession
    team_id: UUID = field(default_factory=new_id)
    journey_id: UUID = field(default_factory=new_id)
    numbers: Counter[UUID] = field(default_factory=Counter)
    pages: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    """Numbers on WhatsApp that teams have."""

    async def account(self, channel: int, *, sink: bool = False, number: str = "", **changes: Any) -> str:
        """An account on the emulator, or a sink; with a `number`, or a page, of its own unless one is named."""
        account = account_pb2.ChannelAccount(
            channel=channel_pb2.Channel.ValueType(channel),
            display_name="Shop",
            **{"rate_per_second": 10_000, **changes},
        )
        if sink:
            account.sink.SetInParent()
        elif channel == LINE:
            account.line.channel_id = str(new_id().int)[-10:]
            account.line.access_token = "emulator-token"
        elif channel == MESSENGER:
            account.messenger.page_id = number or await self._page("messenger", PAGE_ID)
            account.messenger.access_token = "emulator-token"
            account.messenger.app_secrets.append("emulator-secret")
        elif channel == INSTAGRAM:
            account.instagram.instagram_id = number or await self._page("instagram", INSTAGRAM_ID)
            account.instagram.access_token = "emulator-token"
            account.instagram.app_secrets.append("emulator-secret")
        else:
            account.whatsapp.phone_number_id = number or await self._number()
            account.whatsapp.waba_id = "200000000000001"
            account.whatsapp.access_token = "emulator-token"
        request = pb.CreateChannelAccountRequest(
            team_id=str(self.team_id), request_id=str(new_id()), account=account
        )
        return (await self.stub.CreateChannelAccount(request, timeout=TIMEOUT_S)).account.channel_account_id

    async def _number(self) -> str:
        """A number that the team has no account of, known to the emulator."""
        self.numbers[self.team_id] += 1
        number = str(100_000_000_000_000 + self.numbers[self.team_id])
        if self.numbers[self.team_id] > 1:
            sender = {"phone_number_id": number, "waba_id": "200000000000001", "token": "emulator-token"}
            url = self.emulators.urls["whatsapp"] + "/_emulator/accounts"
            async with self.http.post(url, json=sender) as answer:
                assert answer.status == 201, await answer.text()
        return number

    async def _page(self, emulator: str, first: str) -> str:
        """An id that the team has no account of, known to the emulator: the `first` one, then ids of its own."""
        self.pages[self.team_id, emulator] += 1
        page = str(int(first) + self.pages[self.team_id, emulator] - 1)
        if page != first:
            sender = {"account_id": page, "token": "emulator-token", "app_secret": "emulator-secret"}
            url = self.emulators.urls[emulator] + "/_emulator/accounts"
            async with self.http.post(url, json=sender) as answer:
                assert answer.status == 201, await answer.text()
        return page

    async def module(self, *texts: str) -> str:
        """A bot module of text cards."""
        module = content_pb2.BotModule(name="Hello")
        for text in texts or ("Hello {{customer.name|friend}}",):
            module.cards.add().text.text = text
        request = pb.CreateBotModuleRequest(
            team_id=str(self.team_id), request_id=str(new_id()), module=module
        )
        return (await self.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module.bot_module_id

    def coupon(self, team_id: UUID | None = None) -> str:
        """A coupon of the team, or of another one."""
        coupon_id = str(new_id())
        self.neighbours.points.coupons.add((str(team_id or self.team_id), coupon_id))
        return coupon_id

    async def template(
        self, account_id: str, name: str = "hello", parameters: int = 2, more: Sequence[dict[str, Any]] = ()
    ) -> str:
        """A template here and at the emulator, where it has `more` components than its body."""
        body = "Dear " + ", ".join(f"{{{{{number + 1}}}}}" for number in range(parameters)) + "."
        definition = {
            "name": name,
            "language": "en",
            "category": "MARKETING",
            "components": [
                {"type": "BODY", "text": body, "example": {"body_text": [["a"] * parameters]}},
                *more,
            ],
        }
        url = self.emulators.urls["whatsapp"] + "/v25.0/200000000000001/message_templates"
        headers = {"Authorization": "Bearer emulator-token"}
        async with self.http.post(url, json=definition, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        status = {"waba_id": "200000000000001", "name": name, "language": "en", "status": "APPROVED"}
        async with self.http.patch(
            self.emulators.urls["whatsapp"] + "/_emulator/templates", json=status
        ) as answer:
            assert answer.status == 200, await answer.text()
        template = content_pb2.MessageTemplate(
            account_id=account_id, name=name, language="en", parameter_count=parameters
        )
        request = pb.CreateMessageTemplateRequest(
            team_id=str(self.team_id), request_id=str(new_id()), template=template
        )
        return (
            await self.stub.CreateMessageTemplate(request, timeout=TIMEOUT_S)
        ).template.message_template_id

    async def top_up(self, micros: int, currency: str = "HKD") -> quota_pb2.Wallet:
        """Adds to the prepaid balance."""
        request = pb.AdjustWalletRequest(
            team_id=str(self.team_id),
            request_id=str(new_id()),
            amount=money_pb2.Money(currency_code=currency, amount_micros=micros),
        )
        return (await self.stub.AdjustWallet(request, timeout=TIMEOUT_S)).wallet

    async def balance(self) -> int:
        """The prepaid balance in micros."""
        request = pb.GetWalletRequest(team_id=str(self.team_id))
        return (await self.stub.GetWallet(request, timeout=TIMEOUT_S)).wallet.balance.amount_micros

    def customer(self, account_id: str, channel: int, *, name: str = "Mei", blocked: bool = False) -> str:
        """A customer that is bound to an account."""
        customer_id = new_id()
        profile = profile_pb2.Profile(found=True, customer_id=str(customer_id), name=name)
        digits = str(customer_id.int)[-10:]
        external_id = "U" + customer_id.hex if channel == LINE else "44" + digits
        key = customer_pb2.IdentityKey(
            channel=channel,  # type: ignore[arg-type]  # numbers of the enum
            account_id=account_id,
            external_id=external_id,
        )
        profile.identities.add(key=key, blocked=blocked)
        self.neighbours.segment.profiles[str(customer_id)] = profile
        return str(customer_id)

    def send(self, customer_id: str, channel: int, **changes: Any) -> send_pb2.Send:
        """A send of one customer."""
        values: dict[str, Any] = {
            "effect_key": str(new_id()),
            "team_id": str(self.team_id),
            "customer_id": customer_id,
            "enrolment_id": str(new_id()),
            "journey_id": str(self.journey_id),
            "node_id": "hello",
            "channel": channel,
        }
        return send_pb2.Send(**{**values, **changes})

    async def ask(self, *sends: send_pb2.Send) -> list[send_pb2.SendResult]:
        """Asks for sends."""
        request = sends_service_pb2.SendMessagesRequest(sends=sends)
        return list((await self.internal.sends.SendMessages(request, timeout=TIMEOUT_S)).results)

    async def stop(self, epoch: int) -> sends_service_pb2.StopSendsResponse:
        """Stops the journey."""
        request = sends_service_pb2.StopSendsRequest(
            team_id=str(self.team_id), journey_id=str(self.journey_id), epoch=epoch
        )
        return await self.internal.sends.StopSends(request, timeout=TIMEOUT_S)

    async def recall(self, epoch: int) -> int:
        """Has the journey's sends asked for anew; how many were put off."""
        request = sends_service_pb2.RecallSendsRequest(
            team_id=str(self.team_id), journey_id=str(self.journey_id), epoch=epoch
        )
        return (await self.internal.sends.RecallSends(request, timeout=TIMEOUT_S)).recalled

    async def settled(self, timeout_s: float = 20.0) -> None:
        """Waits until nothing is pending."""
        until = asyncio.get_running_loop().time() + timeout_s
        while True:
            lag = await self.operations.GetLag(installation_service_pb2.GetLagRequest(), timeout=TIMEOUT_S)
            if not lag.pending:
                return
            assert asyncio.get_running_loop().time() < until, f"{lag.pending} still pending"
            await asyncio.sleep(0.02)

    async def mail(self, customer_id: str) -> list[Mail]:
        """The customer's mail."""
        cursor = mail_service_pb2.CustomerMailCursor(team_id=str(self.team_id), customer_id=customer_id)
        request = mail_service_pb2.ListMailRequest(customer=cursor)
        return decode_all(list((await self.internal.mail.ListMail(request, timeout=TIMEOUT_S)).mails))

    async def facts(self) -> list[GatewayRow]:
        """The whole history."""
        history = PackedHistory("channel_gateway", self.internal.channel, GatewayRow)
        rows = (await history.read(dict.fromkeys(range(PARTITIONS), 0), 0, 5_000)).rows
        return [fact for row in rows for fact in (facts_of(row) if row.body else [row])]

    async def delivery(self, effect_key: str) -> delivery_pb2.Delivery:
        """One delivery."""
        request = pb.GetDeliveryRequest(team_id=str(self.team_id), effect_key=effect_key)
        return (await self.stub.GetDelivery(request, timeout=TIMEOUT_S)).delivery

    async def accepted(self, channel: str) -> list[dict[str, Any]]:
        """What the emulator accepted, from its own log."""
        async with self.http.get(self.emulators.urls[channel] + "/_emulator/log") as answer:
            assert answer.status == 200
            body = await answer.json()
        return list(body["records"])

    async def fault(self, channel: str, **fault: Any) -> None:
        """Switches a fault of the emulator on."""
        async with self.http.post(self.emulators.urls[channel] + "/_emulator/faults", json=fault) as answer:
            assert answer.status == 201, await answer.text()

    async def line_quota(self, messages: int) -> None:
        """Gives the emulated LINE account a plan."""
        plan = {"channel_id": FIRST_CHANNEL_ID, "token": "emulator-token", "quota": messages}
        async with self.http.post(self.emulators.urls["line"] + "/_emulator/accounts", json=plan) as answer:
            assert answer.status == 201, await answer.text()

    async def shop(self, shop_id: str = "demo") -> str:
        """A shop; its signing key."""
        shop = webhook_pb2.Shop(shop_id=shop_id, display_name="Shop")
        request = pb.CreateShopRequest(team_id=str(self.team_id), request_id=str(new_id()), shop=shop)
        await self.stub.CreateShop(request, timeout=TIMEOUT_S)
        key_request = pb.CreateShopKeyRequest(
            team_id=str(self.team_id), request_id=str(new_id()), shop_id=shop_id
        )
        return (await self.stub.CreateShopKey(key_request, timeout=TIMEOUT_S)).key.secret

    def partition(self, customer_id: str) -> int:
        """The customer's partition."""
        return partition_of(self.team_id, UUID(customer_id))


def facts_of(row: GatewayRow) -> list[GatewayRow]:
    """The facts of a record, one row each, as the release before told them."""
    record = read_record(row.body)
    place = (row.partition, row.position, row.team)
    facts: list[GatewayRow] = []
    for fact in record.facts:
        if isinstance(fact, GoneFact):
            gone = GatewayRow(*place, 4, record.at, fact.content_id, outcome=fact.kind, reason=fact.reason)
            facts.append(gone)
            continue
        if isinstance(fact, ClickFact):
            for start in range(0, len(fact.sends), SEND_BYTES):
                opened = GatewayRow(*place, 3, record.at, fact.sends[start : start + 16], fact.journey_id)
                opened.node, opened.channel = fact.node_id, fact.channel
                facts.append(opened)
            continue
        if isinstance(fact, ReceiptFact):
            for start in range(0, len(fact.sends), SEND_BYTES):
                told = GatewayRow(*place, 2, record.at, fact.sends[start : start + 16], fact.journey_id)
                told.node, told.channel, told.outcome = fact.node_id, fact.channel, fact.kind
                told.reason = fact.reason
                facts.append(told)
            continue
        if isinstance(fact, ResolvedFact):
            for start in range(0, len(fact.sends), SEND_BYTES):
                anew = GatewayRow(*place, 6, record.at, fact.sends[start : start + 16], fact.journey_id)
                anew.node, anew.channel, anew.outcome = fact.node_id, fact.channel, fact.outcome
                anew.messages = fact.messages
                facts.append(anew)
            continue
        for start in range(0, len(fact.sends), SEND_BYTES):
            sent = GatewayRow(*place, 1, record.at, fact.sends[start : start + 16], fact.journey_id)
            sent.node, sent.channel, sent.outcome, sent.reason = (
                fact.node_id,
                fact.channel,
                fact.outcome,
                fact.reason,
            )
            sent.messages, sent.micros, sent.currency = fact.messages, fact.micros, fact.currency
            facts.append(sent)
    return facts


async def outcome(gateway: Gateway, customer: str) -> SendOutcome:
    """The only outcome in a customer's mail."""
    (mail,) = await gateway.mail(customer)
    assert isinstance(mail.body, SendOutcome)
    return mail.body


async def usage(gateway: Gateway) -> int:
    """Messages taken under the journey's cap."""
    request = pb.GetJourneyUsageRequest(team_id=str(gateway.team_id), journey_id=str(gateway.journey_id))
    reply = await gateway.stub.GetJourneyUsage(request, timeout=TIMEOUT_S)
    return sum(item.used for item in reply.usages)
