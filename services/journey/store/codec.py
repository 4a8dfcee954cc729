"""How the journey service writes its structs into columns, and reads them back.

Definitions are JSON (people read them in SQL); an actor's counts and the bodies of history rows are msgpack.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any
from uuid import UUID

import msgspec

from libs.common.mailbox.mail import MailSource
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, WaitReason
from services.journey.domain.model import Definition, Journey, JourneyStatus, StatusReason
from services.journey.domain.turn import Actor, RefusalReason

DEFAULT_ZONE = "UTC"


class FactKind(IntEnum):
    """Kind of a history row."""

    RUN_SEGMENT = 1
    TRIGGER_REFUSED = 2
    STATUS_CHANGED = 3


class RunSegmentRecord(msgspec.Struct, frozen=True, array_like=True):
    """Body of a run_segment."""

    enrolled: bool
    state: EnrolmentState
    steps: tuple[Step, ...]


class RefusalRecord(msgspec.Struct, frozen=True, array_like=True):
    """Body of a refused trigger."""

    reason: RefusalReason


class StatusRecord(msgspec.Struct, frozen=True, array_like=True):
    """Body of a change of status."""

    before: JourneyStatus
    after: JourneyStatus
    reason: StatusReason
    name: str


_json = msgspec.json.Encoder()
_definition = msgspec.json.Decoder(Definition)
_msgpack = msgspec.msgpack.Encoder()
_entries = msgspec.msgpack.Decoder(dict[bytes, int])
_run_segments = msgspec.msgpack.Decoder(RunSegmentRecord)
_refusals = msgspec.msgpack.Decoder(RefusalRecord)
_statuses = msgspec.msgpack.Decoder(StatusRecord)

pack = _msgpack.encode
read_run_segment = _run_segments.decode
read_refusal = _refusals.decode
read_status = _statuses.decode


def definition_text(definition: Definition) -> str:
    """The JSON that a definition is stored as."""
    return _json.encode(definition).decode()


def read_definition(text: str) -> Definition:
    """The definition stored as this JSON. Raises `msgspec.ValidationError` if it is none."""
    return _definition.decode(text)


def journey_from(row: Mapping[str, Any], zone: str = DEFAULT_ZONE) -> Journey:
    """A journey from a row of `journey`; `zone` is the team's."""
    return Journey(
        journey_id=row["journey_id"],
        team_id=row["team_id"],
        status=JourneyStatus(row["status"]),
        reason=StatusReason(row["reason"]),
        revision=row["revision"],
        version=row["version"],
        stop_epoch=row["stop_epoch"],
        definition=read_definition(row["definition"]),
        zone=zone,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        published_at=row["published_at"],
        braked_epoch=row["braked_epoch"],
        recall_epoch=row["recall_epoch"],
        deleted_at=row.get("deleted_at"),
    )


def live_enrolment_from(team_id: UUID, customer_id: UUID, row: Mapping[str, Any]) -> Enrolment:
    """A customer's live enrolment from a row of the turn's load."""
    return Enrolment(
        enrolment_id=row["enrolment_id"],
        journey_id=row["journey_id"],
        team_id=team_id,
        customer_id=customer_id,
        trigger_event_id=row["trigger_event_id"],
        depth=row["depth"],
        created_at=row["created_at"],
        node_id=row["node_id"],
        visit=row["visit"],
        wait=WaitReason(row["rest"]),
        wake_at=row["wake_at"],
    )


def actor_from(
    team_id: UUID, customer_id: UUID, row: Mapping[str, Any], entries: Mapping[UUID, int]
) -> Actor:
    """An actor from a row of the turn's load and its counts; one that has no row yet is fresh."""
    if row["taken_segment"] is None:
        return Actor(team_id, customer_id, {}, {})
    taken: dict[int, int] = {
        MailSource.SEGMENT: row["taken_segment"],
        MailSource.GATEWAY: row["taken_gateway"],
        MailSource.JOURNEY: row["taken_journey"],
    }
    return Actor(team_id, customer_id, taken, entries)


def read_entries(body: bytes | None) -> dict[UUID, int]:
    """The counts of an actor as the release before packed them, in a column of their own."""
    counts = _entries.decode(body) if body else {}
    return {UUID(bytes=journey): count for journey, count in counts.items()}
