"""What turns decided, as the rows in which their commit is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.mailbox.mail import MailSource
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import EnrolmentState, StepResult, WaitReason
from services.journey.domain.model import ActorKey, Journey
from services.journey.domain.turn import RunSegment, TurnResult
from services.journey.store.packed import KeptVerdict, LiveRow, Named, PackedActor, pack_state, pack_verdicts
from services.journey.store.records import NO_JOURNEYS, Records, new_commit_key
from services.journey.store.turns_protocol import StoredActor

_EVALUATED = frozenset({StepResult.YES, StepResult.NO, StepResult.REFUSED})
"""What a condition comes to."""
_NOBODY = StoredActor((), {})
_NO_NAME = (None, None, None)

Row = tuple[Any, ...]


class CommitRows(NamedTuple):
    """What a batch of turns writes: rows of the types `packed_actor_row` and `listed_enrolment_row`, and records."""

    actors: list[Row]
    enrolments: list[Row]
    commit_key: int
    records: Records
    packed: dict[ActorKey, PackedActor]
    """The actors once the rows are written."""

    def arguments(self) -> dict[str, Any]:
        """As the functions that write them take them."""
        return {
            "actors": self.actors,
            "enrolments": self.enrolments,
            "commit_key": self.commit_key,
            "records": self.records.rows(),
        }


def commit_rows(
    turns: Mapping[ActorKey, TurnResult],
    stored: Mapping[ActorKey, StoredActor],
    now: datetime,
    journeys: Mapping[UUID, Journey] = NO_JOURNEYS,
) -> CommitRows:
    """The rows of a commit at `now`, given what was loaded of the actors, and the journeys by which it goes.

    Raises ValueError for a live enrolment that nothing would wake.
    """
    rows = CommitRows([], [], new_commit_key(), Records(journeys), {})
    for key, turn in turns.items():
        before = stored.get(key, _NOBODY)
        live = _live_after(key, turn, before, now, rows)
        packed = rows.packed[key] = _packed(turn, live, before)
        rows.actors.append(_actor_row(key, turn, live, packed))
        for segment in turn.run_segments:
            rows.records.add_segment(key, segment)
        for refusal in turn.refusals:
            rows.records.add_refusal(key, refusal)
        for enrolment in turn.enrolments:
            if enrolment.trace is not None:
                rows.records.add_trace(key, enrolment.trace)
    return rows


def _live_after(
    key: ActorKey, turn: TurnResult, before: StoredActor, now: datetime, rows: CommitRows
) -> list[LiveRow]:
    """The live enrolments after a turn; those that have or get a row of their own are added to `rows`."""
    reported = {segment.enrolment_id for segment in turn.run_segments}
    live = {row.enrolment.enrolment_id: row for row in before.live}
    in_actor = any(not row.listed for row in before.live)
    for enrolment in turn.enrolments:
        known = live.pop(enrolment.enrolment_id, None)
        listed = known.listed if known else in_actor
        commits = known.commits if known else ()
        if enrolment.enrolment_id in reported:
            commits = (*commits, rows.commit_key)
        row = LiveRow(enrolment, now, listed, commits)
        if enrolment.state is EnrolmentState.LIVE:
            live[enrolment.enrolment_id] = row
            in_actor = in_actor or not listed
        elif known is not None and not listed:
            in_actor = False
        if listed or enrolment.state is not EnrolmentState.LIVE:
            rows.enrolments.append(_enrolment_row(key, row))
    return sorted(live.values(), key=_age) if len(live) > 1 else list(live.values())


def _age(row: LiveRow) -> tuple[datetime, UUID]:
    return row.enrolment.created_at, row.enrolment.enrolment_id


def _packed(turn: TurnResult, live: list[LiveRow], before: StoredActor) -> PackedActor:
    taken = turn.actor.taken
    named = None
    for row in live:
        if not row.listed:
            enrolment = row.enrolment
            named = Named(enrolment.enrolment_id, enrolment.journey_id, enrolment.created_at)
    return PackedActor(
        before.version + 1,
        (
            taken.get(MailSource.SEGMENT, 0),
            taken.get(MailSource.GATEWAY, 0),
            taken.get(MailSource.JOURNEY, 0),
        ),
        named,
        pack_state(live, turn.actor.entries),
        pack_verdicts(verdicts_left(before.verdicts, turn)),
    )


def _actor_row(key: ActorKey, turn: TurnResult, live: list[LiveRow], packed: PackedActor) -> Row:
    sending_since = live_wait = live_node = live_wake = None
    for row in live:
        enrolment = row.enrolment
        wait = enrolment.wait
        if wait is WaitReason.SEND and (sending_since is None or row.updated_at < sending_since):
            sending_since = row.updated_at
        if not row.listed:
            live_wait, live_node, live_wake = wait, enrolment.node_id, enrolment.wake_at
    return (
        *key,
        *packed.taken,
        turn.wake_at,
        sending_since,
        *(packed.named or _NO_NAME),
        live_wait,
        packed.state,
        packed.verdicts,
        packed.version,
        live_node,
        live_wake,
    )


def _enrolment_row(key: ActorKey, row: LiveRow) -> Row:
    enrolment = row.enrolment
    return (
        *key,
        enrolment.enrolment_id,
        enrolment.journey_id,
        enrolment.trigger_event_id,
        enrolment.created_at,
        row.updated_at,
        enrolment.wake_at,
        enrolment.depth,
        enrolment.state,
        enrolment.wait,
        enrolment.visit,
        enrolment.node_id,
        list(row.commits),
    )


def verdicts_left(kept: Mapping[UUID, KeptVerdict], turn: TurnResult) -> Mapping[UUID, KeptVerdict]:
    """What is still to be kept after a turn: not the verdicts that it tells, nor those of enrolments that it ended.

    Others stay: a run of the turn that was lost may have gone further, and have acted on their verdicts.
    """
    if not kept:
        return kept
    ended = {e.enrolment_id for e in turn.enrolments if e.state is not EnrolmentState.LIVE}
    reported = {key for segment in turn.run_segments for key in _reported(segment)}
    return {key: each for key, each in kept.items() if key not in reported and each.enrolment_id not in ended}


def _reported(run_segment: RunSegment) -> list[UUID]:
    return [
        fx.effect_key(run_segment.enrolment_id, step.node_id, step.visit)
        for step in run_segment.steps
        if step.result in _EVALUATED
    ]
