"""Who changes their number on WhatsApp stays who they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from uuid import UUID

import pytest

from libs.common.moved_ids import Move
from services.segment.domain.conflicts import Conflict
from services.segment.domain.events import record
from services.segment.domain.facts import ContactJoined, MessageTaken, is_quiet
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


def told(context: EventContext, *bodies: EventBody, later_s: int = 0) -> Recording:
    """What is made of events, one after the other; all at one time, or each so many seconds after the one before."""
    times = [NOW + timedelta(seconds=later_s * n) for n in range(len(bodies))]
    events = [
        Event(TEAM, f"e{n}", Selector(), at, body)
        for n, (at, body) in enumerate(zip(times, bodies, strict=True))
    ]
    ids = (UUID(int=n) for n in count(1_000))
    recording = record(context, events, NOW, ids)
    assert {result.status for result in recording.results} <= {EventStatus.ACCEPTED, EventStatus.DUPLICATE}
    return recording


def remember(context: EventContext, recording: Recording) -> None:
    """What a database would know after it."""
    for person in [*recording.created, *recording.changed]:
        context.customers[TEAM, person.customer_id] = person
    context.phones = {
        (TEAM, each.phone): each.customer_id for each in context.customers.values() if each.phone
    }
    for team, _, key in recording.unbound:
        del context.identities[team, key]
    for bound in recording.bound:
        context.identities[TEAM, bound.key] = Binding(bound.customer_id, *bound[3:])
    context.identities.update(recording.switched)
    context.keys.update(recording.keys)


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
    recording = told(
        known((customer(MEI, PHONES[OLD]), OLD)), moved(), moved(), MessageReceived(OLD), later_s=1
    )
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


def at(seconds: int, body: EventBody, phone: str | None = None) -> Event:
    """What happened so many seconds after the change, as the gateway tells it."""
    own = getattr(body, "identity", None)
    when = NOW + timedelta(seconds=seconds)
    selector = Selector(phone=phone if phone is not None or own is None else own.phone)
    return Event(TEAM, f"{seconds} {type(body).__name__} {own}", selector, when, body)


CHANGE = at(0, moved())
BEFORE = at(-60, MessageReceived(OLD, "wait for me"))
AFTER = at(60, MessageReceived(NEW, "here I am"))
STRANGER = at(3600, MessageReceived(OLD, "who is this?"))


def people(known_first: EventContext, *events: Event) -> dict[str, UUID]:
    """Who wrote each text, event by event as if each was told by itself."""
    said: dict[str, UUID] = {}
    moves: dict[tuple[UUID, IdentityKey], list[Move]] = {}
    ids = (UUID(int=n) for n in count(1_000))
    for event in events:
        recording = record(known_first, [event], NOW + timedelta(days=1), ids)
        remember(known_first, recording)
        for team, key, move in recording.moves:
            moves.setdefault((team, key), []).append(move)
        known_first.moves = moves
        for fact in recording.facts:
            if isinstance(fact.body, MessageTaken):
                assert fact.customer_id is not None
                said[fact.body.text] = fact.customer_id
    return said


def tellable(order: tuple[Event, ...], *, is_known: bool) -> bool:
    """Whether one person can be told from the other: the number is known to have changed hands before a stranger writes
    from it, and nobody is known by both numbers before the change is told, who are two customers then, and listed."""
    told = order.index
    new_first = told(AFTER) < told(CHANGE)
    return told(CHANGE) < told(STRANGER) and not (new_first and (is_known or told(BEFORE) < told(CHANGE)))


ORDERS = [
    (order, is_known)
    for is_known in (True, False)
    for order in permutations((CHANGE, BEFORE, AFTER, STRANGER))
    if tellable(order, is_known=is_known)
]


@pytest.mark.rule("S-05d", "P-03b")
@pytest.mark.parametrize(("order", "is_known"), ORDERS)
def test_in_whatever_order_it_is_told_one_person_stays_one_and_the_next_is_another(
    order: tuple[Event, ...], is_known: bool
) -> None:
    context = known((customer(MEI, PHONES[OLD]), OLD)) if is_known else EventContext({TEAM: False})
    said = people(context, *order)
    assert said["wait for me"] == said["here I am"] != said["who is this?"]
    assert not is_known or said["here I am"] == MEI
    bound = {key: binding.customer_id for (_, key), binding in context.identities.items()}
    assert bound == {NEW: said["here I am"], OLD: said["who is this?"]}
    assert context.customers[TEAM, said["here I am"]].phone == PHONES[NEW]


@pytest.mark.rule("S-05d")
def test_several_changes_are_followed_by_their_times_and_back_again() -> None:
    there, back = at(0, moved()), at(100, moved(NEW, OLD))
    context = known((customer(MEI, PHONES[OLD]), OLD))
    late = [
        at(-5, MessageReceived(OLD, "a")),
        at(50, MessageReceived(NEW, "b")),
        at(200, MessageReceived(OLD, "c")),
    ]
    assert people(context, there, back, *late) == {"a": MEI, "b": MEI, "c": MEI}
    context = known((customer(MEI, PHONES[OLD]), OLD))
    on = at(100, moved(NEW, THIRD))
    assert people(
        context, on, there, at(-5, MessageReceived(OLD, "a")), at(150, MessageReceived(THIRD, "d"))
    ) == {
        "a": MEI,
        "d": MEI,
    }
    assert {key for _, key in context.identities} == {THIRD}
