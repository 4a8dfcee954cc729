"""Segment in memory: its own domain decides, dictionaries are its tables, and every call is one transaction."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import SteppedClock
from libs.common.ids import CustomerKey
from libs.testing.mails import TEAM
from services.journey.domain import effects as fx
from services.segment.convert.facts import mail_of
from services.segment.domain.changes import EffectUse, TagKey, TraitEditor, Traits, apply_changes
from services.segment.domain.customer_changes import CustomerChanges
from services.segment.domain.events import record
from services.segment.domain.facts import Fact
from services.segment.domain.model import (
    Change,
    Customer,
    Event,
    MarketedChange,
    Order,
    OrderCompleted,
    OrderRefunded,
    Refund,
    Selector,
    TagChange,
)
from services.segment.domain.recorder import EventContext, KeyUse, OrderId
from services.segment.domain.results import EventResult, EventStatus
from tests.sim.source import Source

SHOP: Final = "shop"
CURRENCY: Final = "USD"


class Segment:
    """The tables, and what the other services call."""

    def __init__(self, source: Source, clock: SteppedClock, seed: int) -> None:
        self.facts: list[Fact] = []
        """The history, in the order of commits."""
        self.reports: list[Event] = []
        """Everything that was reported and accepted, to be reported again."""
        self._source = source
        self._clock = clock
        self._ids = _ids(seed)
        self._customers: dict[CustomerKey, Customer] = {}
        self._tags: dict[TagKey, str] = {}
        self._effects: dict[tuple[UUID, UUID], EffectUse] = {}
        self._keys: dict[tuple[UUID, str], KeyUse] = {}
        self._orders: dict[OrderId, Order] = {}
        self._refunds: dict[OrderId, Refund] = {}
        self._positions: Counter[int] = Counter()

    def add(self, customer_id: UUID, phone: str | None) -> None:
        """A customer who is known from the start."""
        self._customers[TEAM, customer_id] = Customer(TEAM, customer_id, phone=phone, revision=1)

    def phone_of(self, customer_id: UUID) -> str | None:
        """Of a customer, if they have one."""
        return self._customers[TEAM, customer_id].phone

    # -- what happened ----------------------------------------------------------------------------------------------

    def order(self, customer_id: UUID, order_id: str, amount_micros: int) -> None:
        """A customer checks out."""
        body = OrderCompleted(SHOP, order_id, amount_micros, CURRENCY, signed=True)
        self.report(self._event(customer_id, f"order {order_id}", body))

    def refund(self, customer_id: UUID, refund_id: str, order_id: str, amount_micros: int) -> None:
        """Money of an order goes back."""
        body = OrderRefunded(SHOP, refund_id, amount_micros, CURRENCY, order_id=order_id, signed=True)
        self.report(self._event(customer_id, f"refund {refund_id}", body))

    def _event(self, customer_id: UUID, key: str, body: OrderCompleted | OrderRefunded) -> Event:
        return Event(TEAM, key, Selector(customer_id=customer_id), self._clock.now(), body)

    def report(self, *events: Event) -> list[EventResult]:
        """`RecordEvents`."""
        known = EventContext(
            {TEAM: False},
            customers=self._customers,
            keys=self._keys,
            orders=self._orders,
            refunds=self._refunds,
        )
        recording = record(known, events, self._clock.now(), self._ids)
        self._orders |= recording.orders
        self._refunds |= recording.refunds
        self._keys |= recording.keys
        self._commit(recording.changed, recording.facts)
        self.reports += [
            event
            for event, result in zip(events, recording.results, strict=True)
            if result.status is EventStatus.ACCEPTED
        ]
        return recording.results

    # -- what journeys do and ask -----------------------------------------------------------------------------------

    def change(self, effect: fx.ChangeTags | fx.MarkMarketed) -> fx.Answer:
        """`ApplyChanges`."""
        body: TagChange | MarketedChange = (
            TagChange(effect.add, effect.remove)
            if isinstance(effect, fx.ChangeTags)
            else MarketedChange(effect.at)
        )
        change = Change(effect.key, TEAM, effect.customer_id, effect.depth + 1, effect.at, body)
        applied = apply_changes(
            self._customers,
            Traits(tags=self._tags),
            self._effects,
            [change],
            now=self._clock.now(),
            ids=self._ids,
        )
        self._effects |= applied.effects
        self._save_tags(applied.traits.tags)
        self._commit(applied.changed, applied.facts)
        [result] = applied.results
        return fx.ChangeAnswer(fx.ChangeState(result.status), result.reason)

    def has(self, customer_id: UUID, tag: str) -> bool:
        """`EvaluateCustomers`, where the audience is a tag."""
        return (TEAM, customer_id, tag) in self._tags

    def toggle(self, customer_id: UUID, tag: str) -> None:
        """A person gives or takes a tag."""
        pending = CustomerChanges(self._customers, self._clock.now(), self._ids)
        editor = TraitEditor(pending, Traits(tags=self._tags))
        customer = self._customers[TEAM, customer_id]
        if not editor.add_tag(customer, tag, pending.now):
            editor.remove_tag(customer, tag, pending.now)
        self._save_tags(editor.changes().tags)
        self._commit(pending.changed_customers(), pending.facts)

    @property
    def marketed(self) -> set[UUID]:
        """Customers with a time at which the team last marketed to them."""
        return {customer_id for (_, customer_id), c in self._customers.items() if c.marketed_time is not None}

    @property
    def effects_used(self) -> set[UUID]:
        """Keys under which something was done."""
        return {key for _, key in self._effects}

    # -- the commit ---------------------------------------------------------------------------------------------------

    def _save_tags(self, changed: dict[TagKey, str | None]) -> None:
        self._tags |= {key: tag for key, tag in changed.items() if tag is not None}
        for key in [key for key, tag in changed.items() if tag is None]:
            self._tags.pop(key, None)

    def _commit(self, changed: Iterable[Customer], facts: Sequence[Fact]) -> None:
        self._customers |= {(customer.team_id, customer.customer_id): customer for customer in changed}
        stored = []
        for fact in facts:
            self._positions[fact.partition] += 1
            stored.append(replace(fact, position=self._positions[fact.partition]))
        self.facts += stored
        self._source.commit([mail for fact in stored if (mail := mail_of(fact)) is not None])


def _ids(seed: int) -> Iterator[UUID]:
    chance = random.Random(f"ids of segment {seed}")
    while True:
        yield UUID(int=chance.getrandbits(128))
