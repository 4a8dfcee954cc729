"""The load: orders and refunds as signed webhooks and over gRPC, triggers over gRPC; doubled and late ones among them.

What was accepted is written down here, and nowhere else: the checker compares the installation with it.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import aiohttp

from libs.client import Client
from libs.common.money import micros_of
from libs.common.rpc.values import timestamp
from libs.demo.patience import call
from libs.demo.shopfront import Shopfront, customer_id_of
from libs.demo.stream import Checkout, Item, Kind
from libs.demo.webhooks import WebhookPoster, bodies, event_of
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, SetClockRequest
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.segment.v1 import event_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import CustomerSelector
from tests.chaos.world import MANUAL, PROFILE, TILL

RATE = 60.0
"""Domain seconds a real second: the shortest delay, a minute, takes one."""
PATIENCE_S = 180.0
"""How long a request is repeated: one that is struck again and again while the machine is busy needs its time."""
BATCH_MAX = 8
LATE_MAX = timedelta(hours=3)
DOUBLED, LATE, REFUNDED = 0.15, 0.2, 0.12
"""Shares of the orders."""


@dataclass(slots=True)
class Accepted:
    """What the installation said yes to."""

    orders: dict[tuple[str, str], Checkout] = field(default_factory=dict)
    """By shop and order id."""
    refunds: dict[str, tuple[Checkout, tuple[str, str]]] = field(default_factory=dict)
    """By refund id: the refund, and the order that it is of."""
    triggers: dict[str, int] = field(default_factory=dict)
    """Request id to member."""
    requests: int = 0
    """Webhooks and calls that were answered, repetitions among them."""
    repeated: int = 0
    """Orders and refunds that were reported once more on purpose."""
    again: int = 0
    """Whole requests that were made again later, as they were."""


class DomainTime:
    """The installation's clock as the load believes it to be: it runs at RATE since it was set."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self._began_s = time.monotonic()

    @classmethod
    async def begin(cls, client: Client) -> "DomainTime":
        """Makes the clock run fast."""
        operations = client.installation("segment")
        await call(operations.SetClock, SetClockRequest(rate=RATE))
        now = (await call(operations.GetClock, GetClockRequest())).now.ToDatetime(tzinfo=UTC)
        return cls(now)

    def now(self) -> datetime:
        """About now."""
        return self.start + timedelta(seconds=(time.monotonic() - self._began_s) * RATE)


