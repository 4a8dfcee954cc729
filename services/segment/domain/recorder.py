"""The state of one batch of reports: who is who, and what is to be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from libs.common.ids import CustomerKey
from libs.common.moved_ids import Move
from libs.common.text import fold
from services.segment.domain.conflicts import Conflict, candidates, conflicts_of, index_customer
from services.segment.domain.customer_changes import CustomerChanges, later
from services.segment.domain.facts import ContactJoined, ContactLeft, ContactRemoved, ContactReturned, Fact
from services.segment.domain.model import (
    Binding,
    Customer,
    Event,
    IdentityKey,
    Order,
    Refund,
    Selector,
    Uncounted,
)
from services.segment.domain.moves import Moves, TeamIdentity
from services.segment.domain.results import EventResult, EventStatus, refused_event

OrderId = tuple[UUID, str, str]
"""Team, shop, order id (or refund id)."""


class KeyUse(NamedTuple):
    """An event key that was used."""

    digest: bytes
    customer_id: UUID | None


class EventContext(msgspec.Struct):
    """Everything that a batch names, as it is. Read-only: `record` works on copies."""

    unsigned_counts: dict[UUID, bool]
    """By team: whether unsigned orders count. A team that is not in it does not exist."""
    customers: dict[CustomerKey, Customer] = {}
    members: dict[tuple[UUID, str], UUID] = {}
    """By team and folded member id."""
    phones: dict[tuple[UUID, str], UUID] = {}
    emails: dict[tuple[UUID, str], UUID] = {}
    """By team and folded address."""
    tokens: dict[tuple[UUID, str], UUID] = {}
    identities: dict[tuple[UUID, IdentityKey], Binding] = {}
    departures: dict[tuple[UUID, IdentityKey], datetime] = {}
    """When people last left by identities that are bound to nobody."""
    moves: Moves = {}
    """Identities that events name, and that were given up for others."""
    keys: dict[tuple[UUID, str], KeyUse] = {}
    orders: dict[OrderId, Order] = {}
    refunds: dict[OrderId, Refund] = {}
    erased: set[CustomerKey] = set()
    """Customers that events or their orders name, and who were erased."""
    merged: dict[CustomerKey, UUID] = {}
    """Customers who are named and were merged: whom they were merged into."""


class BoundIdentity(NamedTuple):
    """A new binding, from the time of recording on."""

    team_id: UUID
    customer_id: UUID
    key: IdentityKey
    blocked: bool = False
    seen_at: datetime | None = None
    left_at: datetime | None = None


class Recording(msgspec.Struct):
    """What is to be written. Lists are in the order in which it happened."""

    results: list[EventResult]
    created: list[Customer]
    changed: list[Customer]
    bound: list[BoundIdentity]
    unbound: list[tuple[UUID, UUID, IdentityKey]]
    """Team, customer and identity; of bindings that were stored before."""
    switched: dict[tuple[UUID, IdentityKey], Binding]
    """Bindings that are different now, of the new ones, too."""
    departed: dict[tuple[UUID, IdentityKey], datetime]
    """When people last left by identities that are bound to nobody."""
    moves: list[tuple[UUID, IdentityKey, Move]]
    """Identities that were given up, whoever had them."""
    tokens: dict[tuple[UUID, str], UUID]
    orders: dict[OrderId, Order]
    refunds: dict[OrderId, Refund]
    keys: dict[tuple[UUID, str], KeyUse]
    conflicts: list[Conflict]
    facts: list[Fact]
    identities: Mapping[tuple[UUID, IdentityKey], Binding]
    """All that the reports named, as they are when all of it is written."""


class Recorder:
    """The state of one batch; the handlers of the kinds of events work on it."""

    def __init__(self, context: EventContext, now: datetime, ids: Iterator[UUID]) -> None:
        """`context` is read-only; `now` is the time of recording, `ids` gives fresh ids without end."""
        self.context = context
        self.pending = CustomerChanges(context.customers, now, ids)
        self.members = dict(context.members)
        self.phones = dict(context.phones)
        self.emails = dict(context.emails)
        self.tokens = dict(context.tokens)
        self.identities = dict(context.identities)
        self.moves: dict[TeamIdentity, list[Move]] = {key: [*each] for key, each in context.moves.items()}
        """By now; see `EventContext`."""
        self._new_moves: list[tuple[UUID, IdentityKey, Move]] = []
        self.orders: dict[OrderId, Order] = {}
        self.refunds: dict[OrderId, Refund] = {}
        self._refunds_of: dict[OrderId, set[OrderId]] = {}
        for refund_id, refund in context.refunds.items():
            self._note_refund(refund_id, refund)
        self.keys: dict[tuple[UUID, str], KeyUse] = {}
        self._bound: list[BoundIdentity] = []
        self._unbound: list[tuple[UUID, UUID, IdentityKey]] = []
        self._departures = dict(context.departures)
        self._switched: dict[tuple[UUID, IdentityKey], Binding] = {}
        self._departed: dict[tuple[UUID, IdentityKey], datetime] = {}
        self._new_tokens: dict[tuple[UUID, str], UUID] = {}
        self._conflicts: dict[tuple[UUID, frozenset[UUID]], Conflict] = {}

    def recording(self, results: list[EventResult]) -> Recording:
        """Everything that is to be written."""
        return Recording(
            results=results,
            created=self.pending.created_customers(),
            changed=self.pending.changed_customers(),
            bound=self._bound,
            unbound=self._unbound,
            switched=self._switched,
            departed=self._departed,
            moves=self._new_moves,
            tokens=self._new_tokens,
            orders=self.orders,
            refunds=self.refunds,
            keys=self.keys,
            conflicts=sorted(self._conflicts.values()),
            facts=self.pending.facts,
            identities=self.identities,
        )

    # ---- orders and refunds

    def order(self, order_id: OrderId) -> Order | None:
        """An order as it is by now. None for one that was not reported yet, whether a refund named it or not."""
        order = self.orders.get(order_id) or self.context.orders.get(order_id)
        return None if order is None or order.uncounted == Uncounted.ORDER_UNCOUNTED else order

    def refund(self, refund_id: OrderId) -> Refund | None:
        """A refund as it is by now."""
        return self.refunds.get(refund_id) or self.context.refunds.get(refund_id)

    def keep_refund(self, refund_id: OrderId, refund: Refund) -> None:
        """Has a refund written."""
        self.refunds[refund_id] = refund
        self._note_refund(refund_id, refund)

    def refunds_of(self, order_id: OrderId) -> dict[OrderId, Refund]:
        """All that name an order, as they are by now. They are read beside events of refunds, and beside orders that do
        not count."""
        ids = self._refunds_of.get(order_id, ())
        return {refund_id: refund for refund_id in ids if (refund := self.refund(refund_id)) is not None}

    def _note_refund(self, refund_id: OrderId, refund: Refund) -> None:
        if refund.body.order_id:
            order_id = (refund_id[0], refund.body.shop_id, refund.body.order_id)
            self._refunds_of.setdefault(order_id, set()).add(refund_id)

    # ---- who it was

    def find(self, event: Event) -> Customer | None:
        """The customer that the selector finds, strongest hint first (S-05e).

        A weaker hint is passed over when the customer it finds has another member id than the report tells: people who
        share a phone are still different members.
        """
        team, selector = event.team_id, event.selector
        named = selector.customer_id
        if named is not None and (customer := self.pending.customer(team, named)) is not None:
            return customer
        for found in candidates(self, team, selector):
            customer = self.pending.customer(team, found.customer_id)
            if customer is not None and (found.is_strong or not _is_another_member(customer, selector)):
                return customer
        return None

    def find_or_create(self, event: Event) -> tuple[Customer, bool]:
        """The customer, known or new, with what the report tells and was missing. The selector must not be empty."""
        customer = self.find(event)
        created = customer is None
        if customer is None:
            customer = self._create(event)
        return self._enrich(customer, event), created

    def complete(self, customer: Customer, event: Event) -> Customer:
        """A customer who is known for the subject of a report, with what the report tells and was missing; unless its
        hints are somebody else's (S-01e)."""
        found = self.find(event)
        others = found is not None and found.customer_id != customer.customer_id
        if others or _is_another_member(customer, event.selector):
            return customer
        return self._enrich(customer, event)

    def _create(self, event: Event) -> Customer:
        team, selector = event.team_id, event.selector
        customer = self.pending.create(
            team,
            event.occurred_at,
            member_id=selector.member_id,
            name=event.customer_name,
            phone=selector.phone,
            email=selector.email,
        )
        self._index(customer)
        return customer

    def _enrich(self, customer: Customer, event: Event) -> Customer:
        """Fills what the customer lacks; nothing that is there is overwritten. Notes whom else the event names."""
        team, selector = event.team_id, event.selector
        self._note_conflicts(customer, selector)
        gaps: dict[str, Any] = {}
        if customer.member_id is None and self._is_free(team, selector.member_id):
            gaps["member_id"] = selector.member_id
        if customer.phone is None and selector.phone is not None:
            gaps["phone"] = selector.phone
        if customer.email is None and selector.email is not None:
            gaps["email"] = selector.email
        if not customer.name and event.customer_name:
            gaps["name"] = event.customer_name
        if gaps:
            customer = self.pending.change(customer, **gaps)
            self._index(customer)
        if selector.identity is not None and (team, selector.identity) not in self.identities:
            self.bind(customer, selector.identity, event.occurred_at)
        self.learn_token(customer, selector.browser_token)
        return customer

    def _note_conflicts(self, customer: Customer, selector: Selector) -> None:
        """Notes other customers whom the hints lead to."""
        if selector.is_id_alone:
            return
        for each in conflicts_of(self, customer, selector, self.pending.customer):
            self._conflicts.setdefault(each.pair, each)

    def learn_token(self, customer: Customer, token: str | None) -> None:
        """From now on the browser leads to the customer, unless it leads to somebody already."""
        if token is not None and (key := (customer.team_id, token)) not in self.tokens:
            self.tokens[key] = self._new_tokens[key] = customer.customer_id

    def _is_free(self, team: UUID, member_id: str | None) -> bool:
        return member_id is not None and (team, fold(member_id)) not in self.members

    def _index(self, customer: Customer) -> None:
        """Lets later reports of the batch find the customer, as if the earlier ones were stored."""
        index_customer(self, customer, self.pending.customer)

    # ---- channels

    def bind(self, customer: Customer, key: IdentityKey, at: datetime) -> None:
        """Binds an identity that is nobody's; a later departure that was heard of before is told after it."""
        team = customer.team_id
        left_at = self._departures.pop((team, key), None)
        self._departed.pop((team, key), None)
        blocked = left_at is not None and left_at > at
        binding = self.identities[team, key] = Binding(customer.customer_id, blocked, at, left_at)
        self._bound.append(BoundIdentity(team, customer.customer_id, key, *binding[1:]))
        self.pending.emit(customer, at, ContactJoined(key))
        if blocked and left_at is not None:
            self.pending.emit(customer, left_at, ContactLeft(key))

    def seen(self, customer: Customer, key: IdentityKey, at: datetime) -> None:
        """The customer was there at a time; emits an event if they have come back by it."""
        if self._switch(customer.team_id, key, self.identities[customer.team_id, key].seen(at)):
            self.pending.emit(customer, at, ContactReturned(key))

    def left(self, customer: Customer, key: IdentityKey, at: datetime) -> None:
        """The customer left at a time; emits an event if they are gone by it."""
        if self._switch(customer.team_id, key, self.identities[customer.team_id, key].left(at)):
            self.pending.emit(customer, at, ContactLeft(key))

    def move(self, customer: Customer, old: IdentityKey, new: IdentityKey, at: datetime) -> None:
        """The customer is known by another id since a time. Nobody loses what is theirs: of an id that is another
        customer's the pair is noted."""
        team = customer.team_id
        was, other = self._unbind(customer, old, at), self.identities.get((team, new))
        if other is None:
            self._bind_moved(customer, new, was, at)
        elif other.customer_id != customer.customer_id:
            self._note_pair(customer, other.customer_id, "identity")
        else:
            if was.seen_at is not None:
                self.seen(customer, new, was.seen_at)
            if was.left_at is not None:
                self.left(customer, new, was.left_at)
        self._move_phone(customer, old.phone, new.phone)

    def note_move(self, team: UUID, old: IdentityKey, new: IdentityKey, at: datetime) -> None:
        """Whoever was known by an identity is known by another since a time."""
        move = Move(at, new.external_id)
        self.moves.setdefault((team, old), []).append(move)
        self._new_moves.append((team, old, move))

    def _unbind(self, customer: Customer, key: IdentityKey, at: datetime) -> Binding:
        team = customer.team_id
        self._switched.pop((team, key), None)
        bound = [each for each in self._bound if (each.team_id, each.key) != (team, key)]
        if len(bound) == len(self._bound):
            self._unbound.append((team, customer.customer_id, key))
        self._bound = bound
        self.pending.emit(customer, at, ContactRemoved(key))
        return self.identities.pop((team, key))

    def _bind_moved(self, customer: Customer, key: IdentityKey, was: Binding, at: datetime) -> None:
        team = customer.team_id
        left_at = self._departures.pop((team, key), None)
        self._departed.pop((team, key), None)
        binding = self.identities[team, key] = was if left_at is None else was.left(left_at)
        self._bound.append(BoundIdentity(team, customer.customer_id, key, *binding[1:]))
        # They joined long ago: nothing starts by it.
        self.pending.emit(customer, at, ContactJoined(key, quiet=True))
        if binding.blocked:
            self.pending.emit(customer, at, ContactLeft(key))

    def _move_phone(self, customer: Customer, old: str | None, new: str | None) -> None:
        """A phone number that is the customer's no longer, and soon somebody else's."""
        team = customer.team_id
        present = self.pending.customer(team, customer.customer_id) or customer
        if old is None or new is None or present.phone != old:
            return
        holder = self.phones.get((team, new))
        if holder is not None and holder != customer.customer_id:
            self._note_pair(present, holder, "phone")
        if self.phones.get((team, old)) == customer.customer_id:
            del self.phones[team, old]
        self._index(self.pending.change(present, phone=new))

    def _note_pair(self, customer: Customer, other_id: UUID, field: str) -> None:
        pair = Conflict(customer.team_id, customer.customer_id, other_id, field, field)
        self._conflicts.setdefault(pair.pair, pair)

    def departed(self, team: UUID, key: IdentityKey, at: datetime) -> None:
        """Somebody whom nobody is known to be left at a time."""
        known = self._departures.get((team, key))
        if known is None or known < at:
            self._departures[team, key] = self._departed[team, key] = at

    def _switch(self, team: UUID, key: IdentityKey, binding: Binding) -> bool:
        """Whether the identity is blocked, or not blocked any more, by what its binding is now."""
        before = self.identities[team, key]
        if binding != before:
            self.identities[team, key] = self._switched[team, key] = binding
        return binding.blocked != before.blocked

    def contact(self, event: Event, key: IdentityKey) -> tuple[Customer, bool] | EventResult:
        """The customer behind an identity; an identity that nobody has is bound to whom the other hints find."""
        binding = self.identities.get((event.team_id, key))
        if binding is None:
            found, created = self.find_or_create(_known_by(event, key))
            if (event.team_id, key) not in self.identities:
                self.bind(found, key, event.occurred_at)
            return found, created
        named = event.selector.customer_id
        if named is not None and named != binding.customer_id:
            return refused_event("IDENTITY_TAKEN", "the identity is bound to another customer")
        customer = self.pending.customer(event.team_id, binding.customer_id)
        assert customer is not None, "a binding leads to a customer that was loaded"
        self.seen(customer, key, event.occurred_at)
        return self._enrich(customer, _known_by(event, key)), False

    def interacted(self, customer: Customer, at: datetime) -> None:
        """Moves "customer last interacted" on, never ahead of now."""
        moved = later(customer.customer_interact_time, min(at, self.pending.now))
        self.pending.change(customer, customer_interact_time=moved)


def _known_by(event: Event, key: IdentityKey) -> Event:
    """The event with the identity in its selector that it is about, and no other."""
    return msgspec.structs.replace(event, selector=msgspec.structs.replace(event.selector, identity=key))


def _is_another_member(customer: Customer, selector: Selector) -> bool:
    if customer.member_id is None or selector.member_id is None:
        return False
    return fold(customer.member_id) != fold(selector.member_id)


def accepted(customer: Customer, *, created: bool) -> EventResult:
    """Stored for a customer."""
    return EventResult(EventStatus.ACCEPTED, customer_id=customer.customer_id, customer_created=created)
