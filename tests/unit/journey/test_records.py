"""What a commit did, as records: each fact once, in the record of its team and shard, found again by its enrolment."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.feeds import journey_records as jr
from libs.common.feeds.records import shard_of
from libs.common.ids import partition_of
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, Step, StepResult
from services.journey.domain.turn import Refusal, RefusalReason, RunSegment
from services.journey.store import records as r
from tests.unit.journey.builders import journey

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAMS = [UUID(int=n) for n in (1, 2)]

steps = st.builds(
    Step,
    st.sampled_from(["send", "wait", "問"]),
    st.integers(1, 3),
    st.sampled_from(StepResult),
    st.integers(-5, 5).map(lambda us: AT + timedelta(microseconds=us)),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from(["", "tags: vip"]),
)
segments = st.builds(
    RunSegment,
    st.integers(100, 103).map(lambda n: UUID(int=n)),
    st.integers(200, 210).map(lambda n: UUID(int=n)),
    st.booleans(),
    st.lists(steps, max_size=4).map(tuple),
    st.sampled_from(EnrolmentState),
    st.integers(-3, 3).map(lambda us: AT + timedelta(microseconds=us)),
)
refusals = st.builds(
    Refusal, st.integers(100, 103).map(lambda n: UUID(int=n)), st.sampled_from(RefusalReason), st.just(AT)
)
keys = st.builds(
    lambda team, customer: d.ActorKey(partition_of(team, customer), team, customer),
    st.sampled_from(TEAMS),
    st.integers(1, 40).map(lambda n: UUID(int=n)),
)


@given(st.lists(st.tuples(keys, segments | refusals), max_size=30))
def test_every_fact_is_in_one_record_of_its_team_and_shard_in_order(
    facts: list[tuple[d.ActorKey, RunSegment | Refusal]],
) -> None:
    records = r.Records()
    wanted: dict[tuple[int, UUID], list[tuple[object, ...]]] = {}
    for key, fact in facts:
        of_record = wanted.setdefault((shard_of(key.partition), key.team_id), [])
        if isinstance(fact, RunSegment):
            records.add_segment(key, fact)
            of_record.append(
                (fact.journey_id, key.customer_id, fact.enrolment_id, fact.at, fact.state, fact.enrolled)
            )
        else:
            records.add_refusal(key, fact)
            of_record.append((fact.journey_id, key.customer_id, fact.reason))
    found = {
        (row.shard, row.team_id): [_read(row.body, fact) for fact in jr.read_record(row.body).facts]
        for row in records.rows()
    }
    assert found == wanted
    bodies = [row.body for row in records.rows()]
    for enrolment_id in {fact.enrolment_id for _, fact in facts if isinstance(fact, RunSegment)}:
        told = Counter(
            step
            for _, fact in facts
            if isinstance(fact, RunSegment) and fact.enrolment_id == enrolment_id
            for step in fact.steps
        )
        assert Counter(step for step, _ in r.steps_of(enrolment_id, bodies)) == told


def _read(body: bytes, fact: jr.Fact) -> tuple[object, ...]:
    record = jr.read_record(body)
    journey_id = UUID(bytes=record.journeys[fact.journey])
    assert not isinstance(fact, jr.StatusFact)
    ids = (journey_id, UUID(bytes=fact.customer_id))
    if isinstance(fact, jr.RefusalFact):
        return *ids, fact.reason
    return *ids, UUID(bytes=fact.enrolment_id), record.time(fact.after_us), fact.state, fact.enrolled


def test_a_commit_with_many_facts_is_several_records() -> None:
    records, team, customer = r.Records(), TEAMS[0], UUID(int=1)
    key = d.ActorKey(partition_of(team, customer), team, customer)
    for number in range(r.FACTS_MAX + 1):
        records.add_refusal(key, Refusal(UUID(int=number), RefusalReason.CUSTOMER_LIMIT, AT))
    first, second = (jr.read_record(row.body) for row in records.rows())
    assert (len(first.facts), len(second.facts)) == (r.FACTS_MAX, 1)
    assert UUID(bytes=second.journeys[second.facts[0].journey]) == UUID(int=r.FACTS_MAX)


@pytest.mark.rule("J-06e", "J-41a")
def test_a_step_is_told_with_the_revision_by_which_it_was_done() -> None:
    first, second = (msgspec.structs.replace(journey(number=n), revision=n) for n in (7, 8))
    records, customer = r.Records({each.journey_id: each for each in (first, second)}), UUID(int=1)
    key = d.ActorKey(partition_of(TEAMS[0], customer), TEAMS[0], customer)
    step = Step("ask", 1, StepResult.YES, AT, True, seen="tags: vip")
    for number, each in enumerate((second, first, journey(number=9))):
        done = RunSegment(each.journey_id, UUID(int=number), True, (step,), EnrolmentState.LIVE, AT)
        records.add_segment(key, done)
    for number, revision in ((3, 6), (4, 0)):
        done = RunSegment(
            first.journey_id, UUID(int=number), True, (step,), EnrolmentState.LIVE, AT, revision
        )
        records.add_segment(key, done)
    [row] = records.rows()
    told = [list(r.steps_of(UUID(int=number), [row.body])) for number in range(5)]
    assert told == [[(step, 8)], [(step, 7)], [(step, 0)], [(step, 6)], [(step, 0)]]


@pytest.mark.rule("J-41a")
def test_a_record_of_before_revisions_were_kept_has_none() -> None:
    fact = (1, 0, b"c" * 16, b"e" * 16, True, 1, [("ask", 1, 10, True, "", 0)], 0)
    [(step, revision)] = r.steps_of(UUID(bytes=b"e" * 16), [jr.pack_record((1, 0, [b"j" * 16], [fact]))])
    assert (step.result, step.seen, revision) == (StepResult.YES, "", 0)


def test_keys_of_commits_grow_with_time_and_fit_into_the_database() -> None:
    before = r.new_commit_key()
    assert 0 < before < 1 << 63
    assert r.new_commit_key() >> 16 >= before >> 16
