"""What must hold of any batch of reports, and of the same reports cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.segment.domain.events import record
from services.segment.domain.facts import OrderReported, OrderStage, is_mail
from services.segment.domain.model import (
    Binding,
    ContactAdded,
    ContactBlocked,
    ContactMoved,
    CustomerInteracted,
    Event,
    EventBody,
    IdentityKey,
    MessageReceived,
    OrderCompleted,
    OrderRefunded,
    Selector,
)
from services.segment.domain.recorder import EventContext, Recording
from services.segment.domain.results import EventStatus

TEAM = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = UUID(int=7)

_identities = st.integers(1, 3).map(lambda number: IdentityKey(2, ACCOUNT, str(number)))
_orders = st.builds(
    OrderCompleted,
    shop_id=st.just("s"),
    order_id=st.sampled_from(["o1", "o2", "o3"]),
    amount_micros=st.integers(0, 5),
    currency=st.just("TWD"),
    order_number=st.sampled_from(["", "#1"]),
    signed=st.booleans(),
    test=st.sampled_from([False, False, False, True]),
)
_refunds = st.builds(
    OrderRefunded,
    shop_id=st.just("s"),
    refund_id=st.sampled_from(["r1", "r2"]),
    amount_micros=st.integers(0, 5),
    currency=st.just("TWD"),
    order_id=st.sampled_from(["", "o1", "o2"]),
    signed=st.booleans(),
)
_moves = (
    st.tuples(_identities, st.sampled_from(["1", "2", "3"]))
    .filter(lambda move: move[0].external_id != move[1])
    .map(lambda move: ContactMoved(*move))
)
_contacts = st.one_of(
    _moves,
    st.builds(ContactAdded, _identities),
    st.builds(ContactBlocked, _identities),
    st.builds(MessageReceived, _identities),
)
_selectors = st.builds(
    Selector,
    member_id=st.sampled_from([None, "m1", "M1", "m2"]),
    phone=st.sampled_from([None, "+44700000001", "+44700000002"]),
    email=st.sampled_from([None, "a@example.com"]),
    identity=st.none() | _identities,
    browser_token=st.sampled_from([None, "t1"]),
)


@st.composite
def _events(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    for number in range(draw(st.integers(1, 12))):
        body: EventBody = draw(_orders | _refunds | _contacts | st.just(CustomerInteracted()))
        selector = draw(_selectors)
        if isinstance(body, CustomerInteracted) and selector.is_empty():
            selector = Selector(member_id="m1")
        at = START + timedelta(hours=draw(st.integers(0, 5)))
        events.append(Event(TEAM, f"e{number}", selector, at, body))
    return events


def _told(number: int, body: EventBody, **hints: object) -> Event:
    return Event(TEAM, f"e{number}", Selector(**hints), START, body)  # type: ignore[arg-type]


_FIRST_CONTACT = IdentityKey(2, ACCOUNT, "1")
# Whoever came first gets, later, what somebody else has already; then somebody is named by it.
TWO_WITH_ONE_ADDRESS = [
    _told(0, ContactAdded(_FIRST_CONTACT)),
    _told(1, CustomerInteracted(), member_id="m2", email="a@example.com"),
    _told(2, MessageReceived(_FIRST_CONTACT), email="a@example.com"),
    _told(3, CustomerInteracted(), email="a@example.com"),
]
TWO_WITH_ONE_PHONE = [
    _told(0, ContactAdded(_FIRST_CONTACT)),
    _told(1, CustomerInteracted(), member_id="m2", phone="+44700000001"),
    _told(2, MessageReceived(_FIRST_CONTACT), phone="+44700000001"),
    _told(3, CustomerInteracted(), phone="+44700000001"),
]


def some_ids() -> Iterator[UUID]:
    """As the service gives them: all different."""
    number = 1_000
    while True:
        number += 1
        yield UUID(int=number)


def known_at_first(*, unsigned_counts: bool) -> EventContext:
    """Nobody."""
    return EventContext(unsigned_counts={TEAM: unsigned_counts})


def remember(known: EventContext, recording: Recording) -> None:
    """What a database would know after the recording."""
    for customer in [*recording.created, *recording.changed]:
        known.customers[customer.team_id, customer.customer_id] = customer
    for found in (known.members, known.phones, known.emails):
        found.clear()
    ordered = sorted(known.customers.values(), key=lambda customer: customer.customer_id)
    for customer in ordered:
        if customer.member_id is not None:
            known.members.setdefault((TEAM, customer.member_id.casefold()), customer.customer_id)
        if customer.phone is not None:
            known.phones.setdefault((TEAM, customer.phone), customer.customer_id)
        if customer.email is not None:
            known.emails.setdefault((TEAM, customer.email.casefold()), customer.customer_id)
    for team, _, key in recording.unbound:
        del known.identities[team, key]
    for bound in recording.bound:
        known.identities[TEAM, bound.key] = Binding(bound.customer_id, *bound[3:])
        known.departures.pop((TEAM, bound.key), None)
    known.identities.update(recording.switched)
    known.departures.update(recording.departed)
    moves = {key: [*each] for key, each in known.moves.items()}
    for team, key, move in recording.moves:
        moves.setdefault((team, key), []).append(move)
    known.moves = moves
    known.tokens.update(recording.tokens)
    known.orders.update(recording.orders)
    known.refunds.update(recording.refunds)
    known.keys.update(recording.keys)


some_events = _events()


@given(_events(), st.booleans())
def test_every_report_is_answered_and_numbers_have_no_gaps(events: list[Event], allowed: bool) -> None:
    recording = record(known_at_first(unsigned_counts=allowed), events, START, some_ids())
    assert len(recording.results) == len(events)
    last: dict[UUID | None, int] = {}
    for fact in recording.facts:
        assert (fact.mail_number is not None) == is_mail(fact.body)
        if fact.mail_number is not None:
            assert fact.mail_number == last.get(fact.customer_id, 0) + 1
            last[fact.customer_id] = fact.mail_number
    for customer in recording.created:
        assert customer.mail_number == last.get(customer.customer_id, 0)


@pytest.mark.rule("C-21a")
@given(_events(), st.booleans())
def test_an_order_is_completed_once_at_most(events: list[Event], allowed: bool) -> None:
    recording = record(known_at_first(unsigned_counts=allowed), events, START, some_ids())
    completed = [
        fact.body.order.order_id
        for fact in recording.facts
        if isinstance(fact.body, OrderReported) and fact.body.stage == OrderStage.COMPLETED
    ]
    assert len(completed) == len(set(completed))


@given(_events(), st.booleans(), st.integers(1, 11))
@example(TWO_WITH_ONE_ADDRESS, False, 2)
@example(TWO_WITH_ONE_ADDRESS, False, 3)
@example(TWO_WITH_ONE_PHONE, False, 3)
def test_batches_may_be_cut_anywhere(events: list[Event], allowed: bool, cut: int) -> None:
    whole = record(known_at_first(unsigned_counts=allowed), events, START, some_ids())
    known = known_at_first(unsigned_counts=allowed)
    ids = some_ids()
    parts: list[Recording] = []
    for part in (events[:cut], events[cut:]):
        parts.append(record(known, part, START, ids))
        remember(known, parts[-1])
    assert [result for part in parts for result in part.results] == whole.results
    assert [fact.body for part in parts for fact in part.facts] == [fact.body for fact in whole.facts]
    assert [fact.mail_number for part in parts for fact in part.facts] == [f.mail_number for f in whole.facts]


@given(_events(), st.booleans())
def test_a_repeated_batch_changes_nothing(events: list[Event], allowed: bool) -> None:
    known = known_at_first(unsigned_counts=allowed)
    first = record(known, events, START, some_ids())
    remember(known, first)
    again = record(known, events, START, some_ids())
    refused = {index for index, result in enumerate(first.results) if result.status == EventStatus.REFUSED}
    statuses = {result.status for index, result in enumerate(again.results) if index not in refused}
    assert statuses <= {EventStatus.DUPLICATE}
    if not refused:
        assert again.facts == []
