"""The checker's own reading of the installation: SQL as administrator over all schemas, and the emulators' files.

Nothing here comes from the runtime: tables are asked, msgpack is read as plain lists, journals line by line.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg
import msgspec

ORDER, REFUND, TAG_APPLIED, ATTRIBUTE_CHANGED = 1, 2, 8, 10
"""First element of a fact of segment."""
COMPLETED_STAGE: Final = 1
LIVE, ENDED, HALTED, PARKED = 1, 2, 3, 4
"""States of an enrolment."""
REFUSED_STEP: Final = 15
"""Result of a step whose effect its service would not have."""
DELAY, SEND, QUIET = 1, 2, 3
"""What an enrolment rests for."""
SENT, SKIPPED, FAILED, UNKNOWN = 1, 2, 3, 5
"""States of a delivery; from 8 on it is not settled."""
UNSETTLED_FROM: Final = 8
LINE, WHATSAPP = 1, 2
_RUN_SEGMENT, _REFUSAL = 1, 2
"""First element of a fact of journey."""
_SEPARATOR: Final = "\x1f"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """An enrolment entered a node."""

    enrolment_id: UUID
    journey_id: UUID
    node_id: str
    visit: int

    @property
    def effect_key(self) -> UUID:
        """The key that every effect of the visit has."""
        return uuid5(self.enrolment_id, f"{self.node_id}:{self.visit}:")


@dataclass(frozen=True, slots=True)
class Burst:
    """A run segment in journey's history."""

    customer_id: UUID
    enrolment_id: UUID
    journey_id: UUID
    position: int
    enrolled: bool
    state: int
    entered: tuple[Visit, ...]
    refused: tuple[str, ...]
    """Nodes whose effect was refused."""


class Records:
    """One connection as administrator."""

    def __init__(self, connection: "asyncpg.Connection[Any]", team_id: UUID) -> None:
        """Reads as of now; nothing may change meanwhile."""
        self.connection = connection
        self.team_id = team_id

    async def rows(self, sql: str) -> list[Row]:
        """Rows; `$1` is the team, if it is named."""
        return [dict(row) for row in await self.connection.fetch(sql, *self._arguments(sql))]

    async def number(self, sql: str) -> int:
        """One number."""
        return int(await self.connection.fetchval(sql, *self._arguments(sql)) or 0)

    def _arguments(self, sql: str) -> list[UUID]:
        return [self.team_id] if "$1" in sql else []

    async def facts(self) -> list[tuple[Row, list[Any]]]:
        """Segment's history with bodies, in order of positions."""
        rows = await self.rows(
            "SELECT partition, position, customer_id, event_id, mail_number, body FROM segment.fact"
            " WHERE team_id = $1 ORDER BY partition, position"
        )
        return [(row, msgspec.msgpack.decode(row["body"])) for row in rows]

    async def run_segments(self) -> list[Burst]:
        """Journey's run segments in order of positions."""
        return [_burst(*found) for found in await self._told(_RUN_SEGMENT)]

    async def refusals(self) -> int:
        """Triggers that journey says it refused."""
        return len(await self._told(_REFUSAL))

    async def _told(self, kind: int) -> list[tuple[int, list[bytes], list[Any]]]:
        """Facts of a kind in journey's records, with the position and the journeys of their records."""
        rows = await self.rows(
            "SELECT position, body FROM journey.history_record WHERE team_id = $1 ORDER BY shard, position"
        )
        found = []
        for row in rows:
            form, _, journeys, facts, *_ = msgspec.msgpack.decode(row["body"])
            assert form == 1, f"a form that is not known: {form}"
            found += [(row["position"], journeys, fact[1:]) for fact in facts if fact[0] == kind]
        return found


def _burst(position: int, journeys: list[bytes], fact: list[Any]) -> Burst:
    index, customer, enrolment, enrolled, state, steps = fact[:6]
    enrolment_id, journey_id = UUID(bytes=enrolment), UUID(bytes=journeys[index])
    entered = tuple(Visit(enrolment_id, journey_id, step[0], step[1]) for step in steps if step[3])
    refused = tuple(step[0] for step in steps if step[2] == REFUSED_STEP)
    ids = (UUID(bytes=customer), enrolment_id, journey_id)
    return Burst(*ids, position, bool(enrolled), int(state), entered, refused)


def id_of(data: bytes) -> UUID:
    """A UUID inside a body."""
    return UUID(bytes=data)


def line_key(effect_key: UUID) -> str:
    """The retry key that a LINE send of one message has."""
    return str(uuid5(effect_key, _SEPARATOR.join(("line", "0"))))


def receipts(directory: Path, channel: str) -> dict[str, list[str]]:
    """What a channel accepted: ids of messages by the send's key (LINE: retry key, WhatsApp: effect key)."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (directory / f"{channel}.jsonl").read_text().splitlines():
        record = json.loads(line)
        found[record["retry_key"] or str(UUID(record["callback_data"].split(":")[1]))].append(record["id"])
    return found