class Load:
    """Sends everything. Every request is repeated until it is answered, as callers are told to do."""

    def __init__(
        self,
        client: Client,
        session: aiohttp.ClientSession,
        url: str,
        *,
        shopfront: Shopfront,
        members: Sequence[int],
        clock: DomainTime,
        seed: int,
    ) -> None:
        """`url`: the webhooks' base address."""
        self._client = client
        self._shopfront = shopfront
        self._members = members
        self._clock = clock
        self._rng = random.Random(f"load {seed}")
        self._namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"chaos {seed}")
        self._poster = self._poster_at(session, url)
        self._webhooks = 0
        self._calls = 0
        self._made: list[Callable[[], Awaitable[object]]] = []
        """All that was accepted, to be made again."""
        self.accepted = Accepted()

    def _poster_at(self, session: aiohttp.ClientSession, url: str) -> WebhookPoster:
        shop = self._shopfront
        endpoint = f"{url}/v1/teams/{shop.team_id}/shops/{shop.shop_id}/events"
        return WebhookPoster(session, endpoint, shop.webhook_secret, PROFILE.currency, PATIENCE_S)

    async def run(self, orders: int, duration_s: float) -> None:
        """`orders` orders over about `duration_s`, longer if the installation cannot be reached for a while."""
        ways: list[tuple[float, Callable[[int], Awaitable[None]]]] = [
            (0.65, self._post_orders),
            (0.25, self._record_orders),
            (0.10, self._trigger),
        ]
        async with asyncio.TaskGroup() as group:
            for share, way in ways:
                group.create_task(self._spread(max(1, round(orders * share)), duration_s, way))

    async def all_again(self, client: Client, session: aiohttp.ClientSession, url: str) -> None:
        """Makes every request again under its id, oldest first, of another installation."""
        self._client = client
        self._poster = self._poster_at(session, url)
        for make in self._made:
            await make()

    async def again(self, rng: random.Random, count: int) -> int:
        """Makes old requests again, the newest first, under their ids; returns how many."""
        known = self._made[: len(self._made) // 2 + 1]
        chosen = sorted(rng.sample(range(len(known)), k=min(count, len(known))), reverse=True)
        for index in chosen:
            await known[index]()
            self.accepted.requests += 1
            self.accepted.again += 1
        return len(chosen)

    async def _spread(self, total: int, duration_s: float, way: Callable[[int], Awaitable[None]]) -> None:
        began_s, sent = time.monotonic(), 0
        while sent < total:
            size = min(total - sent, self._rng.randint(1, BATCH_MAX))
            await way(size)
            sent += size
            ahead_s = began_s + duration_s * sent / total - time.monotonic()
            await asyncio.sleep(max(0.0, ahead_s))

    # ---- webhooks

    async def _post_orders(self, size: int) -> None:
        checkouts = [self._order(f"w{self._webhooks}-{n}") for n in range(size)]
        refunds = self._refunds()
        await self._post([*map(_told, checkouts), *(_refund_told(refund, of) for refund, of in refunds)])
        self.accepted.orders.update({(PROFILE.shop_id, c.reference): c for c in checkouts})
        self.accepted.refunds.update({refund.reference: (refund, of) for refund, of in refunds})
        known = [c for (shop, _), c in self.accepted.orders.items() if shop == PROFILE.shop_id]
        again = [c for c in self._rng.sample(known, k=min(len(known), size)) if self._rng.random() < DOUBLED]
        if again:
            await self._post([*map(_told, again)])
            self.accepted.repeated += len(again)

    async def _post(self, events: Sequence[dict[str, Any]]) -> None:
        for body in bodies(events):
            self._webhooks += 1
            webhook_id = f"chaos-{self._webhooks}"
            deliver = partial(self._deliver, webhook_id, body)
            await deliver()
            self.accepted.requests += 1
            self._made.append(deliver)
            if self._rng.random() < DOUBLED:
                # The very same request once more: its answer was lost on the way, say.
                await deliver()
                self.accepted.requests += 1

    async def _deliver(self, webhook_id: str, body: bytes) -> None:
        await self._poster.deliver(webhook_id, body, self._clock.now())

    def _order(self, reference: str) -> Checkout:
        cents = self._rng.choice((self._rng.randint(1, 9_999), self._rng.randint(10_000, 40_000)))
        # Nothing of before the journeys were published starts them (J-26a).
        latest = min(LATE_MAX, self._clock.now() - self._clock.start)
        late = latest * self._rng.random() if self._rng.random() < LATE else timedelta(0)
        return Checkout(
            kind=Kind.ORDER,
            reference=reference,
            occurred_at=self._clock.now() - late,
            amount=Decimal(cents) / 100,
            member=self._rng.choice(self._members),
            items=(Item("thing", 1),),
        )

    def _refunds(self) -> list[tuple[Checkout, tuple[str, str]]]:
        """Now and then a refund of an order that was accepted; an order has one at most."""
        known = [(of, order) for of, order in self.accepted.orders.items() if of[0] == PROFILE.shop_id]
        if not known or self._rng.random() > REFUNDED * BATCH_MAX / 2:
            return []
        of, order = self._rng.choice(known)
        reference = f"r-{of[1]}"
        if reference in self.accepted.refunds:
            return []
        part = (order.amount * Decimal(self._rng.randint(5, 100)) / 100).quantize(Decimal("0.01"))
        refund = Checkout(Kind.REFUND, reference, self._clock.now(), part, order.member)
        return [(refund, of)]

    # ---- gRPC

    async def _record_orders(self, size: int) -> None:
        self._calls += 1
        checkouts = [self._order(f"g{self._calls}-{n}") for n in range(size)]
        known = [c for (shop, _), c in self.accepted.orders.items() if shop == TILL]
        again = self._rng.sample(known, k=min(len(known), 1)) if self._rng.random() < DOUBLED else []
        await self._record([*checkouts, *again])
        self.accepted.repeated += len(again)
        self.accepted.orders.update({(TILL, c.reference): c for c in checkouts})

    async def _record(self, checkouts: Sequence[Checkout]) -> None:
        request = segment.RecordEventsRequest(events=[self._event(checkout) for checkout in checkouts])
        await self._tell_segment(request)
        self.accepted.requests += 1
        self._made.append(partial(self._tell_segment, request))

    async def _tell_segment(self, request: segment.RecordEventsRequest) -> None:
        stub = self._client.segment
        answer = await call(stub.RecordEvents, request, PATIENCE_S)
        refused = [r for r in answer.results if r.status == event_pb2.EVENT_STATUS_REFUSED]
        if refused:
            raise AssertionError(f"segment refused {len(refused)} events, first: {refused[0]}")

    def _event(self, checkout: Checkout) -> event_pb2.CustomerEvent:
        amount = Money(currency_code=PROFILE.currency, amount_micros=micros_of(checkout.amount))
        return event_pb2.CustomerEvent(
            team_id=self._shopfront.team_id,
            event_key=f"{TILL}-{checkout.reference}",
            customer=CustomerSelector(member_id=str(checkout.member)),
            occur_time=timestamp(checkout.occurred_at),
            order_completed=event_pb2.OrderCompleted(
                shop_id=TILL, order_id=checkout.reference, amount=amount, signed=True
            ),
        )

    async def _trigger(self, size: int) -> None:
        self._calls += 1
        asked = {
            str(uuid.uuid5(self._namespace, f"{self._calls}-{n}")): self._rng.choice(self._members)
            for n in range(size)
        }
        request = journey.TriggerJourneysRequest(
            team_id=self._shopfront.team_id,
            items=[
                journey.SystemTriggerItem(
                    request_id=request_id,
                    journey_id=self._shopfront.journeys[MANUAL],
                    customer_id=customer_id_of(PROFILE.shop_id, member),
                )
                for request_id, member in asked.items()
            ],
        )
        for _ in range(1 + (self._rng.random() < DOUBLED)):
            await self._tell_journey(request)
            self.accepted.requests += 1
        self._made.append(partial(self._tell_journey, request))
        self.accepted.triggers.update(asked)

    async def _tell_journey(self, request: journey.TriggerJourneysRequest) -> None:
        stub = self._client.journey
        answer = await call(stub.TriggerJourneys, request, PATIENCE_S)
        refused = [result for result in answer.results if not result.accepted]
        if refused:
            raise AssertionError(f"journey refused {len(refused)} triggers, first: {refused[0]}")


def _told(checkout: Checkout) -> dict[str, Any]:
    return event_of(checkout, PROFILE.currency)


def _refund_told(refund: Checkout, of: tuple[str, str]) -> dict[str, Any]:
    """A refund that names its order."""
    return {**_told(refund), "order": {"id": of[1], "currency": PROFILE.currency}}
