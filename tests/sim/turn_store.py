"""The store of turns in memory, with the behaviour of the one on PostgreSQL. One suite proves both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from libs.testing.leases import LeaseTable
from services.journey.domain import effects as fx
from services.journey.domain.lifecycle import JourneyChanged, stopped_by_itself
from services.journey.domain.model import (
    ActorKey,
    Enrolment,
    EnrolmentState,
    Journey,
    JourneyStatus,
    StatusReason,
    WaitReason,
)
from services.journey.domain.turn import Actor, Refusal, RunSegment, TurnResult
from services.journey.store.packed import (
    KeptVerdict,
    Named,
    pack_state,
    pack_verdicts,
    read_state,
    read_verdicts,
)
from services.journey.store.turn_rows import commit_rows
from services.journey.store.turns_protocol import DueTimers, LoadedTurns, StoredActor


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
    states: dict[ActorKey, tuple[Named | None, bytes]] = field(default_factory=dict)
    """Live enrolments and counts as the actors' rows hold them."""
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

    async def load(self, keys: Sequence[ActorKey]) -> LoadedTurns:
        """See `TurnStorage`."""
        tables = self._tables
        teams = {key.team_id for key in keys}
        stored = {key: self._stored(key) for key in keys}
        return LoadedTurns(
            {key: tables.actors.get(key) or Actor(key.team_id, key.customer_id, {}, {}) for key in keys},
            {key: [row.enrolment for row in stored[key].live] for key in keys},
            {key for key in keys if key in tables.parked},
            {
                journey_id: journey.version
                for journey_id, journey in tables.journeys.items()
                if journey.team_id in teams
                and journey.status not in (JourneyStatus.DRAFT, JourneyStatus.STOPPED)
            },
            stored,
        )

    def _stored(self, key: ActorKey) -> StoredActor:
        """What is packed of an actor; it must be what the rows of its enrolments say."""
        named, state = self._tables.states.get(key, (None, pack_state((), {})))
        live, entries = read_state(key.team_id, key.customer_id, state, named)
        rows = _live_of(self._tables.enrolments[key].values())
        actor = self._tables.actors.get(key)
        if [row.enrolment for row in live] != rows or (actor is not None and actor.entries != entries):
            raise AssertionError(f"the packed state of {key} is not what was decided")
        return StoredActor(live, read_verdicts(self._tables.verdicts.get(key)))

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
    ) -> None:
        """See `TurnStorage`."""
        self._tables.leases.check_fence({key.partition: fence[key.partition] for key in turns})
        self._hold(turns.values(), journeys)
        for turn in turns.values():
            for enrolment in turn.enrolments:
                _check(enrolment)
        rows = commit_rows(turns, loaded.stored, now)
        self._stop(turns.values())
        for row, (key, turn) in zip(rows.actors, turns.items(), strict=True):
            *_, enrolment_id, journey_id, since, _, state, verdicts = row
            named = None if since is None else Named(enrolment_id, journey_id, since)
            self._tables.states[key] = named, state
            self._tables.verdicts[key] = verdicts
            self._save(key, turn)

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

    async def look_at_timers(self, partitions: Collection[int], until: datetime, limit: int) -> DueTimers:
        """See `TurnStorage`."""
        timers = sorted(
            (enrolment.wake_at, key)
            for key, enrolment in self._tables.live()
            if enrolment.wake_at is not None and key.partition in partitions
        )
        due = [key for at, key in timers if at <= until and key not in self._tables.parked]
        customers = list(dict.fromkeys(due))
        following = next((at for at, _ in timers if at > until), None)
        return DueTimers(customers[:limit], following, more=len(customers) >= limit)

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
    if (enrolment.wake_at is not None) != (enrolment.wait in (WaitReason.DELAY, WaitReason.QUIET)):
        raise ValueError(f"a timer without a rest, or the other way round: {enrolment}")
    if enrolment.state is not EnrolmentState.LIVE and enrolment.wait is not WaitReason.NONE:
        raise ValueError(f"an ended enrolment rests: {enrolment}")
