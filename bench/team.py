"""The team that is measured: its account, content, journeys and customers, made through the public API."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.measure import chunks
from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from libs.common.rpc.values import duration, timestamp
from libs.emulators.config import EmulatorSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, SinkConnection, WhatsappConnection
from omnijourney.channel_gateway.v1.content_pb2 import MessageTemplate
from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.internal.v1 import change_pb2, customers_service_pb2
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.journey_pb2 import Definition, DoNotDisturb, QuietWindow, Target
from omnijourney.journey.v1.node_pb2 import (
    Branch,
    ConditionNode,
    DelayNode,
    EndOfJourney,
    MessageNode,
    Node,
    PointsNode,
    TemplateContent,
)
from omnijourney.journey.v1.trigger_pb2 import ContactAdded, SystemTriggered, Trigger
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import event_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import ATTRIBUTE_TYPE_TEXT, Attribute, AttributeType
from omnijourney.segment.v1.audience_pb2 import TAG_OPERATOR_ANY_OF, Audience, TagPredicate
from omnijourney.segment.v1.customer_pb2 import Customer, IdentityKey
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, MODULE_POINTS, Team, TeamSettings

Answer = TypeVar("Answer")
Item = TypeVar("Item")

BATCH: Final = 500
AT_ONCE: Final = 4
"""Calls of a load at once."""
POINTS: Final = 10
WELCOME_DELAY: Final = timedelta(minutes=1)
"""The shortest that a journey may have (J-31)."""
TIME_ZONE: Final = "Asia/Taipei"
QUIET_FROM_NOW_MINUTES: Final = 12 * 60
"""Of domain time, in which an hour is a minute of the bench's."""
QUIET_MINUTES: Final = 6 * 60
_DAY_MINUTES: Final = 24 * 60
_WEEKDAYS: Final = (
    journey_pb2.WEEKDAY_MONDAY,
    journey_pb2.WEEKDAY_TUESDAY,
    journey_pb2.WEEKDAY_WEDNESDAY,
    journey_pb2.WEEKDAY_THURSDAY,
    journey_pb2.WEEKDAY_FRIDAY,
    journey_pb2.WEEKDAY_SATURDAY,
    journey_pb2.WEEKDAY_SUNDAY,
)
_POLL_S: Final = 0.05
_IS_STOPPED: Final = (
    "SELECT status = journey.journey_status('STOPPED') FROM journey.journey WHERE journey_id = $1"
)
_COPY_JOURNEY: Final = """
INSERT INTO journey.journey
SELECT (jsonb_populate_record(j, jsonb_build_object('journey_id', gen_random_uuid()))).*
  FROM journey.journey AS j, generate_series(1, $2) WHERE j.journey_id = $1
"""
TAG: Final = "newcomer"
TEMPLATE: Final = "welcome"
LANGUAGE: Final = "en"


async def call(method: Callable[..., Awaitable[Answer]], request: Any) -> Answer:
    """One call with the bench's deadline, again for as long as the service says that it has too much to do."""
    return await retrying(lambda: method(request, timeout=CALL_TIMEOUT_S), attempts=None)


