"""A month of a shop's customers as segment recorded it, for simulations. Nobody was in a journey then.

Of each customer's ten events one is that they joined the account; the others are orders, tags that come and go, changes
of an attribute and messages written, in the order of time. All of it goes in by the services' own calls.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from bench.field import Field
from bench.measure import chunks
from bench.team import BATCH, BenchTeam, spread
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import event_pb2
from omnijourney.segment.v1.customer_pb2 import IdentityKey

EVENTS_EACH: Final = 10
SPAN: Final = timedelta(days=30)
LARGE: Final = 1_000
"""An order of so much, TWD, is a large one: half of them are."""
VIP: Final = "vip"
ATTRIBUTE: Final = "last_seen_page"
_TAGS: Final = (VIP, "newsletter", "sale")
_KINDS: Final = ("order", "tag", "attribute", "message")
_WEIGHTS: Final = (45, 25, 20, 10)
_SPREAD: Final = 1.0
"""Of the logarithm of an order's amount."""


class Month(msgspec.Struct, frozen=True):
    """What was recorded: `[start, end)`, all events of it, and how many of them were large orders."""

    start: datetime
    end: datetime
    events: int
    large_orders: int


async def record_month(field: Field, team: BenchTeam, events: int) -> Month:
    """Records so many events, of whole customers."""
    end = field.clock.now()
    recorder = _Recorder(team)
    await team.create_attribute(ATTRIBUTE)
    customers = await team.create_customers(max(1, events // EVENTS_EACH))
    people = [_Person(team, number, customer, end - SPAN) for number, customer in enumerate(customers)]
    await spread(list(chunks(people, BATCH)), recorder.record)
    return Month(end - SPAN, end, EVENTS_EACH * len(people), recorder.large_orders)


class _Recorder:
    def __init__(self, team: BenchTeam) -> None:
        self._team = team
        self.large_orders = 0

    async def record(self, people: Sequence[_Person]) -> None:
        """All events of some customers: the first of each, the second of each, and so on."""
        for _ in range(EVENTS_EACH):
            happened = [person.next() for person in people]
            reported = [each for each in happened if isinstance(each, event_pb2.CustomerEvent)]
            changes = [each for each in happened if isinstance(each, change_pb2.Change)]
            self.large_orders += sum(map(_is_large, reported))
            if reported:
                await self._team.record(reported)
            if changes:
                await self._team.change(changes)


class _Person:
    """Makes up what happens to a customer: the same in every run, but for ids and the time of the month."""

    def __init__(self, team: BenchTeam, number: int, customer: UUID, start: datetime) -> None:
        self._team = team
        self._customer = customer
        self._chance = random.Random(number)
        seconds = sorted(self._chance.uniform(0, SPAN.total_seconds()) for _ in range(EVENTS_EACH))
        self._times = iter([start + timedelta(seconds=second) for second in seconds])
        self._tags: set[str] = set()
        self._joined = False

    def next(self) -> event_pb2.CustomerEvent | change_pb2.Change:
        """The next event."""
        at = next(self._times)
        if not self._joined:
            self._joined = True
            joined = self._event(at)
            joined.contact_added.identity.CopyFrom(self._identity())
            return joined
        match self._chance.choices(_KINDS, _WEIGHTS)[0]:
            case "order":
                return self._order(at)
            case "message":
                said = self._event(at)
                said.message_received.identity.CopyFrom(self._identity())
                said.message_received.text = "Is it in stock?"
                return said
            case "tag":
                return self._tag(at)
            case _:
                value = change_pb2.AttributeChange(key=ATTRIBUTE, text=f"/p/{at.timestamp():.0f}")
                return self._change(at, set_attribute=value)

    def _order(self, at: datetime) -> event_pb2.CustomerEvent:
        event, amount = self._event(at), LARGE * self._chance.lognormvariate(0, _SPREAD)
        event.order_completed.shop_id = "bench"
        event.order_completed.order_id = event.event_key
        event.order_completed.signed = True
        money = Money(currency_code="TWD", amount_micros=round(amount) * 1_000_000)
        event.order_completed.amount.CopyFrom(money)
        event.order_completed.items.add(name="Oolong", quantity="1")
        return event

    def _tag(self, at: datetime) -> change_pb2.Change:
        tag = self._chance.choice(_TAGS)
        self._tags ^= {tag}
        if tag in self._tags:
            return self._change(at, tags=change_pb2.TagChange(add=[tag]))
        return self._change(at, tags=change_pb2.TagChange(remove=[tag]))

    def _event(self, at: datetime) -> event_pb2.CustomerEvent:
        event = event_pb2.CustomerEvent(
            team_id=self._team.team_id, event_key=str(new_id()), occur_time=timestamp(at)
        )
        event.customer.customer_id = str(self._customer)
        return event

    def _change(self, at: datetime, **change: object) -> change_pb2.Change:
        return change_pb2.Change(
            effect_key=str(new_id()),
            team_id=self._team.team_id,
            customer_id=str(self._customer),
            occur_time=timestamp(at),
            **change,  # type: ignore[arg-type]  # one of the oneof
        )

    def _identity(self) -> IdentityKey:
        return IdentityKey(
            channel=CHANNEL_WHATSAPP,
            account_id=self._team.account_id,
            external_id=self._team.phone_of(self._customer),
        )


def _is_large(event: event_pb2.CustomerEvent) -> bool:
    return event.order_completed.amount.amount_micros >= LARGE * 1_000_000
