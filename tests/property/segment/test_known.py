"""Views that travel with mail: they say how things are, and stay true until later mail."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.mailbox.mail import CustomerView, KnownIdentity
from services.segment.convert.facts import mails_of
from services.segment.domain.edits import Basics, EditContext, Editor
from services.segment.domain.events import record
from services.segment.domain.known import Views, views_of
from services.segment.domain.model import Binding, Customer, Event, IdentityKey
from services.segment.domain.recorder import EventContext, Recording
from tests.property.segment.test_events import START, known_at_first, remember, some_events, some_ids

_basics = st.builds(
    Basics,
    member_id=st.just("m9") | st.none(),
    name=st.sampled_from(["", "Mei"]),
    phone=st.sampled_from([None, "+44700000003"]),
    email=st.none(),
)


def _views(recording: Recording) -> Views:
    return views_of(recording.facts, recording.created, recording.changed, recording.identities, START)


def _reached(identities: dict[tuple[UUID, IdentityKey], Binding], customer_id: UUID) -> list[KnownIdentity]:
    return [
        KnownIdentity(*key, binding.blocked)
        for (_, key), binding in identities.items()
        if binding.customer_id == customer_id
    ]


def _is_true(view: CustomerView, customer: Customer, known: EventContext) -> bool:
    basics = (customer.name, customer.member_id, customer.phone, customer.email)
    reached = _reached(known.identities, customer.customer_id)
    return (
        (view.name, view.member_id, view.phone, view.email) == basics
        and all(identity in reached for identity in view.identities)
        and (not view.whole or len(reached) == len(view.identities))
    )


def _edit(known: EventContext, basics: Basics | None, unbound: bool) -> None:
    """A person changes the first customer, or removes their bindings."""
    editor = Editor(
        EditContext(customers=known.customers, identities=known.identities),
        START,
        (UUID(int=number) for number in count(10_000)),
    )
    key = min(known.customers)
    if basics is not None:
        editor.set_basics(known.customers[key], basics)
    for (_, identity), binding in [*known.identities.items()] if unbound else []:
        if binding.customer_id == key[1]:
            editor.unbind(known.customers[key], identity)
    edited = editor.edited()
    known.customers.update({(c.team_id, c.customer_id): c for c in edited.changed})
    for team_id, _, identity in edited.unbound:
        del known.identities[team_id, identity]


@pytest.mark.rule("J-32")
@given(some_events, some_events, st.booleans(), st.none() | _basics, st.booleans())
def test_a_view_is_true_until_there_is_later_mail(
    first: list[Event], later: list[Event], allowed: bool, edit: Basics | None, unbound: bool
) -> None:
    known, ids = known_at_first(unsigned_counts=allowed), some_ids()
    views: dict[tuple[UUID, UUID], CustomerView] = {}
    for number, events in enumerate((first, later)):
        renamed = [replace(event, event_key=f"{number} {event.event_key}") for event in events]
        recording = record(known, renamed, START, ids)
        remember(known, recording)
        views.update(_views(recording))
        if known.customers and number == 0:
            _edit(known, edit, unbound)
        for key, view in views.items():
            customer = known.customers[key]
            assert view.number <= customer.mail_number
            assert view.number < customer.mail_number or _is_true(view, customer, known), view


@given(some_events, st.booleans())
def test_the_newest_mail_of_each_customer_brings_the_view(events: list[Event], allowed: bool) -> None:
    recording = record(known_at_first(unsigned_counts=allowed), events, START, some_ids())
    views = _views(recording)
    mails = list(mails_of(recording.facts, views))
    newest = {(mail.team_id, mail.customer_id): mail for mail in mails}
    assert views.keys() == newest.keys()
    for mail in mails:
        is_newest = mail is newest[mail.team_id, mail.customer_id]
        assert mail.view == (views[mail.team_id, mail.customer_id] if is_newest else None)
