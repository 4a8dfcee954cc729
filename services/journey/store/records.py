"""What a commit did, as the records in which history is written: one a shard and team."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.feeds.journey_records import RunSegmentFact, pack_record, read_record
from libs.common.feeds.records import epoch_us, shard_of
from libs.common.ids import new_id, partition_of
from services.journey.domain.enrolment import Step, StepResult
from services.journey.domain.model import ActorKey, Journey
from services.journey.domain.turn import Refusal, RunSegment
from services.journey.domain.views import KeptStep
from services.journey.store.codec import StatusRecord

FACTS_MAX: Final = 250
"""Facts of a record, some 100 bytes each: a page of a feed holds many records."""

_VERSION: Final = 1
_RUN_SEGMENT, _REFUSAL, _STATUS = 1, 2, 3
_MICROSECOND: Final = timedelta(microseconds=1)
_RESULTS: Final = {result.value: result for result in StepResult}
NO_JOURNEYS: Final[Mapping[UUID, Journey]] = {}
"""Of a commit that goes by no definitions."""


class RecordRow(NamedTuple):
    """A record before it has a position: a row of the type `record_row`."""

    shard: int
    team_id: UUID
    body: bytes


def new_commit_key() -> int:
    """What the records of one commit are found by: real milliseconds, then chance; not necessarily of its own."""
    return new_id().int >> 64


class Records:
    """Collects what one commit did."""

    def __init__(self, journeys: Mapping[UUID, Journey] = NO_JOURNEYS) -> None:
        """Nothing so far; `journeys` are those by which the commit decided, as far as it did."""
        self._journeys = journeys
        self._drafts: dict[tuple[int, UUID], _Draft] = {}

    def add_segment(self, key: ActorKey, segment: RunSegment) -> None:
        """An enrolment went on."""
        draft = self._draft(key.partition, key.team_id, segment.at)
        steps = [
            (step.node_id, step.visit, step.result, step.entered, step.detail, draft.after(step.at))
            if not step.seen
            else _with_seen(step, draft)
            for step in segment.steps
        ]
        draft.facts.append(
            (
                _RUN_SEGMENT,
                draft.index(segment.journey_id, segment.revision),
                key.customer_id.bytes,
                segment.enrolment_id.bytes,
                segment.enrolled,
                segment.state,
                steps,
                draft.after(segment.at),
            )
        )

    def add_refusal(self, key: ActorKey, refusal: Refusal) -> None:
        """A trigger did not enrol."""
        draft = self._draft(key.partition, key.team_id, refusal.at)
        index, after = draft.index(refusal.journey_id), draft.after(refusal.at)
        draft.facts.append((_REFUSAL, index, key.customer_id.bytes, refusal.reason, after))

    def add_trace(self, key: ActorKey, trace: bytes) -> None:
        """A sampled trace had a part in what was added."""
        draft = self._drafts.get((shard_of(key.partition), key.team_id))
        if draft is not None:
            draft.traces.append(trace)

    def add_status(self, journey: Journey, change: StatusRecord, at: datetime) -> None:
        """A journey changed its status."""
        draft = self._draft(partition_of(journey.team_id, journey.journey_id), journey.team_id, at)
        index, after = draft.index(journey.journey_id), draft.after(at)
        draft.facts.append((_STATUS, index, change.before, change.after, change.reason, change.name, after))

    def rows(self) -> list[RecordRow]:
        """The records, none without facts."""
        return [
            RecordRow(shard, team_id, body)
            for (shard, team_id), draft in self._drafts.items()
            for body in draft.bodies()
        ]

    def _draft(self, partition: int, team_id: UUID, at: datetime) -> _Draft:
        key = (shard_of(partition), team_id)
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = _Draft(at, self._journeys)
        return draft


class _Draft:
    """A record under way; facts are tuples in the order of their structs, which gives the same bytes."""

    def __init__(self, at: datetime, known: Mapping[UUID, Journey]) -> None:
        self._at = at
        self._known = known
        self._journeys: dict[tuple[UUID, int | None], int] = {}
        """Places, by journey and the revision by which it was gone by; None is that of the commit."""
        self.facts: list[tuple[Any, ...]] = []
        self.traces: list[bytes] = []

    def index(self, journey_id: UUID, revision: int | None = None) -> int:
        return self._journeys.setdefault((journey_id, revision), len(self._journeys))

    def after(self, at: datetime) -> int:
        # Of one batch nearly all is of one moment.
        return 0 if at is self._at or at == self._at else (at - self._at) // _MICROSECOND

    def bodies(self) -> Iterator[bytes]:
        at_us, journeys = epoch_us(self._at), [journey_id.bytes for journey_id, _ in self._journeys]
        revisions = [self._revision(*key) for key in self._journeys]
        for first in range(0, len(self.facts), FACTS_MAX):
            traces = (self.traces,) if self.traces and not first else ()
            facts = self.facts[first : first + FACTS_MAX]
            yield pack_record((_VERSION, at_us, journeys, facts, revisions, *traces))

    def _revision(self, journey_id: UUID, revision: int | None) -> int:
        if revision is not None:
            return revision
        journey = self._known.get(journey_id)
        return 0 if journey is None else journey.revision


def _with_seen(step: Step, draft: _Draft) -> tuple[Any, ...]:
    after = draft.after(step.at)
    return step.node_id, step.visit, step.result, step.entered, step.detail, after, step.seen


def steps_of(enrolment_id: UUID, bodies: Iterable[bytes]) -> Iterator[KeptStep]:
    """What records tell of an enrolment, in their order. Raises `msgspec.ValidationError` for what is no record."""
    wanted = enrolment_id.bytes
    for record in map(read_record, bodies):
        for fact in record.facts:
            if isinstance(fact, RunSegmentFact) and fact.enrolment_id == wanted:
                revision = record.revisions[fact.journey] if record.revisions else 0
                for each in fact.steps:
                    at, result = record.time(each.after_us), _RESULTS[each.result]
                    step = Step(each.node_id, each.visit, result, at, each.entered, each.detail, each.seen)
                    yield KeptStep(step, revision)


def visits_of(
    node_id: str, enrolments: Set[bytes], bodies: Iterable[bytes]
) -> Iterator[tuple[bytes, datetime]]:
    """When enrolments entered a node, as records tell it. Raises `msgspec.ValidationError` for what is no record."""
    for record in map(read_record, bodies):
        for fact in record.facts:
            if isinstance(fact, RunSegmentFact) and fact.enrolment_id in enrolments:
                for step in fact.steps:
                    if step.entered and step.node_id == node_id:
                        yield fact.enrolment_id, record.time(step.after_us)
