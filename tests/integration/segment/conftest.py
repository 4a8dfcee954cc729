"""Segment as a real service on a database of its own, with a team."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest
from redis.asyncio import Redis

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.feeds.rows import FactRow, reader_of
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.mail import Mail, decode
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database, Databases, Servers
from omnijourney.common.v1 import (
    history_pb2,
    installation_service_pb2,
    installation_service_pb2_grpc,
    money_pb2,
)
from omnijourney.internal.v1 import change_pb2, customers_service_pb2, history_service_pb2, mail_service_pb2
from omnijourney.points.v1 import points_service_pb2_grpc
from omnijourney.segment.v1 import (
    attribute_pb2,
    customer_pb2,
    event_pb2,
    segment_service_pb2,
    segment_service_pb2_grpc,
    team_pb2,
)
from omnijourney.segment.v1 import history_pb2 as facts_pb2
from services.points.app import app as points_app
from services.points.config import Settings as PointsSettings
from services.segment.app import app
from services.segment.config import Settings

if TYPE_CHECKING:
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

TIMEOUT_S = 30.0
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
ACCOUNT = "018f0000-0000-7000-8000-000000000001"


_READ = reader_of(FactRow)


class Feed(NamedTuple):
    """A page of the history."""

    rows: list[FactRow]
    cursors: dict[int, int]


@dataclass
class Segment:
    """A running service and a team of its own."""

    stub: SegmentServiceAsyncStub
    operations: Any
    internal: Internal
    clock: SteppedClock
    dsn: str
    team_id: UUID = field(default_factory=new_id)
    port: int = 0
    _requests: int = 0

    def request_id(self) -> str:
        """A new one."""
        self._requests += 1
        return f"request-{self._requests}"

    async def call(self, name: str, **fields: Any) -> Any:
        """Calls an RPC with the team and, where there is one, a fresh request id."""
        served = (
            (segment_service_pb2, self.stub),
            (customers_service_pb2, self.internal.customers),
            (history_service_pb2, self.internal.history),
            (mail_service_pb2, self.internal.mail),
        )
        calls, stub = next(pair for pair in served if hasattr(pair[0], f"{name}Request"))
        kind = getattr(calls, f"{name}Request")
        known = kind.DESCRIPTOR.fields_by_name
        if "team_id" in known:
            fields.setdefault("team_id", str(self.team_id))
        if "request_id" in known:
            fields.setdefault("request_id", self.request_id())
        return await getattr(stub, name)(kind(**fields), timeout=TIMEOUT_S)

    async def create_team(self, team_id: UUID, **settings: Any) -> None:
        """Makes a team."""
        values = {"time_zone": "Asia/Taipei", "currency_code": "TWD", **settings}
        team = team_pb2.Team(team_id=str(team_id), name="Team", settings=team_pb2.TeamSettings(**values))
        await self.call("CreateTeam", team=team)

    async def create(self, **fields: Any) -> str:
        """Makes a customer, who triggers journeys, and returns its id."""
        customer = customer_pb2.Customer(**fields)
        made = await self.call("CreateCustomer", customer=customer, triggers=True)
        return str(made.customer.customer_id)

    async def define(self, key: str, kind: str) -> None:
        """Defines an attribute."""
        number = attribute_pb2.AttributeType.Value(f"ATTRIBUTE_TYPE_{kind}")
        await self.call("CreateAttribute", attribute=attribute_pb2.Attribute(key=key, type=number))

    async def customer(self, customer_id: str) -> customer_pb2.Customer:
        """Reads a customer."""
        found: customer_pb2.Customer = (await self.call("GetCustomer", customer_id=customer_id)).customer
        return found

    async def record(self, *events: event_pb2.CustomerEvent) -> list[event_pb2.EventResult]:
        """Records one batch."""
        return list((await self.call("RecordEvents", events=events)).results)

    async def apply(self, *changes: change_pb2.Change) -> list[change_pb2.ChangeResult]:
        """Applies one batch."""
        return list((await self.call("ApplyChanges", changes=changes)).results)

    async def mail(self, customer_id: str, after: int = 0) -> list[Mail]:
        """All mail of a customer."""
        scope = mail_service_pb2.CustomerMailCursor(
            team_id=str(self.team_id), customer_id=customer_id, after_number=after
        )
        response = await self.call("ListMail", customer=scope)
        return [decode(mail) for mail in response.mails]

    async def facts(self) -> list[facts_pb2.Fact]:
        """The whole history of the team, in order of partition and position."""
        found: list[facts_pb2.Fact] = []
        token = ""
        while True:
            page = await self.call("ListFacts", page_size=1_000, page_token=token)
            found += page.facts
            token = page.next_page_token
            if not token:
                return sorted(found, key=lambda fact: (fact.partition, fact.position))

    async def feed(self, cursors: Mapping[int, int] | None = None, **asked: Any) -> Feed:
        """A page of the history as other services read it, from the beginning if no cursors are given."""
        after = dict.fromkeys(range(PARTITIONS), 0) | dict(cursors or {})
        given = [history_pb2.HistoryCursor(partition=p, after_position=at) for p, at in after.items()]
        packed = history_service_pb2.HISTORY_FORM_PACKED
        page = await self.call("ListHistory", cursors=given, form=packed, **asked)
        moved = {cursor.partition: cursor.after_position for cursor in page.next_cursors}
        return Feed(_READ(page.rows), after | moved)

    async def fact_kinds(self) -> list[str]:
        """The kinds of all facts, in order of partition and position."""
        return [str(fact.WhichOneof("fact")) for fact in await self.facts()]

    async def settled(self) -> None:
        """Waits until all mail is delivered."""
        request = installation_service_pb2.GetLagRequest()
        async with asyncio.timeout(2 * TIMEOUT_S):
            while (await self.operations.GetLag(request, timeout=TIMEOUT_S)).pending:
                await asyncio.sleep(0.01)

    def order(self, key: str, order_id: str, amount: int = 100, **fields: Any) -> event_pb2.CustomerEvent:
        """A report of an order; `amount` in whole units."""
        body = {"signed": True, **fields.pop("order", {})}
        items = [event_pb2.OrderItem(name=name) for name in fields.pop("items", ())]
        money = money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000)
        order = event_pb2.OrderCompleted(shop_id="shop", order_id=order_id, amount=money, items=items, **body)
        return self.event(key, order_completed=order, **fields)

    def refund(self, key: str, refund_id: str, amount: int, **fields: Any) -> event_pb2.CustomerEvent:
        """A report of a refund."""
        money = money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000)
        body = {"signed": True, **fields.pop("refund", {})}
        refund = event_pb2.OrderRefunded(shop_id="shop", refund_id=refund_id, amount=money, **body)
        return self.event(key, order_refunded=refund, **fields)

    def event(self, key: str, **fields: Any) -> event_pb2.CustomerEvent:
        """A report of the team, now unless `at` is given; `who` are hints at the customer."""
        who = fields.pop("who", None)
        at = fields.pop("at", self.clock.now())
        return event_pb2.CustomerEvent(
            team_id=fields.pop("team_id", str(self.team_id)),
            event_key=key,
            occur_time=timestamp(at),
            customer=customer_pb2.CustomerSelector(**who) if who else None,
            **fields,
        )

    def change(self, customer_id: str, key: UUID | None = None, **fields: Any) -> change_pb2.Change:
        """An effect on a customer."""
        return change_pb2.Change(
            effect_key=str(key or new_id()),
            team_id=str(self.team_id),
            customer_id=customer_id,
            depth=fields.pop("depth", 1),
            occur_time=timestamp(self.clock.now()),
            **fields,
        )


def identity(external_id: str, channel: int = 2, account_id: str = ACCOUNT) -> customer_pb2.IdentityKey:
    """The key of an identity, on WhatsApp unless said otherwise."""
    return customer_pb2.IdentityKey(
        channel=channel,  # type: ignore[arg-type]  # a number of the contract
        account_id=account_id,
        external_id=external_id,
    )


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """Segment's and points' schemas, fresh."""
    packages = {"segment": "services.segment", "points": "services.points"}
    async with databases.fresh(packages) as database:
        yield database


@pytest.fixture
async def segment(servers: Servers, database: Database, redis: Redis) -> AsyncIterator[Segment]:
    """The service, with one team in Taipei."""
    async with serving_segment(servers, database) as segment:
        yield segment


@asynccontextmanager
async def serving_segment(servers: Servers, database: Database, **changes: Any) -> AsyncIterator[Segment]:
    """The service with other settings, with one team in Taipei."""
    clock = SteppedClock(START)
    settings = servers.settings(Settings, database, **changes)
    async with app(settings, clock=clock) as serving, servers.channel(serving.port) as channel:
        segment = Segment(
            segment_service_pb2_grpc.SegmentServiceStub(channel),
            installation_service_pb2_grpc.InstallationServiceStub(channel),
            Internal(channel),
            clock,
            database.dsn_of("segment"),
            port=serving.port,
        )
        await segment.create_team(segment.team_id)
        yield segment


@pytest.fixture
async def with_points(servers: Servers, database: Database) -> AsyncIterator[tuple[Segment, Any]]:
    """Segment that asks a running points service."""
    clock = SteppedClock(START)
    async with points_app(servers.settings(PointsSettings, database), clock=clock) as points:
        settings = servers.settings(Settings, database, points_target=f"127.0.0.1:{points.port}")
        async with (
            app(settings, clock=clock) as serving,
            servers.channel(serving.port) as channel,
            servers.channel(points.port) as to_points,
        ):
            segment = Segment(
                segment_service_pb2_grpc.SegmentServiceStub(channel), None, Internal(channel), clock, ""
            )
            await segment.create_team(segment.team_id, modules=[2])
            yield segment, points_service_pb2_grpc.PointsServiceStub(to_points)