async def spread(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], at_once: int = AT_ONCE
) -> None:
    """Works on the items, so many at once."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(at_once)))


@dataclass(slots=True)
class BenchTeam:
    """A team with one WhatsApp account: a sink, or one at the emulator."""

    field: Field
    http: bool = False
    team_id: str = dataclasses.field(default_factory=lambda: str(new_id()))
    account_id: str = ""
    template_id: str = ""

    async def create(self) -> None:
        """Team, formula, account, wallet, template."""
        client = self.field.client
        settings = TeamSettings(
            time_zone=TIME_ZONE, currency_code="TWD", modules=[MODULE_JOURNEYS, MODULE_POINTS]
        )
        team = Team(team_id=self.team_id, name="Bench", settings=settings)
        await call(client.segment.CreateTeam, segment.CreateTeamRequest(request_id=str(new_id()), team=team))
        formula = points.SetEarningFormulaRequest(
            team_id=self.team_id, request_id=str(new_id()), amount="10", points="1"
        )
        await call(client.points.SetEarningFormula, formula)
        await self._create_account()
        money = Money(currency_code="HKD", amount_micros=10**13)
        wallet = gateway.AdjustWalletRequest(
            team_id=self.team_id, request_id=str(new_id()), amount=money, note="prepaid"
        )
        await call(client.channel_gateway.AdjustWallet, wallet)
        template = MessageTemplate(
            account_id=self.account_id,
            name=TEMPLATE,
            language=LANGUAGE,
            category="MARKETING",
            parameter_count=1,
        )
        made = await call(
            client.channel_gateway.CreateMessageTemplate,
            gateway.CreateMessageTemplateRequest(
                team_id=self.team_id, request_id=str(new_id()), template=template
            ),
        )
        self.template_id = made.template.message_template_id

    async def _create_account(self) -> None:
        account = ChannelAccount(
            channel=CHANNEL_WHATSAPP, display_name="Bench", rate_per_second=10_000, concurrency_max=256
        )
        if self.http:
            names = EmulatorSettings.model_construct()
            account.whatsapp.CopyFrom(
                WhatsappConnection(
                    phone_number_id=names.whatsapp_phone_number_id,
                    waba_id=names.whatsapp_waba_id,
                    access_token=names.token,
                    app_secrets=[names.secret],
                )
            )
            await self._approve_template()
        else:
            account.sink.CopyFrom(SinkConnection())
        request = gateway.CreateChannelAccountRequest(
            team_id=self.team_id, request_id=str(new_id()), account=account
        )
        made = await call(self.field.client.channel_gateway.CreateChannelAccount, request)
        self.account_id = made.account.channel_account_id

    async def _approve_template(self) -> None:
        url = self.field.installation.channel_urls["whatsapp"]
        components = [{"type": "BODY", "text": "Welcome, {{1}}!"}]
        body = {"name": TEMPLATE, "language": LANGUAGE, "components": components}
        async with self.field.session.post(f"{url}/_emulator/templates", json=body) as answer:
            if answer.status != 201:
                raise BenchFault(f"the emulator refused the template: {await answer.text()}")

    async def publish(self, definition: Definition) -> UUID:
        """Creates and publishes a journey; returns its id."""
        stub = self.field.client.journey
        create = journey.CreateJourneyRequest(
            team_id=self.team_id, request_id=str(new_id()), definition=definition
        )
        draft = await call(stub.CreateJourney, create)
        publish = journey.PublishJourneyRequest(
            team_id=self.team_id, request_id=str(new_id()), journey_id=draft.journey.journey_id
        )
        await call(stub.PublishJourney, publish)
        return UUID(draft.journey.journey_id)

    async def create_customers(self, count: int, *, tagged: bool = False) -> list[UUID]:
        """Customers with a phone; tagged ones have TAG."""
        customers = [new_id() for _ in range(count)]
        await spread(list(chunks(customers, BATCH)), self._create_batch)
        if tagged:
            await spread(list(chunks(customers, BATCH)), self._tag_batch)
        return customers

    def phone_of(self, customer_id: UUID) -> str:
        """Digits of a customer's phone: the random bits of the id, so that no two share one."""
        return f"19{customer_id.int % 10**13:013d}"

    async def _create_batch(self, customers: Sequence[UUID]) -> None:
        request = segment.BatchCreateCustomersRequest(
            team_id=self.team_id,
            request_id=str(new_id()),
            customers=[
                Customer(customer_id=str(c), name=f"Customer {c.hex[-6:]}", phone="+" + self.phone_of(c))
                for c in customers
            ],
        )
        answer = await call(self.field.client.segment.BatchCreateCustomers, request)
        refused = [result.message for result in answer.results if result.reason]
        if refused:
            raise BenchFault(f"customers were refused: {refused[0]}")

    async def _tag_batch(self, customers: Sequence[UUID]) -> None:
        now = timestamp(self.field.clock.now())
        await self.change(
            [
                change_pb2.Change(
                    effect_key=str(new_id()),
                    team_id=self.team_id,
                    customer_id=str(customer),
                    occur_time=now,
                    tags=change_pb2.TagChange(add=[TAG]),
                )
                for customer in customers
            ]
        )

    async def change(self, changes: Sequence[change_pb2.Change]) -> None:
        """Changes customers as effects of journeys do; all must be applied."""
        answer = await call(
            self.field.client.internal("segment").customers.ApplyChanges,
            customers_service_pb2.ApplyChangesRequest(changes=changes),
        )
        if any(result.status != change_pb2.CHANGE_STATUS_APPLIED for result in answer.results):
            raise BenchFault(f"changes were not applied: {answer.results[0]}")

    async def create_attribute(self, key: str, kind: "AttributeType.ValueType" = ATTRIBUTE_TYPE_TEXT) -> None:
        """Defines an attribute."""
        request = segment.CreateAttributeRequest(
            team_id=self.team_id,
            request_id=str(new_id()),
            attribute=Attribute(key=key, display_name=key, type=kind),
        )
        await call(self.field.client.segment.CreateAttribute, request)

    async def add_contacts(self, customers: Sequence[UUID]) -> None:
        """One event each: the customer joined the account. What a welcome journey waits for."""
        now = timestamp(self.field.clock.now())
        events = []
        for customer in customers:
            event = event_pb2.CustomerEvent(
                team_id=self.team_id, event_key=f"joined-{customer.hex}", occur_time=now
            )
            event.customer.customer_id = str(customer)
            event.contact_added.identity.CopyFrom(
                IdentityKey(
                    channel=CHANNEL_WHATSAPP,
                    account_id=self.account_id,
                    external_id=self.phone_of(customer),
                )
            )
            events.append(event)
        await self.record(events)

    async def record(self, events: Sequence[event_pb2.CustomerEvent]) -> None:
        """Reports events; all must be accepted."""
        answer = await call(
            self.field.client.segment.RecordEvents, segment.RecordEventsRequest(events=events)
        )
        if any(result.status != event_pb2.EVENT_STATUS_ACCEPTED for result in answer.results):
            raise BenchFault(f"events were not accepted: {answer.results[0]}")

    async def trigger(self, journey_id: UUID, customers: Sequence[UUID]) -> None:
        """One system trigger each, of customers who are there."""
        items = [
            journey.SystemTriggerItem(
                request_id=str(new_id()), journey_id=str(journey_id), customer_id=str(customer)
            )
            for customer in customers
        ]
        answer = await call(
            self.field.client.journey.TriggerJourneys,
            journey.TriggerJourneysRequest(team_id=self.team_id, items=items),
        )
        if not all(result.accepted for result in answer.results):
            raise BenchFault(f"triggers were not accepted: {answer.results[0].reason}")

    async def stop_journeys(self, count: int) -> None:
        """So many welcome journeys that were published and are stopped: one, and copies of its row."""
        if count == 0:
            return
        journey_id = await self.publish(self.welcome())
        request = journey.StopJourneyRequest(
            team_id=self.team_id, request_id=str(new_id()), journey_id=str(journey_id)
        )
        await call(self.field.client.journey.StopJourney, request)
        stopped = False
        while not stopped:
            await asyncio.sleep(_POLL_S)
            stopped = await self.field.admin.fetchval(_IS_STOPPED, journey_id)
        await self.field.admin.execute(_COPY_JOURNEY, journey_id, count - 1)
        await self.field.admin.execute("ANALYZE journey.journey")

    def welcome(self, *, quiet_windows: int = 0) -> Definition:
        """Enrol → message → `WELCOME_DELAY` → has the tag? → points → complete. `quiet_windows`: with so many
        do-not-disturb windows, none of which begins soon."""
        content = TemplateContent(template_id=self.template_id, parameters=["{{customer.name}}"])
        audience = Audience(tags=TagPredicate(operator=TAG_OPERATOR_ANY_OF, tags=[TAG]))
        return Definition(
            name="welcome",
            do_not_disturb=self._windows(quiet_windows) if quiet_windows else None,
            trigger=Trigger(contact_added=ContactAdded()),
            targets=[Target(channel=CHANNEL_WHATSAPP, account_id=self.account_id)],
            nodes=[
                Node(
                    node_id="hello",
                    next_node_id="pause",
                    message=MessageNode(channel=CHANNEL_WHATSAPP, template=content),
                ),
                Node(
                    node_id="pause",
                    next_node_id="new",
                    delay=DelayNode(delay=duration(WELCOME_DELAY)),
                ),
                Node(
                    node_id="new",
                    condition=ConditionNode(
                        audience=audience, yes=Branch(node_id="gift"), no=Branch(end=EndOfJourney())
                    ),
                ),
                Node(node_id="gift", points=PointsNode(add=POINTS)),
            ],
        )

    def _windows(self, count: int) -> DoNotDisturb:
        """One around the opposite hour, and before it short ones of single weekdays."""
        local = self.field.clock.now().astimezone(ZoneInfo(TIME_ZONE))
        first = local.hour * 60 + local.minute + QUIET_FROM_NOW_MINUTES

        def window(
            start: int, minutes: int, weekdays: Sequence[journey_pb2.Weekday.ValueType] = ()
        ) -> QuietWindow:
            start %= _DAY_MINUTES
            end = (start + minutes) % _DAY_MINUTES or _DAY_MINUTES
            return QuietWindow(start_minute=start, end_minute=end, weekdays=weekdays)

        short = [window(first + 10 * place, 5, [day]) for place in range(12) for day in _WEEKDAYS]
        return DoNotDisturb(windows=[window(first + 120, QUIET_MINUTES), *short[: count - 1]])

    def sleep(self, name: str, delay: timedelta) -> Definition:
        """Enrol by the system → delay → complete."""
        node = Node(node_id="sleep", delay=DelayNode(delay=duration(delay)))
        target = Target(channel=CHANNEL_WHATSAPP, account_id=self.account_id)
        return Definition(
            name=name, trigger=Trigger(system=SystemTriggered()), targets=[target], nodes=[node]
        )
