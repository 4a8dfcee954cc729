"""The gateway as a real service on a database of its own, with its neighbours replaced by small gRPC servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
import grpc
import pytest

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
from libs.common.mailbox.mail import Mail, decode_all
from libs.common.sealing import key_ring
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID
from libs.emulators.server import Running, running
from libs.testing.fixtures import SECRET_KEY, Database, Databases, Servers
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
from omnijourney.channel_gateway.v1 import (
    channel_gateway_service_pb2_grpc as pb_grpc,
)
from omnijourney.common.v1 import channel_pb2, installation_service_pb2, money_pb2
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    mail_service_pb2,
    profile_pb2,
    send_pb2,
    sends_service_pb2,
)
from omnijourney.points.v1 import account_pb2 as points_account_pb2
from omnijourney.points.v1 import coupon_pb2, points_service_pb2, points_service_pb2_grpc
from omnijourney.segment.v1 import (
    customer_pb2,
    event_pb2,
    segment_service_pb2,
    segment_service_pb2_grpc,
    team_pb2,
)
from services.channel_gateway.app import GatewayApp, app
from services.channel_gateway.config import Settings
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.worker import recovery

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub

TIMEOUT_S = 30.0
VAULT = Vault(key_ring(SECRET_KEY))
"""As the gateway's own."""
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LINE, WHATSAPP = channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP
MESSENGER, INSTAGRAM = channel_pb2.CHANNEL_MESSENGER, channel_pb2.CHANNEL_INSTAGRAM
PAGE_ID, INSTAGRAM_ID = "300000000000001", "400000000000001"


class SegmentStandIn(
    segment_service_pb2_grpc.SegmentServiceServicer, customers_service_pb2_grpc.CustomersServiceServicer
):
    """Profiles as given; events are kept, and refused, or the call failed, when a test says so."""

    def __init__(self) -> None:
        self.profiles: dict[str, profile_pb2.Profile] = {}
        self.asked_customers = 0
        self.people: dict[str, str] = {}
        """Customers of who writes, by their ids on the channel."""
        self.points_channels = [WHATSAPP]
        self.modules: list[team_pb2.Module.ValueType] | None = None
        """None: the team is not known."""
        self.country_code = "TW"
        self.consent_words = team_pb2.ConsentWords()
        self.settings_away = False
        self.settings_refused = 0
        """Calls for them while they were away."""
        self.whole_keys: set[str] = set()
        self.batches: list[list[event_pb2.CustomerEvent]] = []
        self.away = False
        self.refuse_keys: set[str] = set()
        self.fail_keys: dict[str, grpc.StatusCode] = {}
        """Calls with one of these events fail with the code."""
        self.hold_keys: dict[str, asyncio.Event] = {}
        """Calls with one of these events wait for the event."""
        self.bytes_max = 0
        """Larger calls are refused; 0: none."""

    @property
    def events(self) -> list[event_pb2.CustomerEvent]:
        return [event for batch in self.batches for event in batch]

    async def BatchGetProfiles(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.BatchGetProfilesRequest, context: Any
    ) -> customers_service_pb2.BatchGetProfilesResponse:
        nobody = profile_pb2.Profile()
        self.asked_customers += len(request.items)
        return customers_service_pb2.BatchGetProfilesResponse(
            profiles=[self.profiles.get(item.customer_id, nobody) for item in request.items]
        )

    async def BatchGetTeamSettings(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.BatchGetTeamSettingsRequest, context: Any
    ) -> customers_service_pb2.BatchGetTeamSettingsResponse:
        if self.settings_away:
            self.settings_refused += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        channels = self.points_channels
        settings = [
            team_pb2.TeamSettings(
                team_id=each,
                points_channels=channels,
                time_zone="" if self.modules is None else "UTC",
                modules=self.modules,
                country_code=self.country_code,
                consent_words=self.consent_words,
            )
            for each in request.team_ids
        ]
        return customers_service_pb2.BatchGetTeamSettingsResponse(settings=settings)

    async def ListRetentions(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.ListRetentionsRequest, context: Any
    ) -> customers_service_pb2.ListRetentionsResponse:
        return customers_service_pb2.ListRetentionsResponse()

    async def RecordEvents(  # noqa: N802 - the generated base names it
        self, request: segment_service_pb2.RecordEventsRequest, context: Any
    ) -> segment_service_pb2.RecordEventsResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.whole_keys |= {event.event_key for event in request.events}
        for event in request.events:
            event.event_key = event.event_key.rpartition(":")[0]  # without the digest, as the shop named it
        if self.bytes_max and request.ByteSize() > self.bytes_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")
        for event in request.events:
            if event.event_key in self.fail_keys:
                await context.abort(self.fail_keys[event.event_key], "spoilt")
            if event.event_key in self.hold_keys:
                await self.hold_keys[event.event_key].wait()
        self.batches.append(list(request.events))
        response = segment_service_pb2.RecordEventsResponse()
        for event in request.events:
            refused = event.event_key in self.refuse_keys
            response.results.add(
                customer_id=self.people.get(event.message_received.identity.external_id, ""),
                status=event_pb2.EVENT_STATUS_REFUSED if refused else event_pb2.EVENT_STATUS_ACCEPTED,
                message="no such thing" if refused else "",
            )
        return response


