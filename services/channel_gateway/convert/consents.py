"""Consents: messages ⇄ domain."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import datetime_of, timestamp
from omnijourney.internal.v1 import consents_service_pb2 as pb
from omnijourney.segment.v1 import consent_pb2
from services.channel_gateway.domain.consents import (
    ACTOR_MAX,
    ALL_CHANNELS,
    NOTE_MAX,
    PERSONS_MAX,
    ConsentChange,
    Consenting,
    ConsentSource,
    ConsentState,
    NewStatement,
    Statement,
)
from services.channel_gateway.domain.heard import ID_LENGTH_MAX
from services.channel_gateway.domain.model import Channel

CHANGES_MAX: Final = 501
"""Of one page: whoever shows 500 asks whether there is another."""
_CHANNELS: Final[frozenset[int]] = frozenset(Channel)
_STATES: Final[frozenset[int]] = frozenset(ConsentState)
_SOURCES: Final[frozenset[int]] = frozenset(ConsentSource)


def read_customer(check: FieldCheck, message: pb.ConsentingCustomer) -> Consenting:
    """Whose consents are meant."""
    check.count("customer.persons", message.persons, most=PERSONS_MAX)
    for index, person in enumerate(message.persons):
        if int(person.channel) not in _CHANNELS or not 0 < len(person.external_id) <= ID_LENGTH_MAX:
            check.fault(f"customer.persons[{index}]", "is nobody on a channel")
    return Consenting(
        check.uuid("customer.team_id", message.team_id),
        check.uuid("customer.customer_id", message.customer_id),
        tuple((int(person.channel), person.external_id) for person in message.persons),
    )


def read_statement(check: FieldCheck, request: pb.RecordConsentRequest) -> NewStatement:
    """What is to be recorded."""
    if int(request.channel) not in {ALL_CHANNELS, *_CHANNELS}:
        check.fault("channel", "is unknown")
    if int(request.state) not in _STATES:
        check.fault("state", "is required")
    if int(request.source) not in _SOURCES:
        check.fault("source", "is required")
    if len(request.note) > NOTE_MAX:
        check.fault("note", f"must have at most {NOTE_MAX} characters")
    if not 0 < len(request.actor) <= ACTOR_MAX:
        check.fault("actor", f"must have 1 to {ACTOR_MAX} characters")
    check.done()
    return NewStatement(
        int(request.channel),
        ConsentState(request.state),
        ConsentSource(request.source),
        request.note,
        request.actor,
    )


def read_place(check: FieldCheck, request: pb.ReadConsentChangesRequest) -> tuple[datetime, UUID] | None:
    """Behind which change to go on."""
    if not request.after_change_id:
        return None
    return datetime_of(request.after_time), check.uuid("after_change_id", request.after_change_id)


def consent_message(statement: Statement) -> consent_pb2.Consent:
    """What holds."""
    return _consent(statement.channel, statement.withdrawn, statement.source, statement.changed_at)


def change_message(change: ConsentChange) -> consent_pb2.ConsentChange:
    """A change."""
    return consent_pb2.ConsentChange(
        consent=_consent(change.channel, change.withdrawn, change.source, change.changed_at),
        before_state=change.before_state,  # type: ignore[arg-type]  # the numbers are those of the contract
        note=change.note,
        actor=change.actor,
    )


def _consent(channel: int, withdrawn: bool, source: int, at: datetime) -> consent_pb2.Consent:
    withdrawn_state, given_state = ConsentState.WITHDRAWN, ConsentState.GIVEN
    return consent_pb2.Consent(
        channel=channel,  # type: ignore[arg-type]  # the numbers are those of the contract
        state=int(withdrawn_state if withdrawn else given_state),  # type: ignore[arg-type]  # as above
        source=source,  # type: ignore[arg-type]  # as above
        update_time=timestamp(at),
    )
