"""The store of turns in memory, with the behaviour of the one on PostgreSQL. One suite proves both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from libs.testing.leases import LeaseTable
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import TIMED, Enrolment, EnrolmentState, WaitReason
from services.journey.domain.lifecycle import JourneyChanged, stopped_by_itself
from services.journey.domain.model import ActorKey, Journey, JourneyStatus, StatusReason
from services.journey.domain.turn import Actor, Refusal, RunSegment, TurnResult
from services.journey.store.packed import KeptVerdict, PackedActor, pack_state, pack_verdicts
from services.journey.store.turn_rows import commit_rows
from services.journey.store.turns_protocol import ActorChanged, FoundTimers, LoadedTurns

NOBODY: Final = PackedActor(0, (0, 0, 0), None, pack_state((), {}), None)
"""An actor that was never committed."""


class Fact(NamedTuple):
    """A row of history, in the order of commits."""

    customer: ActorKey
    what: RunSegment | Refusal


@dataclass
class Tables:
    """What all processes of one installation share; it outlives them."""

    leases: LeaseTable
    journeys: dict[UUID, Journey] = field(default_factory=dict)
    actors: dict[ActorKey, Actor] = field(default_factory=dict)
    enrolments: defaultdict[ActorKey, dict[UUID, Enrolment]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    parked: dict[ActorKey, str] = field(default_factory=dict)
    states: dict[ActorKey, PackedActor] = field(default_factory=dict)
    """Actors as their rows hold them, but for verdicts."""
    verdicts: dict[ActorKey, bytes | None] = field(default_factory=dict)
    """Packed; only between an evaluation and the commit of its turn."""
    checkpoints: dict[tuple[int, int], int] = field(default_factory=dict)
    history: list[Fact] = field(default_factory=list)

    def live(self) -> Iterable[tuple[ActorKey, Enrolment]]:
        """Everybody who is inside a journey."""
        for key, enrolments in self.enrolments.items():
            for enrolment in enrolments.values():
                if enrolment.state is EnrolmentState.LIVE:
                    yield key, enrolment

    def change_journey(self, journey_id: UUID, **changes: object) -> None:
        """Any change of a journey moves its version."""
        journey = self.journeys[journey_id]
        self.journeys[journey_id] = replace(journey, version=journey.version + 1, **changes)

    def settle_stop(self, journey_id: UUID) -> bool:
        """STOPPING becomes STOPPED when nobody is inside."""
        if any(enrolment.journey_id == journey_id for _, enrolment in self.live()):
            return False
        if self.journeys[journey_id].status is JourneyStatus.STOPPING:
            self.change_journey(journey_id, status=JourneyStatus.STOPPED)
        return True


class InMemoryTurnStore:
    """A `TurnStorage` on shared tables. Every method is one transaction: nothing comes between its steps."""

    def __init__(self, tables: Tables) -> None:
        """`tables` are shared by all stores of one installation."""
        self._tables = tables

    async def load(self, keys: Sequence[ActorKey], teams: Collection[UUID] = ()) -> LoadedTurns:
        """See `TurnStorage`."""
        parked = {key for key in keys if key in self._tables.parked}
        versions = self._versions({key.team_id for key in keys}.union(teams))
        loaded = LoadedTurns({}, {}, parked, versions, {})
        for key in keys:
            packed = self._tables.states.get(key, NOBODY)
            loaded.add(key, replace(packed, verdicts=self._tables.verdicts.get(key)))
            self._check_loaded(key, loaded)
        return loaded

    def _check_loaded(self, key: ActorKey, loaded: LoadedTurns) -> None:
        """What is packed of an actor must be what the rows of its enrolments say."""
        rows = _live_of(self._tables.enrolments[key].values())
        actor = self._tables.actors.get(key)
        if loaded.enrolments[key] != rows or (
            actor is not None and actor.entries != loaded.actors[key].entries
        ):
            raise AssertionError(f"the packed state of {key} is not what was decided")

    def _versions(self, teams: Collection[UUID]) -> dict[UUID, int]:
        """Of the journeys that customers can be in."""
        return {
            journey_id: journey.version
            for journey_id, journey in self._tables.journeys.items()
            if journey.team_id in teams and journey.status not in (JourneyStatus.DRAFT, JourneyStatus.STOPPED)
        }

    async def prove_journeys(self, loaded: LoadedTurns) -> None:
        """See `TurnStorage`."""
        self._prove(loaded)

    def _prove(self, loaded: LoadedTurns) -> None:
        if loaded.unproven is not None:
            if self._versions({key.team_id for key in loaded.actors}) != loaded.unproven:
                raise JourneyChanged
            loaded.unproven = None

    def _check_version(self, key: ActorKey, version: int) -> None:
        """Nobody else may have written an actor since its turn began."""
        if self._tables.states.get(key, NOBODY).version != version:
            raise ActorChanged

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[Journey]:
        """See `TurnStorage`."""
        wanted = set(teams)
        found = [self._tables.journeys[j] for j in journey_ids if j in self._tables.journeys]
        return [journey for journey in found if journey.team_id in wanted]

    async def keep_verdicts(
        self,
        evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
    ) -> dict[ActorKey, fx.Verdict]:
        """See `TurnStorage`."""
        self._tables.leases.check_fence({key.partition: fence[key.partition] for key in evaluated})
        self._prove(loaded)
        for key in evaluated:
            self._check_version(key, loaded.stored[key].version)
        first: dict[ActorKey, fx.Verdict] = {}
        for key, (asked, verdict) in evaluated.items():
            kept = loaded.stored[key].verdicts
            plain = fx.Verdict(verdict.belongs, verdict.reason)
            first[key] = kept.setdefault(asked.key, KeptVerdict(asked.enrolment_id, plain)).verdict
            self._tables.verdicts[key] = pack_verdicts(kept)
        return first

    async def commit(
        self,
        turns: Mapping[ActorKey, TurnResult],
        loaded: LoadedTurns,
        journeys: Mapping[UUID, Journey],
        fence: Mapping[int, int],
        now: datetime,
    ) -> dict[ActorKey, PackedActor]:
        """See `TurnStorage`."""
        self._tables.leases.check_fence({key.partition: fence[key.partition] for key in turns})
        self._hold(turns.values(), journeys)
        self._prove(loaded)
        for key in turns:
            self._check_version(key, loaded.stored[key].version)
        for turn in turns.values():
            for enrolment in turn.enrolments:
                _check(enrolment)
        rows = commit_rows(turns, loaded.stored, now, journeys)
        self._stop(turns.values())
        for key, turn in turns.items():
            self._tables.states[key] = rows.packed[key]
            self._tables.verdicts[key] = rows.packed[key].verdicts
            self._save(key, turn)
        return rows.packed

    def _hold(self, turns: Iterable[TurnResult], journeys: Mapping[UUID, Journey]) -> None:
        used = frozenset[UUID]().union(*(turn.journeys_used for turn in turns))
        stored = self._tables.journeys
        if any(journeys[j].version != stored[j].version for j in used if j in stored):
            raise JourneyChanged

    def _stop(self, turns: Iterable[TurnResult]) -> None:
        stops: dict[UUID, StatusReason] = {}
        for turn in turns:
            for journey_id, reason in turn.stops.items():
                stops.setdefault(journey_id, StatusReason[reason])
        for journey_id, why in stops.items():
            after = stopped_by_itself(self._tables.journeys[journey_id], why)
            if after is not None:
                self._tables.change_journey(journey_id, status=after, reason=why)

    def _save(self, key: ActorKey, turn: TurnResult) -> None:
        self._tables.actors[key] = turn.actor
        stored = self._tables.enrolments[key]
        for enrolment in turn.enrolments:
            stored[enrolment.enrolment_id] = replace(enrolment, fresh=False)
        for run_segment in turn.run_segments:
            self._tables.history.append(Fact(key, run_segment))
        for refusal in turn.refusals:
            self._tables.history.append(Fact(key, refusal))

    async def look_at_timers(self, partitions: Collection[int], until: datetime, limit: int) -> FoundTimers:
        """See `TurnStorage`."""
        first: dict[ActorKey, datetime] = {}
        for key, enrolment in self._tables.live():
            if enrolment.wake_at is not None and key.partition in partitions:
                first[key] = min(enrolment.wake_at, first.get(key, enrolment.wake_at))
        timers = sorted((wake_at, key) for key, wake_at in first.items())
        found = [(at, key) for at, key in timers if at <= until and key not in self._tables.parked][:limit]
        if len(found) == limit:
            return FoundTimers(found, found[-1][0])
        return FoundTimers(found, next((at for at, _ in timers if at > until), None))

    async def halting_customers(
        self, team_id: UUID, journey_id: UUID, partitions: Iterable[int], limit: int
    ) -> list[ActorKey]:
        """See `TurnStorage`."""
        wanted = set(partitions)
        keys = [
            key
            for key, enrolment in self._tables.live()
            if (key.team_id, enrolment.journey_id) == (team_id, journey_id)
            and enrolment.wait is not WaitReason.SEND
            and key.partition in wanted
            and key not in self._tables.parked
        ]
        return list(dict.fromkeys(keys))[:limit]

    async def park(self, key: ActorKey, error: str, attempts: int, fence: Mapping[int, int]) -> None:
        """See `TurnStorage`."""
        self._tables.leases.check_fence({key.partition: fence[key.partition]})
        self._tables.parked[key] = error

    async def checkpoints(self, partitions: Iterable[int]) -> dict[tuple[int, int], int]:
        """See `TurnStorage`."""
        wanted = set(partitions)
        return {key: at for key, at in self._tables.checkpoints.items() if key[0] in wanted}

    async def save_checkpoints(self, marks: Mapping[tuple[int, int], int], fence: Mapping[int, int]) -> None:
        """See `TurnStorage`."""
        self._tables.leases.check_fence({partition: fence[partition] for partition, _ in marks})
        for key, position in marks.items():
            self._tables.checkpoints[key] = max(position, self._tables.checkpoints.get(key, 0))


def _live_of(enrolments: Iterable[Enrolment]) -> list[Enrolment]:
    live = [enrolment for enrolment in enrolments if enrolment.state is EnrolmentState.LIVE]
    return sorted(live, key=lambda enrolment: (enrolment.created_at, enrolment.enrolment_id))


def _check(enrolment: Enrolment) -> None:
    """The constraints of the table."""
    if (enrolment.wake_at is not None) != (enrolment.wait in TIMED):
        raise ValueError(f"a timer without a rest, or the other way round: {enrolment}")
    if enrolment.state is not EnrolmentState.LIVE and enrolment.wait is not WaitReason.NONE:
        raise ValueError(f"an ended enrolment rests: {enrolment}")
