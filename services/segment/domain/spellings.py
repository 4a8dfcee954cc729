"""Texts by which customers are known: as a release before spelled them, and as they are spelled now. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.ids import CustomerKey
from libs.common.phones import read_phone, whatsapp_id
from libs.common.text import as_address, as_key, fold
from services.segment.domain.conflicts import Conflict
from services.segment.domain.customer_changes import CustomerChanges
from services.segment.domain.facts import ContactJoined, ContactLeft, ContactRemoved, ContactReturned, Fact
from services.segment.domain.merging import AliasKind
from services.segment.domain.model import Binding, Customer, Event, IdentityKey, Selector, TeamInteracted
from services.segment.domain.recorder import BoundIdentity, EventContext


class Alias(NamedTuple):
    """A text that led to somebody who was merged into the customer, folded as it is kept."""

    kind: AliasKind
    text: str


class Spelled(NamedTuple):
    """What a customer is known by."""

    customer_id: UUID
    member_id: str | None
    phone: str | None
    email: str | None
    identities: tuple[IdentityKey, ...]
    """On WhatsApp."""
    aliases: tuple[Alias, ...] = ()


def spelled_now(known: Spelled, country: str) -> Spelled:
    """The same as all doors spell it now, in the same order. What cannot be read stays as it is."""
    return known._replace(
        member_id=(as_key(known.member_id) or known.member_id) if known.member_id else known.member_id,
        phone=(read_phone(known.phone, country) or known.phone) if known.phone else known.phone,
        email=(as_address(known.email) or known.email) if known.email else known.email,
        identities=tuple(
            key._replace(external_id=whatsapp_id(key.external_id, country) or key.external_id)
            for key in known.identities
        ),
        aliases=tuple(Alias(kind, _alias_now(kind, text, country) or text) for kind, text in known.aliases),
    )


def _alias_now(kind: AliasKind, text: str, country: str) -> str | None:
    match kind:
        case AliasKind.MEMBER_ID:
            return fold(as_key(text))
        case AliasKind.EMAIL:
            return fold(as_address(text))
        case AliasKind.PHONE:
            return read_phone(text, country)


def hints_of_spelling(team_id: UUID, now: Spelled, at: datetime) -> list[Event]:
    """Events that name whatever a customer is known by: whom it leads to is read as theirs is."""
    selectors = [Selector(now.customer_id, now.member_id, now.phone, now.email)]
    selectors += [Selector(now.customer_id, identity=key) for key in now.identities]
    for kind, text in now.aliases:
        member_id, phone, email = (
            text if kind is each else None for each in (AliasKind.MEMBER_ID, AliasKind.PHONE, AliasKind.EMAIL)
        )
        selectors.append(Selector(now.customer_id, member_id, phone, email))
    return [Event(team_id, "", selector, at, TeamInteracted()) for selector in selectors]


_FIELDS: Final = {
    AliasKind.MEMBER_ID: "member_id",
    AliasKind.EMAIL: "email",
    AliasKind.PHONE: "phone",
}


class Respelled(msgspec.Struct):
    """What is to be written of a customer."""

    key: CustomerKey
    changed: list[Customer]
    bound: list[BoundIdentity]
    unbound: list[tuple[UUID, UUID, IdentityKey]]
    switched: dict[tuple[UUID, IdentityKey], Binding]
    conflicts: list[Conflict]
    facts: list[Fact]
    aliases: list[tuple[Alias, Alias]]
    """As they are kept, and as they are to be."""


class Respelling:
    """Spells what a customer is known by. What is somebody else's already stays with both, and the pair is listed; an
    identity is never without its customer."""

    def __init__(self, context: EventContext, customer: Customer, at: datetime, ids: Iterator[UUID]) -> None:
        """`context` is whatever the old and the new spellings lead to."""
        self._context = context
        self._customer = customer
        self._pending = CustomerChanges(context.customers, at, ids)
        self._pending.quiet = True
        self._made = Respelled(
            (customer.team_id, customer.customer_id), [], [], [], {}, [], self._pending.facts, []
        )

    def done(self, identities: dict[IdentityKey, IdentityKey], was: Spelled, now: Spelled) -> Respelled:
        """What is to be written; `identities` are old ones with their new spellings."""
        self._basics(now)
        for old, new in identities.items():
            self._identity(old, new)
        for before, after in zip(was.aliases, now.aliases, strict=True):
            if before != after and not self._is_others(_FIELDS[after.kind], self._led_to(after)):
                self._made.aliases.append((before, after))
        self._made.changed = self._pending.changed_customers()
        return self._made

    def _basics(self, now: Spelled) -> None:
        team, customer, context = self._customer.team_id, self._customer, self._context
        fields: dict[str, str | None] = {}
        if now.member_id != customer.member_id and now.member_id is not None:
            holder = context.members.get((team, fold(now.member_id)))
            if not self._is_others("member_id", holder):
                fields["member_id"] = now.member_id
        if now.phone != customer.phone and now.phone is not None:
            self._is_others("phone", context.phones.get((team, now.phone)))
            fields["phone"] = now.phone
        if now.email != customer.email and now.email is not None:
            self._is_others("email", context.emails.get((team, fold(now.email))))
            fields["email"] = now.email
        if fields:
            self._pending.change(customer, **fields)

    def _led_to(self, alias: Alias) -> UUID | None:
        holders = {
            AliasKind.MEMBER_ID: self._context.members,
            AliasKind.EMAIL: self._context.emails,
            AliasKind.PHONE: self._context.phones,
        }
        return holders[alias.kind].get((self._customer.team_id, alias.text))

    def _identity(self, old: IdentityKey, new: IdentityKey) -> None:
        team, customer_id = self._customer.team_id, self._customer.customer_id
        was, other = self._context.identities[team, old], self._context.identities.get((team, new))
        if other is not None and self._is_others("identity", other.customer_id):
            return
        self._made.unbound.append((team, customer_id, old))
        self._pending.change(self._customer)
        self._tell(ContactRemoved(old))
        left_at = self._context.departures.get((team, new)) if other is None else was.left_at
        binding = was if other is None else other
        if other is not None and was.seen_at is not None:
            binding = binding.seen(was.seen_at)
        if left_at is not None:
            binding = binding.left(left_at)
        if other is None:
            self._made.bound.append(BoundIdentity(team, customer_id, new, *binding[1:]))
            self._tell(ContactJoined(new))
            if binding.blocked:
                self._tell(ContactLeft(new))
        elif binding != other:
            self._made.switched[team, new] = binding
            if binding.blocked != other.blocked:
                self._tell(ContactLeft(new) if binding.blocked else ContactReturned(new))

    def _is_others(self, field: str, holder: UUID | None) -> bool:
        """Whether a spelling leads to somebody else; the pair is listed then."""
        own = self._customer.customer_id
        if holder is None or holder == own:
            return False
        self._made.conflicts.append(Conflict(self._customer.team_id, own, holder, field, field))
        return True

    def _tell(self, body: ContactJoined | ContactLeft | ContactRemoved | ContactReturned) -> None:
        self._pending.emit(self._customer, self._pending.now, body)
