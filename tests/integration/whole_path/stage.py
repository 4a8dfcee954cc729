"""A team with accounts on the emulators: what is published and triggered here leaves over HTTP; their logs tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import aiohttp
from standardwebhooks import Webhook

from libs.common.feeds.journey_records import FEED_START, RefusalFact, RunSegmentFact, read_record
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.records import SHARDS
from libs.common.feeds.rows import RecordRow
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from libs.emulators.server import Running
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2, webhook_pb2
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.journey.v1 import enrolment_pb2, journey_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1.enrolment_pb2 import StepResult
from omnijourney.segment.v1 import customer_pb2, event_pb2
from services.channel_gateway.domain.pixel import OrderToken, signed_token
from services.channel_gateway.domain.signing import decode_secret
from tests.integration.journey.whole_site import ALL, LINE, WHATSAPP, Site, target, text

FactT = TypeVar("FactT", RunSegmentFact, RefusalFact)
WAIT_S: Final = 60.0
"""Nothing is that slow: it is how long a busy machine is waited for."""
NAMES: Final[Mapping[int, str]] = {LINE: "line", WHATSAPP: "whatsapp"}
SYSTEM: Final = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
STATUS: Final = journey_pb2.JourneyStatus
PLENTY: Final = 10**9


@dataclass
class Stage:
    """One team's."""

    site: Site
    emulators: Running
    http: aiohttp.ClientSession
    token: str = "emulator-token"
    accounts: dict[int, str] = field(default_factory=dict)
    secret: str = ""
    """With which the team's shop signs; empty until it does."""
    pixel: str = ""
    """Key of its pages; empty until they tell something."""

    async def call(self, name: str, /, **fields: Any) -> Any:
        """See `Site.call`."""
        return await self.site.call(name, **fields)

    async def furnish(self) -> None:
        """A team with all modules, money, and an account each on LINE and WhatsApp, at noon of its zone."""
        await self.site.team(ALL, [LINE, WHATSAPP])
        self.secret = self.pixel = ""
        self.accounts = {channel: await self.account(channel) for channel in (LINE, WHATSAPP)}
        await self.top_up(PLENTY)

    async def at_hour(self, hour: int) -> datetime:
        """Moves the clock on to a full hour of the team's zone, UTC+8; domain time then."""
        now = await self.site.now()
        wanted = now.replace(hour=(hour - 8) % 24, minute=0, second=0, microsecond=0)
        await self.site.advance(
            seconds=((wanted if wanted > now else wanted + timedelta(days=1)) - now).total_seconds()
        )
        return await self.site.now()

    async def period(
        self, start: int, end: int, expiry: int = journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER
    ) -> journey_pb2.Schedule:
        """An active time from `start` to `end` hours from now."""
        now = await self.site.now()
        return journey_pb2.Schedule(
            start_time=timestamp(now + timedelta(hours=start)),
            end_time=timestamp(now + timedelta(hours=end)),
            expiry_action=journey_pb2.ExpiryAction.ValueType(expiry),
        )

    async def account(self, channel: int, **changes: Any) -> str:
        """An account on the emulator; its token may be another one, of another account there."""
        token = changes.pop("access_token", self.token)
        account = account_pb2.ChannelAccount(
            channel=channel_pb2.Channel.ValueType(channel),
            display_name="Shop",
            **{"rate_per_second": 10_000, **changes},
        )
        if channel == LINE:
            account.line.channel_id = str(new_id().int)[-10:] if token == self.token else "2"
            account.line.access_token = token
        else:
            account.whatsapp.phone_number_id = "100000000000001"
            account.whatsapp.waba_id = "200000000000001"
            account.whatsapp.access_token = token
        made = await self.call("CreateChannelAccount", account=account)
        self.accounts[channel] = str(made.account.channel_account_id)
        return self.accounts[channel]

    async def top_up(self, micros: int) -> None:
        """Prepaid money of the team."""
        amount = money_pb2.Money(currency_code="HKD", amount_micros=micros)
        await self.call("AdjustWallet", amount=amount)

    async def module(self, *texts: str, name: str = "M") -> str:
        """A bot module of texts."""
        module = content_pb2.BotModule(name=name, cards=[text(each) for each in texts or ("Hi",)])
        return str((await self.call("CreateBotModule", module=module)).module.bot_module_id)

    async def say_otherwise(self, module_id: str, *texts: str) -> None:
        """Changes what a bot module says."""
        module = content_pb2.BotModule(bot_module_id=module_id, cards=[text(each) for each in texts])
        await self.call("UpdateBotModule", module=module, update_mask={"paths": ["cards"]})

    async def template(self, name: str, parameters: int = 1) -> str:
        """A template here and, approved, at the emulator."""
        name = f"{name}_{new_id().hex}"
        body = "Dear " + ", ".join(f"{{{{{number + 1}}}}}" for number in range(parameters)) + "."
        component = {"type": "BODY", "text": body, "example": {"body_text": [["a"] * parameters]}}
        definition = {"name": name, "language": "en", "category": "MARKETING", "components": [component]}
        registered = {"waba_id": "200000000000001", **definition, "status": "APPROVED"}
        await self.emulator("post", WHATSAPP, "templates", registered)
        template = content_pb2.MessageTemplate(
            account_id=self.accounts[WHATSAPP], name=name, language="en", parameter_count=parameters
        )
        made = await self.call("CreateMessageTemplate", template=template)
        return str(made.template.message_template_id)

    async def emulator(self, method: str, channel: int, path: str, body: Any) -> None:
        """Uses a switch of an emulator."""
        url = f"{self.emulators.urls[NAMES[channel]]}/_emulator/{path}"
        async with self.http.request(method, url, json=body) as answer:
            assert answer.status < 300, await answer.text()

    # ---- journeys and customers ----

    def targets(self, *channels: int, **caps: int) -> list[journey_pb2.Target]:
        """Targets on the team's accounts; `caps` by the channel's name."""
        wanted = [target(channel, self.accounts[channel]) for channel in channels or (LINE,)]
        for each in wanted:
            if (cap := caps.get(NAMES[each.channel])) is not None:
                each.message_cap = cap
        return wanted

    async def draft(self, *nodes: node_pb2.Node, **definition: Any) -> str:
        """A draft of these nodes, a LINE journey that the API starts unless said otherwise."""
        given = {"name": "J", "trigger": SYSTEM, "targets": self.targets(), **definition}
        made = await self.call("CreateJourney", definition=journey_pb2.Definition(nodes=nodes, **given))
        return str(made.journey.journey_id)

    async def live(self, *nodes: node_pb2.Node, **definition: Any) -> str:
        """The same, published."""
        journey_id = await self.draft(*nodes, **definition)
        await self.call("PublishJourney", journey_id=journey_id)
        return journey_id

    async def edit(self, journey_id: str, **definition: Any) -> Any:
        """Edits these fields; the journey after it."""
        edited = await self.call(
            "UpdateJourney",
            journey_id=journey_id,
            definition=journey_pb2.Definition(**definition),
            update_mask={"paths": sorted(definition)},
        )
        return edited.journey

    async def seen(self, journey_id: str, **asked: Any) -> journey_pb2.Journey:
        """A journey as it is."""
        found: journey_pb2.Journey = (await self.call("GetJourney", journey_id=journey_id, **asked)).journey
        return found

    async def until_status(self, journey_id: str, status: int) -> journey_pb2.Journey:
        """Waits until a journey is that; returns it."""
        await until(lambda: self._has_status(journey_id, status))
        return await self.seen(journey_id)

    async def _has_status(self, journey_id: str, status: int) -> bool:
        return (await self.seen(journey_id)).status == status

    async def customer(self, *channels: int, **fields: Any) -> str:
        """Somebody who is bound on these channels, LINE alone unless said otherwise, with a phone."""
        number = new_id().int % 10**8
        keys = [
            customer_pb2.IdentityKey(
                channel=channel_pb2.Channel.ValueType(channel),
                account_id=self.accounts[channel],
                external_id=f"U{new_id().hex}" if channel == LINE else f"8869{number:08}",
            )
            for channel in channels or (LINE,)
        ]
        person = customer_pb2.Customer(
            phone=f"+8869{number:08}", identities=[customer_pb2.Identity(key=key) for key in keys], **fields
        )
        return str((await self.call("CreateCustomer", customer=person)).customer.customer_id)

    async def customers(self, count: int, *channels: int) -> list[str]:
        """Several."""
        return [await self.customer(*channels) for _ in range(count)]

    async def trigger(self, journey_id: str, *customers: str) -> list[pb.SystemTriggerResult]:
        """Has the API start a journey."""
        items = [
            pb.SystemTriggerItem(journey_id=journey_id, customer_id=each, request_id=str(new_id()))
            for each in customers
        ]
        return list((await self.call("TriggerJourneys", items=items)).results)

    async def order(self, customer_id: str, amount: int = 500, **changes: Any) -> None:
        """A signed order of now, in TWD."""
        now = await self.site.now()
        order = event_pb2.OrderCompleted(
            shop_id="shop",
            order_id=str(new_id()),
            amount=money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000),
            items=[event_pb2.OrderItem(name="Oolong tea")],
            signed=True,
        )
        event = event_pb2.CustomerEvent(
            team_id=self.site.team_id,
            event_key=str(new_id()),
            occur_time=timestamp(now),
            customer=customer_pb2.CustomerSelector(customer_id=customer_id),
            order_completed=order,
            **changes,
        )
        (result,) = (await self.call("RecordEvents", events=[event])).results
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED, result

    async def order_by_webhook(
        self, member_id: str, *, customer: Mapping[str, str] | None = None, **order: Any
    ) -> None:
        """An order of now, as a shop of the team tells it by HTTP; of `customer` rather than of a member."""
        if not self.secret:
            shop = webhook_pb2.Shop(shop_id="web", display_name="Shop")
            await self.call("CreateShop", shop=shop)
            self.secret = (await self.call("CreateShopKey", shop_id="web")).key.secret
        now, event_id = await self.site.now(), str(new_id())
        event = {
            "event": "order.completed",
            "event_id": event_id,
            "occurred_at": now.isoformat(),
            "customer": customer or {"member_id": member_id},
            "order": {"id": event_id, "currency": "TWD", "total": "500", **order},
        }
        body = json.dumps(event)
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(event_id, now, body),
        }
        url = f"http://127.0.0.1:{self.site.http_port}/v1/teams/{self.site.team_id}/shops/web/events"
        async with self.http.post(url, data=body.encode(), headers=headers) as answer:
            assert answer.status == 202, await answer.text()

    async def order_by_page(self, member_id: str, **order: Any) -> None:
        """An order of now, as a page of that shop tells it by HTTP, with its back end's word for it."""
        if not self.pixel:
            origins = ["https://shop.example"]
            self.pixel = (
                await self.call("CreatePixelKey", shop_id="web", origins=origins)
            ).pixel_key.pixel_key_id
        event_id, now = str(new_id()), await self.site.now()
        vouched = OrderToken("web", event_id, "TWD", "500", int(now.timestamp()) + 600, member_id)
        event = {
            "event": "order.completed",
            "event_id": event_id,
            "occurred_at": now.isoformat(),
            "order": {"id": event_id, "currency": "TWD", "total": "500", **order},
            "order_token": signed_token(decode_secret(self.secret), vouched),
        }
        url = (
            f"http://127.0.0.1:{self.site.http_port}/v1/teams/{self.site.team_id}/pixels/{self.pixel}/events"
        )
        async with self.http.post(url, json=event, headers={"Origin": "https://shop.example"}) as answer:
            assert answer.status == 202, await answer.text()

    # ---- what came of it ----

    async def accepted(self, channel: int, *customers: str) -> list[dict[str, Any]]:
        """What an emulator accepted for these customers, in order."""
        recipients = {
            identity.key.external_id
            for customer_id in customers
            for identity in (await self.person(customer_id)).identities
        }
        url = f"{self.emulators.urls[NAMES[channel]]}/_emulator/log"
        async with self.http.get(url) as answer:
            records = (await answer.json())["records"]
        return [record for record in records if record["recipient"] in recipients]

    async def texts(self, *customers: str) -> list[str]:
        """Texts that came to LINE for these customers."""
        records = await self.accepted(LINE, *customers)
        return [message["text"] for record in records for message in record["body"]["messages"]]

    async def until_texts(self, count: int, *customers: str) -> list[str]:
        """Waits for so many."""

        async def are_there() -> bool:
            return len(await self.texts(*customers)) >= count

        await until(are_there)
        return await self.texts(*customers)

    async def person(self, customer_id: str) -> customer_pb2.Customer:
        """A customer as they are."""
        found: customer_pb2.Customer = (await self.call("GetCustomer", customer_id=customer_id)).customer
        return found

    async def balance(self, customer_id: str) -> tuple[int, int]:
        """Balance and cumulative figure."""
        figures = (await self.call("GetBalance", customer_id=customer_id)).balance
        return figures.balance, figures.cumulative

    async def enrolments(self, journey_id: str) -> list[enrolment_pb2.Enrolment]:
        """All of a journey."""
        return list((await self.call("ListEnrolments", journey_id=journey_id, page_size=500)).enrolments)

    async def inside(self, journey_id: str, reason: int) -> list[enrolment_pb2.Enrolment]:
        """Those who wait for that."""
        return [each for each in await self.enrolments(journey_id) if each.wait_reason == reason]

    async def until_waiting(self, journey_id: str, reason: int, count: int = 1) -> None:
        """Waits until so many wait for that."""

        async def do_wait() -> bool:
            return len(await self.inside(journey_id, reason)) == count

        await until(do_wait)

    async def until_done(self, journey_id: str, count: int = 1) -> None:
        """Waits until so many have come to the end."""

        async def are_done() -> bool:
            return int((await self.call("CountEnrolments", journey_id=journey_id)).completed_count) == count

        await until(are_done)

    async def facts(self, journey_id: str, kind: type[FactT]) -> list[FactT]:
        """What journey's history tells of a journey, in order for each customer."""
        history = PackedHistory("journey", self.site.channels["journey"], RecordRow)
        cursors: Mapping[int, int] = dict.fromkeys(range(FEED_START, FEED_START + SHARDS), 0)
        found: list[FactT] = []
        while (page := await history.read(cursors, 0, 5_000)).rows:
            cursors = {**cursors, **page.cursors}
            for row in page.rows:
                record = read_record(row.body)
                wanted = [fact for fact in record.facts if isinstance(fact, kind)]
                found += [fact for fact in wanted if record.journeys[fact.journey] == UUID(journey_id).bytes]
        return found

    async def refusals(self, journey_id: str) -> list[RefusalFact]:
        """Triggers of a journey that did not enrol."""
        return await self.facts(journey_id, RefusalFact)

    async def steps(self, journey_id: str, customer_id: str = "") -> list[str]:
        """`node RESULT detail` of each step, of one customer or of all."""
        return [
            " ".join(
                filter(
                    None, (step.node_id, StepResult.Name(StepResult.ValueType(step.result))[12:], step.detail)
                )
            )
            for fact in await self.facts(journey_id, RunSegmentFact)
            if not customer_id or fact.customer_id == UUID(customer_id).bytes
            for step in fact.steps
        ]