class PointsStandIn(points_service_pb2_grpc.PointsServiceServicer):
    """Balances and coupons as given, and how often balances were asked for."""

    def __init__(self) -> None:
        self.coupons: set[tuple[str, str]] = set()
        """By team and id."""
        self.away = False
        self.balances: dict[str, tuple[int, int]] = {}
        self.calls = 0
        self.claims: list[points_service_pb2.ClaimCouponRequest] = []
        self.codes: dict[str, str] = {}
        """By what offered the coupon; other claims get the text for too few points."""

    async def BatchGetBalances(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.BatchGetBalancesRequest, context: Any
    ) -> points_service_pb2.BatchGetBalancesResponse:
        self.calls += 1
        response = points_service_pb2.BatchGetBalancesResponse()
        for item in request.items:
            balance, cumulative = self.balances.get(item.customer_id, (0, 0))
            response.balances.append(points_account_pb2.Balance(balance=balance, cumulative=cumulative))
        return response

    async def ClaimCoupon(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.ClaimCouponRequest, context: Any
    ) -> points_service_pb2.ClaimCouponResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.claims.append(request)
        if request.offer_id in self.codes:
            claim = coupon_pb2.CouponClaim(code=self.codes[request.offer_id])
            return points_service_pb2.ClaimCouponResponse(claim=claim)
        return points_service_pb2.ClaimCouponResponse(insufficient_text="You have 20 points.")

    async def GetCoupon(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.GetCouponRequest, context: Any
    ) -> points_service_pb2.GetCouponResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if (request.team_id, request.coupon_id) not in self.coupons:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such coupon")
        return points_service_pb2.GetCouponResponse()


@dataclass
class Neighbours:
    """Segment and points as stand-ins, at one address."""

    target: str
    segment: SegmentStandIn
    points: PointsStandIn


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


@pytest.fixture
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends that nobody works on are looked for soon, not every two seconds."""
    monkeypatch.setattr(recovery, "INTERVAL_S", 0.5)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the gateway's schema."""
    async with databases.fresh({"channel_gateway": "services.channel_gateway"}) as made:
        yield made


@pytest.fixture
async def neighbours() -> AsyncIterator[Neighbours]:
    """Segment and points."""
    server = grpc.aio.server()
    segment, points = SegmentStandIn(), PointsStandIn()  # type: ignore[abstract]  # only what is asked
    segment_service_pb2_grpc.add_SegmentServiceServicer_to_server(segment, server)
    customers_service_pb2_grpc.add_CustomersServiceServicer_to_server(segment, server)
    points_service_pb2_grpc.add_PointsServiceServicer_to_server(points, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Neighbours(f"127.0.0.1:{port}", segment, points)
    finally:
        await server.stop(None)


@pytest.fixture
async def emulators(tmp_path: Path) -> AsyncIterator[Running]:
    """All channels."""
    settings = EmulatorSettings(
        whatsapp_port=0,
        line_port=0,
        messenger_port=0,
        instagram_port=0,
        data_dir=tmp_path / "emulators",
        whatsapp_rate=100_000,
        line_rate=100_000,
        pages_rate=100_000,
    )
    async with running(settings, clock=EmulatorClock(lambda: START)) as started:
        yield started


@dataclass
class GatewayMaker:
    """Starts gateways on one database: to start one again after its end, or two at once."""

    servers: Servers
    database: Database
    neighbours: Neighbours
    emulators: Running

    @asynccontextmanager
    async def start(self, clock: SteppedClock | None = None, **changes: Any) -> AsyncIterator[Gateway]:
        """A gateway, serving."""
        clock = clock or SteppedClock(START)
        values: dict[str, Any] = {
            "http_port": 0,
            "segment_target": self.neighbours.target,
            "points_target": self.neighbours.target,
            "whatsapp_url": self.emulators.urls["whatsapp"],
            "line_url": self.emulators.urls["line"],
            "messenger_url": self.emulators.urls["messenger"],
            "instagram_url": self.emulators.urls["instagram"],
        }
        settings = self.servers.settings(Settings, self.database, **{**values, **changes})
        async with (
            app(settings, clock=clock) as serving,
            self.servers.channel(serving.port) as channel,
            # A connection that is kept may be evicted in the moment in which it is used again.
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        ):
            yield Gateway(
                serving,
                pb_grpc.ChannelGatewayServiceStub(channel),
                InstallationServiceStub(channel),
                Internal(channel),
                clock,
                self.neighbours,
                self.emulators,
                self.database,
                http,
            )


@pytest.fixture
def maker(
    servers: Servers, database: Database, neighbours: Neighbours, emulators: Running, redis: object
) -> GatewayMaker:
    """Starts gateways."""
    return GatewayMaker(servers, database, neighbours, emulators)


@pytest.fixture
async def gateway(maker: GatewayMaker) -> AsyncIterator[Gateway]:
    """A gateway, serving."""
    async with maker.start() as started:
        yield started
