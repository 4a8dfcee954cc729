"""The usual event: its customer is known, its key is new, and so is the identity or the order that it is about.

What follows from such events is decided before anything is locked, by the same rules as everything (`record`), for
customers of whom no more is known than that they have whatever the event says of them. Whether that is how things are
the database finds out while it writes, event by event; what is otherwise is left to `record` with everything read. Each
usual event makes one fact, which is mail. Events of one batch name each customer, key, identity and order once, so they
can be written in any order, and some of them without the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.text import fold
from services.segment.domain.facts import Fact
from services.segment.domain.keys import content_of_event, digest_of
from services.segment.domain.model import (
    Binding,
    ContactAdded,
    Customer,
    CustomerInteracted,
    Event,
    IdentityKey,
    OrderCompleted,
    Selector,
    TeamInteracted,
)
from services.segment.domain.recorder import EventContext, Recording
from services.segment.domain.results import EventResult

_TOUCHES: Final = frozenset({CustomerInteracted, TeamInteracted})
SOME_TEXT: Final = "?"
"""Stands for a text that is there, whatever it says."""


class Hint(NamedTuple):
    """The strongest hint at the customer of an order who is not named by id: one of the three, as it is searched by."""

    team_id: UUID
    member_id: str | None
    phone: str | None
    email: str | None
    shop_id: str
    order_id: str


class Found(NamedTuple):
    """Whom a hint leads to."""

    customer_id: UUID | None
    has_phone: bool
    known_order: bool = False
    """The order was reported before."""


class Decided(NamedTuple):
    """What follows from usual events, if all is as it is presumed to be: of each in its place one fact about one
    customer."""

    facts: Sequence[Fact]
    customers: Sequence[Customer]
    """With what they are presumed to have, and what the events leave."""
    results: Sequence[EventResult]
    identities: Mapping[tuple[UUID, IdentityKey], Binding]
    """Those that the events bind."""
    has_orders: bool


class Touch(NamedTuple):
    """An event that leaves nothing but a time of its customer."""

    team_id: UUID
    event_key: str
    digest: bytes
    customer_id: UUID
    at: datetime
    by_customer: bool
    """The customer did something, and not the team to them."""


def hints_of(events: Iterable[Event]) -> list[Hint] | None:
    """The hints by which customers of usual events have to be found; None if any event is not usual by its form."""
    hints: list[Hint] = []
    for event in events:
        if _subject(event) is None:
            return None
        if event.selector.customer_id is None:
            hint = hint_of(event)
            if hint is None:
                return None
            hints.append(hint)
    return hints


def hint_of(event: Event) -> Hint | None:
    """The hint of an order that does not name its customer by id."""
    selector, body = event.selector, event.body
    if selector.customer_id is not None or not isinstance(body, OrderCompleted):
        return None
    member_id, phone, email = selector.member_id, selector.phone, selector.email
    if member_id is not None:
        member_id, phone, email = fold(member_id), None, None
    elif phone is not None:
        email = None
    elif email is not None:
        email = fold(email)
    else:
        return None
    return Hint(event.team_id, member_id, phone, email, body.shop_id, body.order_id)


def usual_context(events: Sequence[Event], found: Mapping[Hint, Found]) -> EventContext | None:
    """How things are if all events are usual; None if any is not. `found` is whom their hints lead to."""
    context = EventContext(unsigned_counts={})
    named: list[tuple[object, ...]] = []
    for event in events:
        customer, subject = _customer_of(event, found), _subject(event)
        if customer is None or subject is None:
            return None
        team, selector = event.team_id, event.hints
        context.unsigned_counts[team] = False
        context.customers[team, customer.customer_id] = customer
        _index(context, hint_of(event), customer)
        named += (
            (team, "key", event.event_key),
            (team, "subject", subject),
            *((team, kind, fold(text)) for kind, text in _texts(selector) if text is not None),
        )
    # What two events name makes the one depend on the other, if only by what the first adds to its customer.
    if len(context.customers) < len(events) or len(set(named)) < len(named):
        return None
    return context


def decided_of(recording: Recording) -> Decided:
    """What was decided for a `usual_context`."""
    changed = {(each.team_id, each.customer_id): each for each in recording.changed}
    customers = [changed[fact.team_id, fact.customer_id] for fact in recording.facts]  # type: ignore[index]  # of somebody
    return Decided(
        recording.facts, customers, recording.results, recording.identities, bool(recording.orders)
    )


def are_apart(teams: Sequence[UUID], named: Sequence[Hashable]) -> bool:
    """Whether no two events of a team name the same."""
    return len(set(named)) == len(named) or len(set(zip(teams, named, strict=True))) == len(named)


def touches_of(events: Sequence[Event], now: datetime) -> list[Touch] | None:
    """What the events leave, if each leaves nothing but a time of another customer, who is named by id alone; None if
    any may leave more. It is what `record` decides of them, without its state: a test holds the two together."""
    if not all(map(_is_touch, events)):
        return None
    teams = [event.team_id for event in events]
    if not (
        are_apart(teams, [event.selector.customer_id for event in events])
        and are_apart(teams, [event.event_key for event in events])
    ):
        return None
    return [
        Touch(
            event.team_id,
            event.event_key,
            digest_of(content_of_event(event)),
            event.selector.customer_id,  # type: ignore[arg-type]  # it was looked at
            min(event.occurred_at, now),
            type(event.body) is CustomerInteracted,
        )
        for event in events
    ]


def _is_touch(event: Event) -> bool:
    selector = event.selector
    return (
        type(event.body) in _TOUCHES
        and not event.customer_name
        and selector.customer_id is not None
        and selector.is_id_alone
    )


def _texts(selector: Selector) -> tuple[tuple[str, str | None], ...]:
    return ("member", selector.member_id), ("phone", selector.phone), ("email", selector.email)


def _subject(event: Event) -> tuple[object, ...] | None:
    """The identity or the order that the event is about; None for an event that is not usual."""
    selector, body = event.selector, event.body
    if selector.browser_token is not None:
        return None
    if isinstance(body, ContactAdded):
        return body.identity if selector.identity in (None, body.identity) else None
    if isinstance(body, OrderCompleted) and body.signed and not body.test and selector.identity is None:
        return (body.shop_id, body.order_id)
    return None


def _customer_of(event: Event, found: Mapping[Hint, Found]) -> Customer | None:
    """A customer who lacks nothing that the event says; None if nobody is found, or known to lack something.

    Of one who is named by id nobody knows whether they have a phone: orders take it that they have.
    """
    selector = event.hints
    customer_id, has_phone = selector.customer_id, isinstance(event.body, OrderCompleted)
    if customer_id is None:
        hint = hint_of(event)
        if hint is None:
            return None
        customer_id, has_phone, known_order = found[hint]
        if customer_id is None or known_order or (selector.phone is not None and not has_phone):
            return None
    return Customer(
        team_id=event.team_id,
        customer_id=customer_id,
        member_id=selector.member_id,
        name=event.customer_name,
        phone=selector.phone or (SOME_TEXT if has_phone else None),
        email=selector.email,
    )


def _index(context: EventContext, hint: Hint | None, customer: Customer) -> None:
    """Lets the hint lead to the customer."""
    if hint is None:
        return
    if hint.member_id is not None:
        context.members[hint.team_id, hint.member_id] = customer.customer_id
    elif hint.phone is not None:
        context.phones[hint.team_id, hint.phone] = customer.customer_id
    elif hint.email is not None:
        context.emails[hint.team_id, hint.email] = customer.customer_id
