"""Whom events name by ids that they had, and have no longer. Pure; see `libs/common/moved_ids.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.common.moved_ids import Move, id_now, id_since
from services.segment.domain.model import (
    Binding,
    ContactAdded,
    ContactBlocked,
    ContactMoved,
    Event,
    IdentityKey,
    MessageReceived,
)

TeamIdentity = tuple[UUID, IdentityKey]


Moves = Mapping[TeamIdentity, Sequence[Move]]
"""By the identity that was given up, in whatever order."""


def _known_now(moves: Moves, identity: TeamIdentity, at: datetime) -> IdentityKey:
    team, key = identity
    now = id_now(moves, lambda each: (team, key._replace(external_id=each)), key.external_id, at)
    return key._replace(external_id=now)


def _moved_on(moves: Moves, identity: TeamIdentity, at: datetime) -> IdentityKey:
    team, key = identity
    now = id_since(moves, lambda each: (team, key._replace(external_id=each)), key.external_id, at)
    return key._replace(external_id=now)


def as_known_now(event: Event, moves: Moves, identities: Mapping[TeamIdentity, Binding]) -> Event:
    """The event with those whom it names by ids that they had then named by those that they have now, as far as that
    is `doubtful`."""
    named = set(doubtful(event, identities)) if moves else set()
    if not named:
        return event
    team, at, body, selector = event.team_id, event.occurred_at, event.body, event.selector
    if isinstance(body, ContactMoved):
        now = _moved_on(moves, (team, body.moved_to), at)
        return msgspec.structs.replace(event, body=msgspec.structs.replace(body, external_id=now.external_id))
    led = {key: _known_now(moves, (team, key), at) for _, key in named}
    phones = {key.phone: now.phone for key, now in led.items() if now.phone is not None}
    if isinstance(body, ContactAdded | ContactBlocked | MessageReceived):
        body = msgspec.structs.replace(body, identity=led.get(body.identity, body.identity))
    own = selector.identity
    selector = msgspec.structs.replace(
        selector,
        identity=None if own is None else led.get(own, own),
        phone=None if selector.phone is None else phones.get(selector.phone, selector.phone),
    )
    return msgspec.structs.replace(event, selector=selector, body=body)


def doubtful(event: Event, identities: Mapping[TeamIdentity, Binding]) -> Iterator[TeamIdentity]:
    """Identities of an event that may have been given up since: they are nobody's, or whose they are was there later
    than the event."""
    if event.selector.customer_id is not None:
        return
    body = event.body
    if isinstance(body, ContactMoved):
        yield event.team_id, body.moved_to
        return
    named = {event.selector.identity, getattr(body, "identity", None)} - {None}
    for key in named:
        assert key is not None
        binding = identities.get((event.team_id, key))
        if binding is None or binding.seen_at is None or binding.seen_at > event.occurred_at:
            yield event.team_id, key
