"""What is decided of usual events before anything is read is what is decided with everything read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.segment.domain.changes import Way, ways_of
from services.segment.domain.customer_changes import later
from services.segment.domain.events import record
from services.segment.domain.facts import is_mail
from services.segment.domain.model import (
    AttributeChange,
    Change,
    ContactAdded,
    Customer,
    CustomerInteracted,
    Event,
    EventBody,
    IdentityKey,
    Item,
    MarketedChange,
    OrderCompleted,
    Selector,
    TagChange,
    TeamInteracted,
)
from services.segment.domain.plain_orders import plain_orders
from services.segment.domain.recorder import EventContext
from services.segment.domain.results import EventResult, EventStatus
from services.segment.domain.usual import Found, Hint, decided_of, hint_of, touches_of, usual_context
from tests.property.segment.test_events import ACCOUNT, START, TEAM, some_events, some_ids

_identities = st.integers(1, 4).map(lambda number: IdentityKey(2, ACCOUNT, str(number)))
_bodies: st.SearchStrategy[EventBody] = st.one_of(
    st.builds(ContactAdded, _identities),
    st.builds(
        OrderCompleted,
        shop_id=st.just("s"),
        order_id=st.sampled_from(["o1", "o2", "o3"]),
        amount_micros=st.integers(0, 5),
        currency=st.just("TWD"),
        signed=st.sampled_from([True, True, True, False]),
        test=st.sampled_from([False, False, False, True]),
    ),
)
_people = st.integers(1, 4).map(lambda number: UUID(int=500 + number))


@st.composite
def _named_events(draw: st.DrawFn) -> list[Event]:
    """Events that name customers by id: most batches of one or two are usual."""
    events = []
    for number in range(draw(st.integers(1, 3))):
        body = draw(_bodies)
        named = isinstance(body, ContactAdded) or draw(st.booleans())
        selector = Selector(
            customer_id=draw(_people) if named else None,
            member_id=draw(st.sampled_from([None, f"M{number}"])),
            phone=draw(st.sampled_from([None, f"+4470000000{number}"])),
            email=draw(st.sampled_from([None, f"A{number}@example.com"])),
            identity=body.identity if isinstance(body, ContactAdded) and draw(st.booleans()) else None,
        )
        at = START + timedelta(hours=draw(st.integers(0, 5)))
        name = draw(st.sampled_from(["", "Ann"]))
        events.append(Event(TEAM, f"e{draw(st.sampled_from([number, 0]))}", selector, at, body, name))
    return events


_found = st.lists(st.tuples(_people, st.booleans()), min_size=3, max_size=3)


def _leads(events: list[Event], found: list[tuple[UUID, bool]]) -> dict[Hint, Found]:
    """Somebody for each hint."""
    hints = [hint for event in events if (hint := hint_of(event))]
    return {hint: Found(*each) for hint, each in zip(hints, found, strict=False)}


def _known(context: EventContext, interacted_at: datetime | None) -> EventContext:
    """The customers of a usual context as they may be: with everything that is taken for granted, and with a past."""
    known = EventContext(unsigned_counts={TEAM: True})
    known.members, known.phones, known.emails = context.members, context.phones, context.emails
    for (team, customer_id), customer in context.customers.items():
        phone = "+1" if customer.phone else None
        known.customers[team, customer_id] = Customer(
            team, customer_id, "m9", "Bob", phone, "b@example.com", interacted_at, mail_number=7, revision=3
        )
    return known


@given(_named_events(), _found, st.none() | st.datetimes(timezones=st.just(UTC)))
def test_what_is_decided_blindly_is_what_is_decided_with_everything_read(
    events: list[Event], found: list[tuple[UUID, bool]], interacted_at: datetime | None
) -> None:
    context = usual_context(events, _leads(events, found))
    if context is None:
        return
    before = _known(context, interacted_at)
    blind, seeing = record(context, events, START, some_ids()), record(before, events, START, some_ids())
    assert blind.results == seeing.results
    assert {result.status for result in blind.results} == {EventStatus.ACCEPTED}
    assert (blind.bound, blind.orders, blind.keys) == (seeing.bound, seeing.orders, seeing.keys)
    assert [fact.body for fact in blind.facts] == [fact.body for fact in seeing.facts]
    assert not any((blind.created, blind.switched, blind.departed, blind.tokens, blind.refunds))
    for own, other in zip(blind.changed, seeing.changed, strict=True):
        known = before.customers[TEAM, own.customer_id]
        moved = own.customer_interact_time
        assert moved is not None
        assert later(known.customer_interact_time, moved) == other.customer_interact_time
        assert (other.mail_number, other.revision) == (known.mail_number + 1, known.revision + 1)
        assert own.checkout_time == other.checkout_time


_touching = st.lists(
    st.tuples(
        st.sampled_from([CustomerInteracted(), TeamInteracted()]),
        st.integers(-3, 3).map(lambda minutes: START + timedelta(minutes=minutes * 4)),
    ),
    min_size=1,
    max_size=4,
)


@given(_touching, st.none() | st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_an_event_leaves_is_what_is_decided_with_everything_read(
    reports: list[tuple[CustomerInteracted | TeamInteracted, datetime]], known_at: datetime | None
) -> None:
    """Times that lie ahead, further than may be or not, are now."""
    people = [UUID(int=500 + number) for number in range(len(reports))]
    events = [
        Event(TEAM, f"e{number}", Selector(customer_id=each), at, body)
        for number, (each, (body, at)) in enumerate(zip(people, reports, strict=True))
    ]
    context = EventContext(unsigned_counts={TEAM: False})
    for each in people:
        context.customers[TEAM, each] = Customer(
            TEAM, each, customer_interact_time=known_at, team_interact_time=known_at
        )
    seeing = record(context, events, START, some_ids())
    touches = touches_of(events, START)
    assert touches is not None
    assert not seeing.facts
    for event, touch, result in zip(events, touches, seeing.results, strict=True):
        assert result == EventResult(EventStatus.ACCEPTED, touch.customer_id)
        assert seeing.keys[TEAM, event.event_key] == (touch.digest, touch.customer_id)
        known = context.customers[TEAM, touch.customer_id]
        moved = next((c for c in seeing.changed if c.customer_id == touch.customer_id), known)
        mine, other = known.customer_interact_time, known.team_interact_time
        expected = (later(mine, touch.at), other) if touch.by_customer else (mine, later(other, touch.at))
        assert (moved.customer_interact_time, moved.team_interact_time) == expected


@given(_touching)
def test_events_leave_more_than_a_time_where_they_say_more_or_meet(
    reports: list[tuple[CustomerInteracted | TeamInteracted, datetime]],
) -> None:
    events = [
        Event(TEAM, f"e{number}", Selector(customer_id=UUID(int=500 + number)), at, body)
        for number, (body, at) in enumerate(reports)
    ]
    assert touches_of(events, START) is not None
    first, replace = events[0], msgspec.structs.replace
    same_key = replace(first, selector=Selector(customer_id=UUID(int=999)))
    for other in (
        replace(first, event_key="other"),
        same_key,
        replace(same_key, event_key="other", customer_name="Ann"),
        replace(first, event_key="other", selector=Selector(UUID(int=999), phone="+886912345678")),
        replace(first, event_key="other", selector=Selector()),
        replace(same_key, event_key="other", body=ContactAdded(IdentityKey(2, ACCOUNT, "1"))),
    ):
        assert touches_of([*events, other], START) is None


_plain = st.lists(
    st.tuples(
        st.builds(
            OrderCompleted,
            shop_id=st.sampled_from(["s", "t"]),
            order_id=st.just(""),
            amount_micros=st.integers(-5, 5),
            currency=st.sampled_from(["TWD", "USD"]),
            order_number=st.sampled_from(["", "#1"]),
            items=st.lists(st.builds(Item, st.sampled_from(["A", "B"])), max_size=2).map(tuple),
            signed=st.just(True),
            click_id=st.sampled_from(["", "c"]),
            cart_id=st.sampled_from(["", "cart"]),
        ),
        st.integers(-3, 3).map(lambda number: START + timedelta(minutes=number * 4)),
        st.none() | st.just(b"trace"),
        st.sampled_from([TEAM, UUID(int=2)]),
    ),
    min_size=1,
    max_size=4,
)


def _orders(reports: list[tuple[OrderCompleted, datetime, bytes | None, UUID]]) -> list[Event]:
    """Of a customer, a key and an order each."""
    return [
        Event(
            team,
            f"e{number}",
            Selector(UUID(int=500 + number)),
            at,
            msgspec.structs.replace(body, order_id=f"o{number}"),
            trace=trace,
        )
        for number, (body, at, trace, team) in enumerate(reports)
    ]


@given(_plain)
def test_what_follows_from_a_plain_order_is_what_is_decided_of_a_usual_one(
    reports: list[tuple[OrderCompleted, datetime, bytes | None, UUID]],
) -> None:
    """Times that lie ahead further than may be are now."""
    events, ahead_max = _orders(reports), timedelta(minutes=5)
    plain = plain_orders(events, START, ahead_max)
    context = usual_context(events, {})
    assert context is not None
    usual = decided_of(record(context, events, START, some_ids(), ahead_max))
    assert plain is not None
    assert plain == usual


@given(_plain)
def test_no_order_is_plain_that_says_more_or_less_or_meets_another(
    reports: list[tuple[OrderCompleted, datetime, bytes | None, UUID]],
) -> None:
    events, replace = _orders(reports), msgspec.structs.replace
    first, body, ahead_max = events[0], events[0].body, timedelta(minutes=5)
    assert isinstance(body, OrderCompleted)
    other = replace(
        first,
        event_key="other",
        selector=Selector(UUID(int=999)),
        body=replace(body, order_id="other"),
    )
    assert plain_orders([*events, other], START, ahead_max) is not None
    another_team = replace(first, team_id=UUID(int=3))
    assert plain_orders([*events, another_team], START, ahead_max) is not None
    for each in (
        *(replace(other, event_key=first.event_key), replace(other, selector=first.selector)),
        replace(other, body=body),
        *(
            replace(other, body=replace(body, order_id="other", **odd))
            for odd in ({"signed": False}, {"test": True})
        ),
        replace(other, customer_name="Ann"),
        replace(other, selector=Selector(UUID(int=999), phone="+1")),
        replace(other, selector=Selector(UUID(int=999), email="a@b.c")),
        replace(other, selector=Selector(UUID(int=999), member_id="m")),
        replace(other, selector=Selector(UUID(int=999), browser_token="t")),
        replace(other, selector=Selector(UUID(int=999), identity=IdentityKey(2, ACCOUNT, "1"))),
        replace(other, selector=Selector()),
        *(
            replace(other, body=ContactAdded(IdentityKey(2, ACCOUNT, "1"))),
            replace(other, body=CustomerInteracted()),
        ),
    ):
        assert plain_orders([*events, each], START, ahead_max) is None


@given(_named_events(), _found)
def test_each_usual_event_makes_one_mail_of_another_customer(
    events: list[Event], found: list[tuple[UUID, bool]]
) -> None:
    context = usual_context(events, _leads(events, found))
    if context is None:
        return
    facts = record(context, events, START, some_ids()).facts
    assert [fact.event_key for fact in facts] == [event.event_key for event in events]
    assert all(is_mail(fact.body) and fact.digest for fact in facts)
    assert len({fact.customer_id for fact in facts}) == len(events)


@given(_named_events(), _found)
def test_nothing_is_usual_that_meets_another_of_its_batch(
    events: list[Event], found: list[tuple[UUID, bool]]
) -> None:
    leads = _leads(events, found)
    assert usual_context([*events, events[0]], leads) is None
    other = UUID(int=999)
    selector = msgspec.structs.replace(events[0].selector, customer_id=other)
    repeated = msgspec.structs.replace(events[0], event_key="other", selector=selector)
    assert usual_context([*events, repeated], leads) is None, (
        "the same identity or order for another customer"
    )
    anonymous = msgspec.structs.replace(events[0], selector=Selector(), event_key="anonymous")
    assert usual_context([*events, anonymous], leads) is None
    joined = ContactAdded(IdentityKey(2, ACCOUNT, "99"))
    named = events[0].selector
    said = (
        Selector(customer_id=other, phone=named.phone) if named.phone else None,
        Selector(customer_id=other, email=named.email.swapcase()) if named.email else None,
    )
    for each in filter(None, said):
        event = Event(TEAM, "said", each, START, joined)
        assert usual_context([*events, event], leads) is None, "the one may add what the other is found by"


@given(some_events, st.booleans())
def test_a_key_stands_in_the_first_fact_of_its_report_or_nowhere(events: list[Event], allowed: bool) -> None:
    recording = record(EventContext(unsigned_counts={TEAM: allowed}), events, START, some_ids())
    carried = [fact for fact in recording.facts if fact.event_key is not None]
    keys = [fact.event_key for fact in carried]
    assert len(keys) == len(set(keys))
    for fact in carried:
        use = recording.keys[TEAM, str(fact.event_key)]
        assert (fact.digest, fact.customer_id) == (use.digest, use.customer_id)
    if recording.facts:
        assert recording.facts[0].event_key is not None


_changes = st.lists(
    st.tuples(
        _people,
        st.one_of(
            st.builds(TagChange, st.just(("a",))),
            st.builds(AttributeChange, st.just("k"), st.just("v")),
            st.builds(MarketedChange, st.just(START)),
        ),
    ),
    max_size=6,
)


@given(_changes)
def test_only_changes_of_customers_whom_no_other_names_go_apart(
    named: list[tuple[UUID, TagChange | AttributeChange | MarketedChange]],
) -> None:
    changes = [Change(UUID(int=n), TEAM, person, 1, START, body) for n, (person, body) in enumerate(named)]
    ways = ways_of(changes)
    apart = [change.customer_id for change, way in zip(changes, ways, strict=True) if way is not Way.DECIDE]
    assert len(apart) == len(set(apart))
    decided = {change.customer_id for change, way in zip(changes, ways, strict=True) if way is Way.DECIDE}
    assert decided.isdisjoint(apart)
