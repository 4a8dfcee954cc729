"""Who changes their number on WhatsApp stays who they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest

from services.segment.domain.conflicts import Conflict
from services.segment.domain.events import record
from services.segment.domain.facts import ContactJoined, is_quiet
from services.segment.domain.model import (
    Binding,
    ContactMoved,
    Customer,
    Event,
    EventBody,
    IdentityKey,
    MessageReceived,
    Selector,
)
from services.segment.domain.recorder import EventContext, Recording
from services.segment.domain.results import EventStatus

TEAM, MEI, AN = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW, THIRD = (IdentityKey(2, UUID(int=7), f"88691200000{n}") for n in range(3))
PHONES = {key: f"+{key.external_id}" for key in (OLD, NEW, THIRD)}


def customer(customer_id: UUID, phone: str | None) -> Customer:
    return Customer(TEAM, customer_id, phone=phone, create_time=NOW - timedelta(days=9))


def known(*people: tuple[Customer, IdentityKey], **binding: object) -> EventContext:
    context = EventContext(unsigned_counts={TEAM: False})
    for person, key in people:
        context.customers[TEAM, person.customer_id] = person
        context.identities[TEAM, key] = Binding(person.customer_id, **{"blocked": False, **binding})  # type: ignore[arg-type]
        if person.phone is not None:
            context.phones[TEAM, person.phone] = person.customer_id
    return context


def told(context: EventContext, *bodies: EventBody) -> Recording:
    events = [Event(TEAM, f"e{n}", Selector(), NOW, body) for n, body in enumerate(bodies)]
    ids = (UUID(int=n) for n in count(1_000))
    recording = record(context, events, NOW, ids)
    assert {result.status for result in recording.results} <= {EventStatus.ACCEPTED, EventStatus.DUPLICATE}
    return recording


def moved(old: IdentityKey = OLD, new: IdentityKey = NEW) -> ContactMoved:
    return ContactMoved(old, new.external_id)


@pytest.mark.rule("S-05d", "P-03b")
@pytest.mark.parametrize("blocked", [False, True])
def test_an_identity_moves_with_whether_it_is_blocked_and_the_phone_goes_along(blocked: bool) -> None:
    recording = told(known((customer(MEI, PHONES[OLD]), OLD), blocked=blocked), moved())
    assert recording.identities == {(TEAM, NEW): Binding(MEI, blocked)}
    assert recording.unbound == [(TEAM, MEI, OLD)]
    assert [(each.customer_id, each.phone) for each in recording.changed] == [(MEI, PHONES[NEW])]
    assert (recording.created, recording.conflicts) == ([], [])
    assert all(is_quiet(fact.body) for fact in recording.facts if isinstance(fact.body, ContactJoined))


@pytest.mark.rule("S-01e")
@pytest.mark.parametrize("phone", ["+886955555555", None])
def test_another_phone_stays(phone: str | None) -> None:
    recording = told(known((customer(MEI, phone), OLD)), moved())
    assert [each.phone for each in recording.changed] == [phone]


@pytest.mark.rule("S-05e")
def test_a_number_that_is_another_customers_stays_theirs_and_the_pair_is_listed() -> None:
    context = known((customer(MEI, PHONES[OLD]), OLD), (customer(AN, PHONES[NEW]), NEW))
    recording = told(context, moved())
    assert recording.identities == {(TEAM, NEW): Binding(AN, False)}
    assert recording.conflicts == [Conflict(TEAM, MEI, AN, "identity", "identity")]


@pytest.mark.rule("S-05d")
def test_one_who_has_both_already_was_there_when_either_was() -> None:
    context = known((customer(MEI, None), OLD))
    context.identities[TEAM, OLD] = Binding(MEI, False, seen_at=NOW - timedelta(hours=1))
    context.identities[TEAM, NEW] = Binding(MEI, True, left_at=NOW - timedelta(hours=2))
    recording = told(context, moved())
    assert recording.identities[TEAM, NEW].blocked is False
    assert (TEAM, OLD) not in recording.identities


@pytest.mark.rule("S-05d")
def test_what_nobody_has_or_was_used_since_stays_as_it_is() -> None:
    nobody = told(EventContext(unsigned_counts={TEAM: False}), moved())
    assert (nobody.created, nobody.bound, nobody.facts) == ([], [], [])
    context = known((customer(MEI, PHONES[OLD]), OLD), seen_at=NOW + timedelta(minutes=1))
    assert told(context, moved()).facts == []


@pytest.mark.rule("S-05d")
def test_told_again_it_changes_nothing_and_the_next_owner_of_the_number_is_somebody_else() -> None:
    recording = told(known((customer(MEI, PHONES[OLD]), OLD)), moved(), moved(), MessageReceived(OLD))
    assert recording.identities[TEAM, NEW].customer_id == MEI
    assert [(each.phone, each.customer_id == MEI) for each in recording.created] == [(PHONES[OLD], False)]
    assert recording.identities[TEAM, OLD].customer_id == recording.created[0].customer_id


@pytest.mark.rule("S-05d")
def test_two_changes_in_one_batch_and_back_again() -> None:
    context = known((customer(MEI, PHONES[OLD]), OLD))
    there = told(context, moved(), moved(NEW, THIRD), MessageReceived(THIRD))
    assert {key: each.customer_id for (_, key), each in there.identities.items()} == {THIRD: MEI}
    assert [bound.key for bound in there.bound] == [THIRD]
    back = told(context, moved(), moved(NEW, OLD))
    assert {key: each.customer_id for (_, key), each in back.identities.items()} == {OLD: MEI}
    assert [each.phone for each in back.changed] == [PHONES[OLD]]
