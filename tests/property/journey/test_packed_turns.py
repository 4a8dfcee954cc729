"""Whatever turns decide: an actor's row, and the rows of its enrolments, say together what was decided, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.common.feeds.journey_records import read_record
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.turn import Actor, RunSegment, TurnResult
from services.journey.store import packed
from services.journey.store.records import steps_of
from services.journey.store.turn_rows import commit_rows
from services.journey.store.turns_protocol import StoredActor

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = d.ActorKey(3, UUID(int=1), UUID(int=2))
JOURNEY = UUID(int=100)

moves = st.dictionaries(
    st.integers(1, 4),
    st.sampled_from([WaitReason.DELAY, WaitReason.SEND, WaitReason.QUIET, None]),
    min_size=1,
)
"""What a turn does: an enrolment by its number → what it waits for now, None if it has ended."""


@given(st.lists(moves, max_size=12), st.integers(0, 2))
def test_rows_say_what_was_decided(turns: list[dict[int, WaitReason | None]], unpacked: int) -> None:
    live = {number: _enrolment(number, WaitReason.SEND, AT) for number in range(1, unpacked + 1)}
    rows: dict[UUID, Any] = {e.enrolment_id: _row_of(e) for e in live.values()}
    stored = StoredActor([packed.LiveRow(e, AT, listed=True) for e in live.values()], {})
    ended: set[int] = set()
    records: list[bytes] = []
    steps: dict[int, int] = {}
    for turn, wanted in enumerate(turns):
        now = AT + timedelta(minutes=turn)
        changed = []
        for number, wait in wanted.items():
            if number in ended:
                continue
            enrolment = _enrolment(number, wait, live[number].created_at if number in live else now)
            changed.append(enrolment)
            steps[number] = steps.get(number, 0) + 1
            live.pop(number, None)
            if wait is None:
                ended.add(number)
            else:
                live[number] = enrolment
        commit = commit_rows({KEY: _turn(changed, live, now)}, {KEY: stored}, now)
        *_, enrolment_id, journey_id, since, wait, state, _, _, node_id, wake_at = commit.actors[0]
        named = None if since is None else packed.Named(enrolment_id, journey_id, since)
        found, _ = packed.read_state(KEY.team_id, KEY.customer_id, state, named)
        assert sorted((row.enrolment for row in found), key=_number) == sorted(live.values(), key=_number)
        rows.update({row[3]: row for row in commit.enrolments})
        assert {row[3] for row in rows.values() if row[10] == EnrolmentState.LIVE} == {
            row.enrolment.enrolment_id for row in found if row.listed
        }
        assert [row.enrolment.enrolment_id for row in found if not row.listed] == (
            [enrolment_id] if named else []
        )
        stands = [
            (row.enrolment.wait, row.enrolment.node_id, row.enrolment.wake_at)
            for row in found
            if not row.listed
        ]
        assert ([(wait, node_id, wake_at)] if named else []) == stands
        for row in found:
            if row.listed:
                assert rows[row.enrolment.enrolment_id][8:13] == _row_of(row.enrolment)[8:13]
        assert {row[3].int for row in rows.values() if row[10] != EnrolmentState.LIVE} == ended
        records += [row.body for row in commit.records.rows()]
        stored = StoredActor(found, {})
    for number, count in steps.items():
        assert len(list(steps_of(UUID(int=number), records))) == count
    keys = {row.enrolment.enrolment_id.int: row.commits for row in stored.live} | {
        row[3].int: tuple(row[14]) for row in rows.values() if row[10] != EnrolmentState.LIVE
    }
    assert all(len(keys[number]) == count for number, count in steps.items())
    assert len([fact for body in records for fact in read_record(body).facts]) == sum(steps.values())


def _number(enrolment: Enrolment) -> int:
    return enrolment.enrolment_id.int


def _enrolment(number: int, wait: WaitReason | None, created_at: datetime) -> Enrolment:
    live = wait is not None
    return Enrolment(
        UUID(int=number),
        JOURNEY,
        KEY.team_id,
        KEY.customer_id,
        UUID(int=number + 50),
        0,
        created_at,
        EnrolmentState.LIVE if live else EnrolmentState.COMPLETED,
        "node",
        1,
        wait or WaitReason.NONE,
        AT + timedelta(days=number) if wait in (WaitReason.DELAY, WaitReason.QUIET) else None,
    )


def _row_of(e: Enrolment) -> tuple[Any, ...]:
    times = (e.created_at, AT, e.wake_at)
    return (
        *KEY,
        e.enrolment_id,
        e.journey_id,
        e.trigger_event_id,
        *times,
        e.depth,
        e.state,
        e.wait,
        e.visit,
        e.node_id,
    )


def _turn(changed: list[Enrolment], live: dict[int, Enrolment], now: datetime) -> TurnResult:
    step = Step("node", 1, StepResult.SENT, now)
    return TurnResult(
        Actor(KEY.team_id, KEY.customer_id, {1: 1}, {}),
        min((e.wake_at for e in live.values() if e.wake_at is not None), default=None),
        any(e.wait is WaitReason.SEND for e in live.values()),
        tuple(changed),
        tuple(RunSegment(JOURNEY, e.enrolment_id, False, (step,), e.state, now) for e in changed),
        (),
        {},
        frozenset(),
    )
