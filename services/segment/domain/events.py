"""Recording what happened: who it was, whether it is new, and what really changed.

`record` takes the context (read under lock) and a batch of reports, and decides everything: answers, new rows, facts.
Reports of a batch see each other in their order, as if each had been recorded alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from services.segment.domain.accounts import of_channel
from services.segment.domain.contacts import (
    contact_added,
    contact_blocked,
    contact_moved,
    customer_interacted,
    message_received,
    team_interacted,
)
from services.segment.domain.keys import content_of_event, digest_of, report_of_event
from services.segment.domain.model import (
    ContactAdded,
    ContactBlocked,
    ContactMoved,
    CustomerInteracted,
    Event,
    IdentityKey,
    MessageReceived,
    OrderCompleted,
    OrderRefunded,
    TeamInteracted,
)
from services.segment.domain.moves import as_known_now
from services.segment.domain.orders import order_completed
from services.segment.domain.recorder import EventContext, KeyUse, Recorder, Recording
from services.segment.domain.refunds import order_refunded
from services.segment.domain.results import EventResult, EventStatus, refused_event

_HANDLERS: Final[dict[type, Callable[[Recorder, Event], EventResult]]] = {
    OrderCompleted: order_completed,
    OrderRefunded: order_refunded,
    ContactAdded: contact_added,
    ContactBlocked: contact_blocked,
    MessageReceived: message_received,
    ContactMoved: contact_moved,
    CustomerInteracted: customer_interacted,
    TeamInteracted: team_interacted,
}


NO_SUCH_TEAM: Final = refused_event("RESOURCE_NOT_FOUND", "there is no such team")
"""Also of a team that is there and that the caller does not see."""


def named_identities(event: Event) -> Iterator[IdentityKey]:
    """Identities that the event may bind, or keep a word of."""
    if event.selector.identity is not None:
        yield event.selector.identity
    body = event.body
    if isinstance(body, ContactAdded | ContactBlocked | MessageReceived | ContactMoved):
        yield body.identity


def no_such_account(account_id: UUID) -> EventResult:
    """The answer to an event of an account that its team has not."""
    return refused_event(
        "RESOURCE_NOT_FOUND", f"there is no account {account_id}: take one that the team has"
    )


def account_of_other_channel(account_id: UUID, own: int) -> EventResult:
    """The answer to an event that names an account on another channel than it is of."""
    return refused_event("INVALID_FIELDS", f"account {account_id} {of_channel(own)}")


def record(
    context: EventContext,
    events: Sequence[Event],
    now: datetime,
    ids: Iterator[UUID],
    ahead_max: timedelta = timedelta(minutes=5),
) -> Recording:
    """Decides a batch. Total: every report gets an answer, none raises.

    What is said to happen more than `ahead_max` from now happens now.
    """
    recorder = Recorder(context, now, ids)
    latest = now + ahead_max
    results = [_record(recorder, event, now, latest) for event in events]
    return recorder.recording(results)


def _record(recorder: Recorder, event: Event, now: datetime, latest: datetime) -> EventResult:
    if event.team_id not in recorder.context.unsigned_counts:
        return NO_SUCH_TEAM
    key = (event.team_id, event.event_key)
    digest = digest_of(content_of_event(event))
    use = recorder.keys.get(key) or recorder.context.keys.get(key)
    if use is not None:
        return _answer_again(use, digest)
    event = _led_on(event, recorder.context)
    named = event.selector.customer_id
    if recorder.context.erased and _is_of_erased(recorder, event):
        return refused_event("CUSTOMER_ERASED", "the customer was erased")
    if named is not None and recorder.pending.customer(event.team_id, named) is None:
        return refused_event("RESOURCE_NOT_FOUND", "there is no such customer")
    if event.occurred_at > latest:
        event = msgspec.structs.replace(event, occurred_at=now)
    event = as_known_now(event, recorder.moves, recorder.identities).with_hints()
    recorder.pending.begin(event.team_id, report_of_event(event))
    facts = recorder.pending.facts
    before = len(facts)
    result = _HANDLERS[type(event.body)](recorder, event)
    if result.status != EventStatus.REFUSED:
        recorder.keys[key] = KeyUse(digest, result.customer_id)
        if len(facts) > before:
            facts[before].event_key, facts[before].digest = event.event_key, digest
        if event.trace is not None:
            for fact in facts[before:]:
                fact.trace = event.trace
    return result


def _is_of_erased(recorder: Recorder, event: Event) -> bool:
    """Whether an event names a customer who was erased, or an order or refund of one."""
    team_id, body, context = event.team_id, event.body, recorder.context
    owners = {event.selector.customer_id}
    if isinstance(body, OrderCompleted | OrderRefunded) and body.order_id:
        order = context.orders.get((team_id, body.shop_id, body.order_id))
        owners.add(None if order is None else order.customer_id)
    if isinstance(body, OrderRefunded):
        refund = context.refunds.get((team_id, body.shop_id, body.refund_id))
        owners.add(None if refund is None else refund.customer_id)
    return any(owner is not None and (team_id, owner) in context.erased for owner in owners)


def _led_on(event: Event, context: EventContext) -> Event:
    """An event that names a customer who was merged names whom they were merged into."""
    named = event.selector.customer_id
    survivor = context.merged.get((event.team_id, named)) if named is not None else None
    if survivor is None:
        return event
    selector = msgspec.structs.replace(event.selector, customer_id=survivor)
    return msgspec.structs.replace(event, selector=selector)


def _answer_again(use: KeyUse, digest: bytes) -> EventResult:
    if use.digest != digest:
        return refused_event("EVENT_KEY_REUSED", "the event key was used with other content")
    return EventResult(EventStatus.DUPLICATE, customer_id=use.customer_id)