async def until(done: Callable[[], Awaitable[bool]], wait_s: float = WAIT_S) -> None:
    """Waits for it."""
    async with asyncio.timeout(wait_s):
        while not await done():
            await asyncio.sleep(0.03)


def node(node_id: str, following: str = "", **kind: Any) -> node_pb2.Node:
    """Any node."""
    return node_pb2.Node(node_id=node_id, next_node_id=following, **kind)


def says(node_id: str, module_id: str, following: str = "", channel: int = LINE) -> node_pb2.Node:
    """A message node."""
    of = channel_pb2.Channel.ValueType(channel)
    return node(node_id, following, message=node_pb2.MessageNode(channel=of, bot_module_id=module_id))


def waits(node_id: str, following: str = "", **span: float) -> node_pb2.Node:
    """A delay node, of a minute unless said otherwise."""
    made = node(node_id, following)
    made.delay.delay.FromTimedelta(timedelta(**span or {"minutes": 1}))
    return made


def quiet(*windows: tuple[int, int]) -> journey_pb2.DoNotDisturb:
    """Daily windows by hours of the team's zone."""
    drawn = [journey_pb2.QuietWindow(start_minute=60 * start, end_minute=60 * end) for start, end in windows]
    return journey_pb2.DoNotDisturb(windows=drawn)
