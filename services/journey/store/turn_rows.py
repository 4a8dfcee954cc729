"""What turns decided, as the rows in which their commit is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.mailbox.mail import MailSource
from services.journey.domain import effects as fx
from services.journey.domain.model import ActorKey, Enrolment, EnrolmentState, StepResult
from services.journey.domain.turn import RunSegment, TurnResult
from services.journey.store import codec
from services.journey.store.history import HistoryRow, refusal_row, run_segment_row

_JUDGED = frozenset({StepResult.YES, StepResult.NO, StepResult.REFUSED})
"""What a condition comes to."""

Row = tuple[Any, ...]


class CommitRows(NamedTuple):
    """What a batch of turns writes, as rows of the types `actor_row`, `enrolment_row`, `verdict_key`, `history_row`."""

    actors: list[Row]
    enrolments: list[Row]
    verdicts: list[Row]
    facts: list[HistoryRow]


def commit_rows(turns: Mapping[ActorKey, TurnResult]) -> CommitRows:
    """The rows of a commit; an enrolment names its actor by its place among the actors, from 1."""
    rows = CommitRows([], [], [], [])
    for place, (key, turn) in enumerate(turns.items(), 1):
        rows.actors.append(_actor_row(key, turn))
        rows.enrolments.extend(_enrolment_row(place, enrolment) for enrolment in turn.enrolments)
        rows.facts.extend(run_segment_row(key, segment) for segment in turn.run_segments)
        rows.facts.extend(refusal_row(key, refusal) for refusal in turn.refusals)
        rows.verdicts.extend(
            (key.team_id, segment.enrolment_id, verdict_key)
            for segment in turn.run_segments
            for verdict_key in settled_verdicts(segment)
        )
    return rows


def _actor_row(key: ActorKey, turn: TurnResult) -> Row:
    taken = turn.actor.taken
    return (
        *key,
        taken.get(MailSource.SEGMENT, 0),
        taken.get(MailSource.GATEWAY, 0),
        taken.get(MailSource.JOURNEY, 0),
        codec.entries_bytes(turn.actor),
        turn.wake_at,
        turn.sending,
    )


def _enrolment_row(actor: int, enrolment: Enrolment) -> Row:
    return (
        actor,
        enrolment.enrolment_id,
        enrolment.journey_id,
        enrolment.trigger_event_id,
        enrolment.created_at,
        enrolment.wake_at,
        enrolment.depth,
        enrolment.state,
        enrolment.wait,
        enrolment.visit,
        enrolment.node_id,
    )


def settled_verdicts(run_segment: RunSegment) -> list[UUID | None]:
    """Keys of the verdicts that no turn after this run segment needs; None stands for all of the enrolment.

    Others stay: a run of the turn that was lost may have gone further, and have acted on their verdicts.
    """
    if run_segment.state is EnrolmentState.HALTED:
        return [None]
    return [
        fx.effect_key(run_segment.enrolment_id, step.node_id, step.visit)
        for step in run_segment.steps
        if step.result in _JUDGED
    ]
