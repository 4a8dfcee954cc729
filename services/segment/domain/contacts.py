"""What customers do on channels, and what teams do to customers."""

from __future__ import annotations

from services.segment.domain.customer_changes import later
from services.segment.domain.facts import MessageTaken
from services.segment.domain.model import ContactAdded, ContactBlocked, ContactMoved, Event, MessageReceived
from services.segment.domain.recorder import Recorder, accepted
from services.segment.domain.results import EventResult, EventStatus


def contact_added(recorder: Recorder, event: Event) -> EventResult:
    """A customer joined an account: a new binding emits an event, one that was blocked before is unblocked."""
    assert isinstance(event.body, ContactAdded)
    found = recorder.contact(event, event.body.identity)
    if isinstance(found, EventResult):
        return found
    customer, created = found
    recorder.interacted(customer, event.occurred_at)
    return accepted(customer, created=created)


def message_received(recorder: Recorder, event: Event) -> EventResult:
    """A customer wrote; an identity that nobody has is bound."""
    body = event.body
    assert isinstance(body, MessageReceived)
    found = recorder.contact(event, body.identity)
    if isinstance(found, EventResult):
        return found
    customer, created = found
    taken = MessageTaken(body.identity, body.text, body.button_data, body.effect_key)
    recorder.pending.emit(customer, event.occurred_at, taken)
    recorder.interacted(customer, event.occurred_at)
    return accepted(customer, created=created)


def contact_blocked(recorder: Recorder, event: Event) -> EventResult:
    """A customer left; of an identity that nobody has it is kept until somebody has it."""
    assert isinstance(event.body, ContactBlocked)
    key = event.body.identity
    binding = recorder.identities.get((event.team_id, key))
    customer = binding and recorder.pending.customer(event.team_id, binding.customer_id)
    if not customer:
        recorder.departed(event.team_id, key, event.occurred_at)
        return EventResult(EventStatus.ACCEPTED)
    recorder.left(customer, key, event.occurred_at)
    return accepted(customer, created=False)


def contact_moved(recorder: Recorder, event: Event) -> EventResult:
    """A customer is known by another id. One that nobody has, or by which they were there since, stays as it is; of the
    former it is remembered, for whoever was heard by it before and is told of later."""
    body, team = event.body, event.team_id
    assert isinstance(body, ContactMoved)
    binding = recorder.identities.get((team, body.identity))
    customer = binding and recorder.pending.customer(team, binding.customer_id)
    if binding is not None and binding.seen_at is not None and binding.seen_at > event.occurred_at:
        return accepted(customer, created=False) if customer else EventResult(EventStatus.ACCEPTED)
    recorder.note_move(team, body.identity, body.moved_to, event.occurred_at)
    if not customer:
        return EventResult(EventStatus.ACCEPTED)
    recorder.move(customer, body.identity, body.moved_to, event.occurred_at)
    return accepted(customer, created=False)


def customer_interacted(recorder: Recorder, event: Event) -> EventResult:
    """A customer did something else."""
    customer, created = recorder.find_or_create(event)
    recorder.interacted(customer, event.occurred_at)
    return accepted(customer, created=created)


def team_interacted(recorder: Recorder, event: Event) -> EventResult:
    """Somebody of the team wrote to the customer."""
    customer, created = recorder.find_or_create(event)
    moved = later(customer.team_interact_time, min(event.occurred_at, recorder.pending.now))
    recorder.pending.change(customer, team_interact_time=moved)
    return accepted(customer, created=created)
