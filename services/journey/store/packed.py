"""What an actor's row holds in one value each: its live enrolments with its counts, and the verdicts that are kept.

msgpack, an array a struct, the version of the form first. A struct may gain fields at its end, each with a default;
what else changes needs a new tag, beside which the old one is still read. Ids are 16 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - made in C, from bytes as they are

from services.journey.domain.effects import Verdict
from services.journey.domain.enrolment import TIMED, Enrolment, EnrolmentState, WaitReason
from services.journey.domain.memory import Memory


class LiveRow(msgspec.Struct, frozen=True):
    """A live enrolment with what the store notes of it.

    `updated_at` is domain time. `listed`: it has a row in `enrolment`, which is written at each change. `commits` are
    the keys of the commits whose records tell of it; what was told before there were records is not among them.
    """

    enrolment: Enrolment
    updated_at: datetime
    listed: bool = False
    commits: tuple[int, ...] = ()


class KeptVerdict(msgspec.Struct, frozen=True):
    """What a condition came to, until a commit tells it."""

    enrolment_id: UUID
    verdict: Verdict


class Named(NamedTuple):
    """What columns of the actor hold of its live enrolment that has no row, and the state leaves out."""

    enrolment_id: UUID
    journey_id: UUID
    created_at: datetime


class PackedActor(msgspec.Struct, frozen=True, gc=False):
    """An actor as its row holds it.

    `version` counts the commits that have written it; `taken` are the last mail numbers taken of segment, gateway and
    journey.
    """

    version: int
    taken: tuple[int, int, int]
    named: Named | None
    state: bytes
    verdicts: bytes | None

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory, with its key."""
        return _AROUND_BYTES + len(self.state) + len(self.verdicts or b"")


class _Live(msgspec.Struct, frozen=True, array_like=True, gc=False):
    enrolment_id: bytes
    journey_id: bytes
    created_at: datetime | None
    trigger_event_id: bytes
    updated_at: datetime
    wake_at: datetime | None
    depth: int
    wait: int
    visit: int
    node_id: str
    commits: list[int]
    memory: Memory | None = None
    trace: bytes | None = None


class _State(msgspec.Struct, frozen=True, array_like=True, tag=1):
    live: list[_Live]
    entries: dict[bytes, int]


class _Verdict(msgspec.Struct, frozen=True, array_like=True, gc=False):
    key: bytes
    enrolment_id: bytes
    belongs: bool
    reason: str
    seen: str = ""


class _Verdicts(msgspec.Struct, frozen=True, array_like=True, tag=1):
    verdicts: list[_Verdict]


_VERSION: Final = 1
_AROUND_BYTES: Final = 1_000
"""Of an actor in memory, beside what is packed: ids, numbers, times and their places, measured."""
_IN_COLUMNS: Final = (b"", b"", None)
_pack: Final = msgspec.msgpack.Encoder().encode
_states: Final = msgspec.msgpack.Decoder(_State)
_verdicts: Final = msgspec.msgpack.Decoder(_Verdicts)
_WAITS: Final = {reason.value: reason for reason in WaitReason}


def pack_state(live: Iterable[LiveRow], entries: Mapping[UUID, int]) -> bytes:
    """The state of an actor. Raises ValueError for an enrolment that waits for nothing, or for a time without one."""
    # Tuples in the order of the structs: the same bytes, without a struct for each.
    return _pack(
        (
            _VERSION,
            [_live(row) for row in live],
            {journey_id.bytes: count for journey_id, count in entries.items()},
        )
    )


def _live(row: LiveRow) -> tuple[object, ...]:
    e = row.enrolment
    if e.wait is WaitReason.NONE or (e.wake_at is not None) is not (e.wait in TIMED):
        raise ValueError(f"a live enrolment that nothing would wake: {e}")
    named = (e.enrolment_id.bytes, e.journey_id.bytes, e.created_at) if row.listed else _IN_COLUMNS
    # Who remembers nothing, and is not traced, has no place for it.
    more = (e.memory, e.trace) if e.trace is not None else () if e.memory is None else (e.memory,)
    return (
        *named,
        e.trigger_event_id.bytes,
        row.updated_at,
        e.wake_at,
        e.depth,
        e.wait,
        e.visit,
        e.node_id,
        row.commits,
        *more,
    )


def read_state(
    team_id: UUID, customer_id: UUID, body: bytes, named: Named | None
) -> tuple[list[LiveRow], dict[UUID, int]]:
    """The live enrolments of a customer, in the order in which they were packed, and the counts.

    Raises `msgspec.ValidationError`, and TypeError where the columns name nobody whom the state leaves out.
    """
    state = _states.decode(body)
    live = [_live_row(team_id, customer_id, packed, named) for packed in state.live]
    return live, {DriverUUID(journey_id): count for journey_id, count in state.entries.items()}


def _live_row(team_id: UUID, customer_id: UUID, packed: _Live, named: Named | None) -> LiveRow:
    listed = packed.created_at is not None
    enrolment_id, journey_id, created_at = (
        Named(DriverUUID(packed.enrolment_id), DriverUUID(packed.journey_id), packed.created_at)
        if packed.created_at is not None
        else named  # type: ignore[misc]  # a state that leaves it out has columns that name it
    )
    enrolment = Enrolment(
        enrolment_id,
        journey_id,
        team_id,
        customer_id,
        DriverUUID(packed.trigger_event_id),
        packed.depth,
        created_at,
        EnrolmentState.LIVE,
        packed.node_id,
        packed.visit,
        _WAITS[packed.wait],
        packed.wake_at,
        False,
        packed.memory,
        packed.trace,
    )
    return LiveRow(enrolment, packed.updated_at, listed, tuple(packed.commits))


def pack_verdicts(kept: Mapping[UUID, KeptVerdict]) -> bytes | None:
    """Verdicts by the keys of their visits, or None if there are none."""
    if not kept:
        return None
    rows: Sequence[tuple[object, ...]] = [
        (key.bytes, each.enrolment_id.bytes, each.verdict.belongs, each.verdict.reason, each.verdict.seen)
        for key, each in kept.items()
    ]
    return _pack((_VERSION, rows))


def read_verdicts(body: bytes | None) -> dict[UUID, KeptVerdict]:
    """The verdicts that `pack_verdicts` packed. Raises `msgspec.ValidationError`."""
    if not body:
        return {}
    return {
        DriverUUID(each.key): KeptVerdict(
            DriverUUID(each.enrolment_id), Verdict(each.belongs, each.reason, seen=each.seen)
        )
        for each in _verdicts.decode(body).verdicts
    }
