"""The actors' rows as plain values: what services/journey packs, read again without its code."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

LIVE: Final = 1
SEND: Final = 2

_ENROLMENTS: Final = (
    "SELECT customer_id, enrolment_id, journey_id, trigger_event_id, state, rest, wake_at, node_id, visit"
    " FROM journey.enrolment WHERE team_id = $1"
)
_ACTORS: Final = (
    "SELECT customer_id, wake_at, sending_since, live_enrolment_id, live_journey_id, live_since, live_wait, live_node,"
    " live_wake_at, state, verdicts FROM journey.actor WHERE team_id = $1"
)


@dataclass(frozen=True, slots=True)
class Live:
    """A live enrolment of an actor's packed state; `named` by columns of the actor, if it has no row."""

    customer_id: UUID
    enrolment_id: UUID
    journey_id: UUID
    trigger_event_id: UUID
    updated_at: datetime
    wake_at: datetime | None
    rest: int
    visit: int
    node_id: str
    named: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """A customer's row."""

    row: "asyncpg.Record"
    live: list[Live]
    verdicts: list[Any]
    packed: bool


class Turns:
    """Actors and enrolments of a team, as of one moment."""

    def __init__(self, actors: list[Actor], rows: list["asyncpg.Record"]) -> None:
        """`rows` are those of `enrolment`."""
        self.actors = actors
        self.rows = rows

    @classmethod
    async def read(cls, connection: "asyncpg.Connection[Any]", team_id: UUID) -> "Turns":
        """Reads both."""
        rows = await connection.fetch(_ENROLMENTS, team_id)
        return cls([_actor(row) for row in await connection.fetch(_ACTORS, team_id)], rows)

    def enrolments(self) -> list[dict[str, Any]]:
        """All enrolments: those with a row, and those that only their actor has, whose timer is the actor's."""
        found = [dict(row) for row in self.rows]
        for actor in self.actors:
            found.extend(
                {
                    "customer_id": live.customer_id,
                    "enrolment_id": live.enrolment_id,
                    "journey_id": live.journey_id,
                    "trigger_event_id": live.trigger_event_id,
                    "state": LIVE,
                    "rest": live.rest,
                    "wake_at": live.wake_at,
                    "node_id": live.node_id,
                    "visit": live.visit,
                }
                for live in actor.live
                if live.named
            )
        return found

    def faults(self) -> Iterator[str]:
        """Where the columns of an actor, its packed state and the rows of its enrolments do not agree."""
        rows = {row["enrolment_id"]: row for row in self.rows if row["state"] == LIVE}
        packed: set[UUID] = set()
        unpacked: set[UUID] = set()
        for actor in self.actors:
            if actor.packed:
                packed.update(live.enrolment_id for live in actor.live)
                yield from _faults(actor, rows)
            else:
                unpacked.add(actor.row["customer_id"])
        for enrolment_id, row in rows.items():
            if enrolment_id not in packed and row["customer_id"] not in unpacked:
                yield f"{enrolment_id}: its row says that it is live, and its actor does not have it"

    def idle_verdicts(self) -> Iterator[str]:
        """Verdicts of a quiet installation that nobody will ever need."""
        for actor in self.actors:
            live = {each.enrolment_id.bytes for each in actor.live}
            yield from (
                f"{actor.row['customer_id']}: {each[1].hex()}"
                for each in actor.verdicts
                if each[1] not in live
            )


def _faults(actor: Actor, rows: dict[UUID, "asyncpg.Record"]) -> Iterator[str]:
    row, customer = actor.row, actor.row["customer_id"]
    timers = [live.wake_at for live in actor.live if live.wake_at is not None]
    if row["wake_at"] != min(timers, default=None):
        yield f"{customer}: wakes at {row['wake_at']}, its enrolments at {timers}"
    sending = [live.updated_at for live in actor.live if live.rest == SEND]
    if row["sending_since"] != min(sending, default=None):
        yield f"{customer}: awaits a send since {row['sending_since']}, its enrolments since {sending}"
    named = [live for live in actor.live if live.named]
    if len(named) != (row["live_enrolment_id"] is not None) or any(
        (live.rest, live.node_id, live.wake_at) != (row["live_wait"], row["live_node"], row["live_wake_at"])
        for live in named
    ):
        yield f"{customer}: its columns name {row['live_enrolment_id']}, its state {named}"
    for live in actor.live:
        if live.named == (live.enrolment_id in rows):
            yield f"{customer}: {live.enrolment_id} has a row and is named, or neither"
        elif not live.named and not _same(live, rows[live.enrolment_id]):
            yield f"{customer}: {live.enrolment_id} stands elsewhere in its row"


def _same(live: Live, row: "asyncpg.Record") -> bool:
    return all(
        getattr(live, name) == row[name] for name in ("journey_id", "rest", "visit", "node_id", "wake_at")
    )


def _actor(row: "asyncpg.Record") -> Actor:
    verdicts = msgspec.msgpack.decode(row["verdicts"])[1] if row["verdicts"] else []
    if row["state"] is None:
        return Actor(row, [], verdicts, packed=False)
    form, live, _ = msgspec.msgpack.decode(row["state"])
    assert form == 1, f"a form that is not known: {form}"
    return Actor(row, [_live(row, each) for each in live], verdicts, packed=True)


def _live(row: "asyncpg.Record", packed: list[Any]) -> Live:
    enrolment, journey, created_at, event, updated_at, wake_at, _, wait, visit, node_id, *_ = packed
    named = created_at is None
    return Live(
        row["customer_id"],
        row["live_enrolment_id"] if named else UUID(bytes=enrolment),
        row["live_journey_id"] if named else UUID(bytes=journey),
        UUID(bytes=event),
        updated_at,
        wake_at,
        wait,
        visit,
        node_id,
        named,
    )
