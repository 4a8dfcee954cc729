"""The usual event: its customer is named by id and known, its key is new, and so is the identity or order it is about.

What follows from such events is decided before anything is read, by the same rules as everything (`record`), for
customers of whom no more is known than that they have whatever the event says of them. Whether that is how things are
the database finds out while it writes, event by event; what is otherwise is left to `record` with everything read. Each
usual event makes one fact, which is mail. Events of one batch name each customer, key, identity and order once, so they
can be written in any order, and some of them without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.segment.domain.model import ContactAdded, Customer, Event, OrderCompleted
from services.segment.domain.recorder import EventContext

_SOME: Final = "?"
"""Stands for a text that is there, whatever it says."""


def usual_context(events: Sequence[Event]) -> EventContext | None:
    """How things are if all events are usual; None if any is not."""
    context = EventContext(unsigned_counts={})
    subjects: set[tuple[object, ...]] = set()
    for event in events:
        team, named = event.team_id, event.selector.customer_id
        if named is None or (subject := _subject(event)) is None:
            return None
        context.unsigned_counts[team] = False
        context.customers[team, named] = _customer_of(event)
        subjects.add((team, subject))
        subjects.add((team, event.event_key))
    # Each event adds a customer, a subject and a key, unless another one has named it before.
    if len(context.customers) < len(events) or len(subjects) < 2 * len(events):
        return None
    return context


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


def _customer_of(event: Event) -> Customer:
    """A customer who lacks nothing that the event says; whose phone is known, if the event is an order."""
    selector = event.selector
    needs_phone = isinstance(event.body, OrderCompleted)
    return Customer(
        team_id=event.team_id,
        customer_id=selector.customer_id,  # type: ignore[arg-type]  # usual events name it
        member_id=selector.member_id,
        name=event.customer_name,
        phone=selector.phone or (_SOME if needs_phone else None),
        email=selector.email,
    )
