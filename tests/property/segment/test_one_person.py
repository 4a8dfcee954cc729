"""One person is one person, in whatever order it is told who did what, and however often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.domain.events import record
from services.segment.domain.facts import OrderReported, OrderStage
from services.segment.domain.model import (
    ContactAdded,
    CustomerInteracted,
    Event,
    EventBody,
    IdentityKey,
    MessageReceived,
    OrderCompleted,
    OrderRefunded,
    Selector,
    Uncounted,
)
from services.segment.domain.recorder import EventContext, Recording
from tests.property.segment.test_events import ACCOUNT, START, TEAM, known_at_first, remember, some_ids

NUMBERS = ("886912345678", "5215512345678")
PHONES = ("+886912345678", "+525512345678")
Report = tuple[EventBody, Selector, str]


def _order(person: int) -> OrderCompleted:
    return OrderCompleted("s", f"o{person}", 1_000, "TWD", signed=True)


def _refund(person: int, number: int) -> OrderRefunded:
    return OrderRefunded("s", f"r{person}{number}", 100 * (number + 1), "TWD", f"o{person}", signed=True)


def _contact(person: int) -> IdentityKey:
    return IdentityKey(2, ACCOUNT, NUMBERS[person])


@st.composite
def _reports(draw: st.DrawFn) -> Report:
    """Somebody's order or refund, with and without a word of who they are, or a word of theirs on WhatsApp."""
    person = draw(st.integers(0, 1))
    subject = draw(st.sampled_from([_order(person), *(_refund(person, number) for number in range(2)), None]))
    if subject is None:
        bodies: list[EventBody] = [ContactAdded(_contact(person)), MessageReceived(_contact(person), "hello")]
        return draw(st.sampled_from(bodies)), Selector(), draw(st.sampled_from(["", f"Name {person}"]))
    if draw(st.booleans()):
        return subject, Selector(), ""
    selector = Selector(
        phone=PHONES[person],
        member_id=draw(st.sampled_from([None, f"m{person}"])),
        email=draw(st.sampled_from([None, f"{person}@example.com"])),
        browser_token=draw(st.sampled_from([None, f"t{person}"])),
    )
    return subject, selector, draw(st.sampled_from(["", f"Name {person}"]))


def _end(reports: Sequence[Report]) -> dict[Any, Any]:
    """The persons, and what each has in orders less refunds that earn."""
    known, ids = known_at_first(unsigned_counts=False), some_ids()
    told: list[Recording] = []
    for number, (body, selector, name) in enumerate(reports):
        event = Event(TEAM, f"e{number}", selector, START, body, name)
        told.append(record(known, [event], START, ids))
        remember(known, told[-1])
    earned = _earned(known, [fact.body for recording in told for fact in recording.facts])
    persons = {
        (
            customer.member_id,
            customer.name,
            customer.phone,
            customer.email,
            frozenset(key for (_, key), bound in known.identities.items() if bound.customer_id == own),
            frozenset(token for (_, token), whose in known.tokens.items() if whose == own),
        ): earned[own]
        for (_, own), customer in known.customers.items()
    }
    assert len(persons) == len(known.customers)
    return persons


def _earned(known: EventContext, facts: Sequence[object]) -> Counter[UUID]:
    """By customer, what is left of the orders that were told when the customer had a phone."""
    paid = [fact for fact in facts if isinstance(fact, OrderReported) and fact.stage == OrderStage.COMPLETED]
    assert len({fact.order_key for fact in paid}) == len(paid)
    earned: Counter[UUID] = Counter()
    for (team, shop, order_id), order in known.orders.items():
        if order.customer_id is None or order.uncounted != Uncounted.COUNTS:
            continue
        assert all(fact.has_phone for fact in paid if fact.order_key == order.order_key)
        refunds = [
            refund
            for (of_team, of_shop, _), refund in known.refunds.items()
            if (of_team, of_shop, refund.body.order_id) == (team, shop, order_id)
        ]
        assert all(refund.uncounted == Uncounted.COUNTS for refund in refunds)
        assert {refund.customer_id for refund in refunds} <= {order.customer_id}
        taken = sum(refund.body.amount_micros for refund in refunds)
        earned[order.customer_id] += order.body.amount_micros - taken
    return earned


@pytest.mark.rule("S-01e")
@settings(max_examples=400)
@given(st.lists(_reports(), min_size=2, max_size=5), st.data())
def test_any_order_and_any_repetition_ends_in_the_same_persons_and_balances(
    reports: list[Report], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(reports), max_size=4))
    other = data.draw(st.permutations([*reports, *repeated]))
    persons = _end(reports)
    assert _end(other) == persons
    phones = [phone for _, _, phone, *_ in persons]
    assert set(phones) <= set(PHONES)
    assert len(phones) == len(set(phones)), "a person is one customer"


def test_an_identity_is_a_stronger_hint_than_a_member_id_and_that_than_a_phone() -> None:
    known, ids = known_at_first(unsigned_counts=False), some_ids()

    def told(key: str, body: EventBody, **hints: Any) -> UUID | None:
        recording = record(known, [Event(TEAM, key, Selector(**hints), START, body)], START, ids)
        remember(known, recording)
        return recording.results[0].customer_id

    line = IdentityKey(1, ACCOUNT, "U1")
    on_line = told("e1", ContactAdded(line))
    member = told("e2", CustomerInteracted(), member_id="m0", email="0@example.com")
    caller = told("e3", CustomerInteracted(), phone=PHONES[0], browser_token="t0")
    assert len({on_line, member, caller}) == 3
    hints = {"member_id": "m0", "phone": PHONES[0], "email": "0@example.com", "browser_token": "t0"}
    # The weakest first: whoever an event is of gains what it tells, and of two with one phone the older one is found.
    assert told("e4", CustomerInteracted(), email="0@example.com", browser_token="t0") == member
    assert told("e5", CustomerInteracted(), phone=PHONES[0], email="0@example.com") == caller
    assert told("e6", CustomerInteracted(), **hints) == member
    assert told("e7", CustomerInteracted(), identity=line, **hints) == on_line
    assert told("e8", CustomerInteracted(), phone=PHONES[0]) == on_line
