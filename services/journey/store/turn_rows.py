"""What turns decided, as the columns in which their commit is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.common.mailbox.mail import MailSource
from services.journey.domain import effects as fx
from services.journey.domain.model import ActorKey, EnrolmentState, StepResult
from services.journey.domain.turn import RunSegment, TurnResult
from services.journey.store import codec
from services.journey.store.history import HistoryRow, refusal_row, run_segment_row

_JUDGED = frozenset({StepResult.YES, StepResult.NO, StepResult.REFUSED})
"""What a condition comes to."""
_ACTOR_WIDTH = 9
_ENROLMENT_WIDTH = 11
_VERDICT_WIDTH = 3
_HISTORY_WIDTH = 8

Row = tuple[Any, ...]


def commit_columns(
    turns: Mapping[ActorKey, TurnResult], changes: Iterable[HistoryRow] = ()
) -> tuple[Sequence[Any], ...]:
    """The arguments of `write_turns` after the time; `changes` is history beside that of the turns."""
    actors = [_actor_row(key, turn) for key, turn in turns.items()]
    enrolments: list[Row] = []
    verdicts: list[Row] = []
    history: list[Row] = []
    for number, (key, turn) in enumerate(turns.items(), 1):
        enrolments.extend(
            (
                *(number, e.enrolment_id, e.journey_id, e.trigger_event_id, e.created_at, e.wake_at),
                *(e.depth, e.state, e.wait, e.visit, e.node_id),
            )
            for e in turn.enrolments
        )
        history.extend(run_segment_row(key, segment) for segment in turn.run_segments)
        history.extend(refusal_row(key, refusal) for refusal in turn.refusals)
        verdicts.extend(
            (key.team_id, run_segment.enrolment_id, told)
            for run_segment in turn.run_segments
            for told in settled_verdicts(run_segment)
        )
    history.extend(changes)
    return (
        *_columns(actors, _ACTOR_WIDTH),
        *_columns(enrolments, _ENROLMENT_WIDTH),
        *_columns(verdicts, _VERDICT_WIDTH),
        *_columns(history, _HISTORY_WIDTH),
    )


def _columns(rows: Sequence[Row], width: int) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


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
