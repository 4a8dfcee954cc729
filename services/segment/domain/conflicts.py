"""Whom hints lead to, and pairs of customers whom one report or line named (S-05e)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from libs.common.text import fold
from services.segment.domain.model import Binding, Customer, IdentityKey, Selector

CustomerOf = Callable[[UUID, UUID], Customer | None]
"""A customer of a team; None where there is none any more."""

_STRONG: Final = frozenset({"customer_id", "identity", "member_id"})


class Candidate(NamedTuple):
    """Whom a hint leads to."""

    customer_id: UUID
    field: str
    """The hint, by the name of its field."""

    @property
    def is_strong(self) -> bool:
        """Whether the hint cannot be of another member."""
        return self.field in _STRONG


class Conflict(NamedTuple):
    """Two customers whom one event or line named: the one it went to, and another."""

    team_id: UUID
    customer_id: UUID
    other_customer_id: UUID
    matched_field: str
    other_matched_field: str

    @property
    def pair(self) -> tuple[UUID, frozenset[UUID]]:
        """The team and both, whichever it went to."""
        return self.team_id, frozenset((self.customer_id, self.other_customer_id))


class Index(Protocol):
    """Where customers are looked up by what is known of them."""

    members: dict[tuple[UUID, str], UUID]
    phones: dict[tuple[UUID, str], UUID]
    emails: dict[tuple[UUID, str], UUID]
    tokens: dict[tuple[UUID, str], UUID]
    identities: dict[tuple[UUID, IdentityKey], Binding]


def candidates(index: Index, team: UUID, selector: Selector) -> Iterator[Candidate]:
    """The customers that the hints lead to, strongest first."""
    if selector.customer_id is not None:
        yield Candidate(selector.customer_id, "customer_id")
    if selector.identity is not None and (bound := index.identities.get((team, selector.identity))):
        yield Candidate(bound.customer_id, "identity")
    if selector.member_id is not None and (found := index.members.get((team, fold(selector.member_id)))):
        yield Candidate(found, "member_id")
    if selector.phone is not None and (found := index.phones.get((team, selector.phone))):
        yield Candidate(found, "phone")
    if selector.email is not None and (found := index.emails.get((team, fold(selector.email)))):
        yield Candidate(found, "email")
    if selector.browser_token is not None and (found := index.tokens.get((team, selector.browser_token))):
        yield Candidate(found, "browser_token")


def index_customer(index: Index, customer: Customer, customer_of: CustomerOf) -> None:
    """Lets what is known of a customer lead to them. Of several with one phone or address it leads to who was created
    first, as it does where they are stored; `customer_of` is a customer who is loaded."""
    team, id_ = customer.team_id, customer.customer_id
    if customer.member_id is not None:
        index.members.setdefault((team, fold(customer.member_id)), id_)
    if customer.phone is not None:
        holder = customer_of(team, index.phones.get((team, customer.phone), id_))
        if holder is None or holder.phone != customer.phone or _age(customer) <= _age(holder):
            index.phones[team, customer.phone] = id_
    if customer.email is not None:
        email = fold(customer.email)
        holder = customer_of(team, index.emails.get((team, email), id_))
        if holder is None or fold(holder.email or "") != email or _age(customer) <= _age(holder):
            index.emails[team, email] = id_


def conflicts_of(
    index: Index,
    customer: Customer,
    selector: Selector,
    customer_of: CustomerOf,
) -> Iterator[Conflict]:
    """Other customers than this one whom the hints lead to. A browser that another member uses names nobody: many
    people share one. `customer_of` is a customer of a team, None where there is none any more."""
    team = customer.team_id
    named = list(candidates(index, team, selector))
    matched = next((each.field for each in named if each.customer_id == customer.customer_id), None)
    if matched is None:
        return
    for each in named:
        other = customer_of(team, each.customer_id)
        if other is None or other.customer_id == customer.customer_id:
            continue
        if each.field == "browser_token" and _are_two_members(customer, other):
            continue
        yield Conflict(team, customer.customer_id, other.customer_id, matched, each.field)


def _age(customer: Customer) -> tuple[datetime, UUID]:
    assert customer.create_time is not None, "every customer has been created"
    return customer.create_time, customer.customer_id


def _are_two_members(one: Customer, other: Customer) -> bool:
    if one.member_id is None or other.member_id is None:
        return False
    return fold(one.member_id) != fold(other.member_id)
