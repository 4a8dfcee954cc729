"""Segment in memory: its own domain decides, dictionaries are its tables, and every call is one transaction."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import SteppedClock
from libs.common.ids import CustomerKey
from libs.common.mailbox.mail import ProfileChanged
from libs.testing.mails import TEAM
from services.channel_gateway.domain.model import Channel, Identity, Profile
from services.journey.domain import effects as fx
from services.segment.convert.facts import mails_of
from services.segment.domain.changes import EffectUse, TagKey, TraitEditor, Traits, apply_changes
from services.segment.domain.customer_changes import CustomerChanges
from services.segment.domain.edits import EditContext, Editor
from services.segment.domain.events import record
from services.segment.domain.facts import Fact
from services.segment.domain.known import NO_VIEWS, Views, views_of
from services.segment.domain.model import (
    Binding,
    Change,
    ContactAdded,
    ContactBlocked,
    Customer,
    Event,
    EventBody,
    IdentityKey,
    Order,
    OrderCompleted,
    OrderRefunded,
    Refund,
    Selector,
    TagChange,
)
from services.segment.domain.recorder import EventContext, KeyUse, OrderId
from services.segment.domain.results import EventResult, EventStatus
from tests.sim.journeys import ACCOUNT
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
        self._identities: dict[tuple[UUID, IdentityKey], Binding] = {}
        self._tags: dict[TagKey, str] = {}
        self._effects: dict[tuple[UUID, UUID], EffectUse] = {}
        self._keys: dict[tuple[UUID, str], KeyUse] = {}
        self._orders: dict[OrderId, Order] = {}
        self._refunds: dict[OrderId, Refund] = {}
        self._positions: Counter[int] = Counter()

    def add(self, customer_id: UUID, phone: str | None, *, on_channel: bool, blocked: bool) -> None:
        """A customer who is known from the start; perhaps they are on the channel, or were."""
        self._customers[TEAM, customer_id] = Customer(TEAM, customer_id, phone=phone, revision=1)
        if on_channel:
            self._identities[TEAM, _identity_of(customer_id)] = Binding(customer_id, blocked)

    def profile(self, customer_id: UUID) -> Profile:
        """`BatchGetProfiles`."""
        bound = [
            (key, binding)
            for (_, key), binding in self._identities.items()
            if binding.customer_id == customer_id
        ]
        return Profile(identities=tuple(Identity(*key, binding.blocked) for key, binding in bound))

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

    def leave(self, customer_id: UUID) -> None:
        """A customer blocks the account, if they are on it."""
        body = ContactBlocked(_identity_of(customer_id))
        self.report(self._event(customer_id, f"left {len(self.reports)}", body))

    def join(self, customer_id: UUID) -> None:
        """A customer joins the account, or comes back to it."""
        body = ContactAdded(_identity_of(customer_id))
        self.report(self._event(customer_id, f"joined {len(self.reports)}", body))

    def unbind(self, customer_id: UUID) -> None:
        """A person takes a customer off the channel."""
        context = EditContext(customers=self._customers, identities=self._identities)
        editor = Editor(context, self._clock.now(), self._ids)
        if editor.unbind(self._customers[TEAM, customer_id], _identity_of(customer_id)):
            del self._identities[TEAM, _identity_of(customer_id)]
            edited = editor.edited()
            self._commit(edited.changed, edited.facts)

    def _event(self, customer_id: UUID, key: str, body: EventBody) -> Event:
        """The shop knows the customer's identity, where they have one."""
        identity = _identity_of(customer_id)
        known = identity if (TEAM, identity) in self._identities else None
        return Event(TEAM, key, Selector(customer_id=customer_id, identity=known), self._clock.now(), body)

    def report(self, *events: Event) -> list[EventResult]:
        """`RecordEvents`."""
        known = EventContext(
            {TEAM: False},
            customers=self._customers,
            keys=self._keys,
            identities=self._identities,
            orders=self._orders,
            refunds=self._refunds,
        )
        recording = record(known, events, self._clock.now(), self._ids)
        self._orders |= recording.orders
        self._refunds |= recording.refunds
        self._keys |= recording.keys
        self._identities |= recording.identities
        views = views_of(recording.facts, (), recording.changed, recording.identities, self._clock.now())
        self._commit(recording.changed, recording.facts, views)
        self.reports += [
            event
            for event, result in zip(events, recording.results, strict=True)
            if result.status is EventStatus.ACCEPTED
        ]
        return recording.results

    # -- what journeys do and ask -----------------------------------------------------------------------------------

    def change(self, effect: fx.ChangeTags) -> fx.Answer:
        """`ApplyChanges`."""
        body = TagChange(effect.add, effect.remove)
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

    def mark(self, customer_id: UUID, at: datetime) -> None:
        """The gateway's history says that a message left."""
        customer = self._customers[TEAM, customer_id]
        times = [at, customer.marketed_time or at]
        self._customers[TEAM, customer_id] = replace(customer, marketed_time=max(times))

    def has(self, customer_id: UUID, tag: str) -> bool:
        """`EvaluateCustomers`, where the audience is a tag."""
        return (TEAM, customer_id, tag) in self._tags

    def changed_within(self, customer_id: UUID, seconds: float) -> bool:
        """Whether mail about a change of the customer's profile is on its way, or has come within so many seconds."""
        age_s = self._source.seconds_in_mailbox(customer_id, ProfileChanged)
        return age_s is not None and age_s <= seconds

    def toggle(self, customer_id: UUID, tag: str) -> None:
        """A person gives or takes a tag."""
        pending = CustomerChanges(self._customers, self._clock.now(), self._ids)
        editor = TraitEditor(pending, Traits(tags=self._tags))
        customer = self._customers[TEAM, customer_id]
        if not editor.add_tags(customer, [tag], pending.now):
            editor.remove_tag(customer, tag, pending.now)
        self._save_tags(editor.changes().tags)
        self._commit(pending.changed_customers(), pending.facts)

    @property
    def marketed(self) -> dict[UUID, datetime]:
        """When the team last marketed to customers, where it ever did."""
        times = ((customer_id, c.marketed_time) for (_, customer_id), c in self._customers.items())
        return {customer_id: time for customer_id, time in times if time is not None}

    @property
    def effects_used(self) -> set[UUID]:
        """Keys under which something was done."""
        return {key for _, key in self._effects}

    # -- the commit ---------------------------------------------------------------------------------------------------

    def _save_tags(self, changed: dict[TagKey, str | None]) -> None:
        self._tags |= {key: tag for key, tag in changed.items() if tag is not None}
        for key in [key for key, tag in changed.items() if tag is None]:
            self._tags.pop(key, None)

    def _commit(self, changed: Iterable[Customer], facts: Sequence[Fact], views: Views = NO_VIEWS) -> None:
        self._customers |= {(customer.team_id, customer.customer_id): customer for customer in changed}
        stored = []
        for fact in facts:
            self._positions[fact.partition] += 1
            stored.append(replace(fact, position=self._positions[fact.partition]))
        self.facts += stored
        self._source.commit(mails_of(stored, views))


def _identity_of(customer_id: UUID) -> IdentityKey:
    return IdentityKey(Channel.LINE, ACCOUNT, f"U{customer_id.hex}")


def _ids(seed: int) -> Iterator[UUID]:
    chance = random.Random(f"ids of segment {seed}")
    while True:
        yield UUID(int=chance.getrandbits(128))
