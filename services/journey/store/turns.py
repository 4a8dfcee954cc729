"""The SQL of turns: one load and one commit for hundreds of customers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common import crash
from libs.common.db.history import count_by_partition
from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from libs.common.db.reading import read_alone
from libs.common.leases import check_fence
from libs.common.mailbox.errors import Fenced
from libs.common.times import UnreadableTime
from services.journey.domain import effects as fx
from services.journey.domain.explain import LIVE_REFUSALS_KEPT
from services.journey.domain.lifecycle import JourneyChanged, stopped_by_itself
from services.journey.domain.model import ActorKey, Journey, StatusReason
from services.journey.domain.turn import RefusalReason, TurnResult
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.journeys import BY_ITSELF
from services.journey.store.packed import (
    KeptVerdict,
    PackedActor,
    pack_verdicts,
)
from services.journey.store.records import Records
from services.journey.store.turn_loads import load_turns
from services.journey.store.turn_rows import CommitRows, commit_rows
from services.journey.store.turns_protocol import (
    ActorChanged,
    FoundTimers,
    LoadedTurns,
    StoredActor,
)

_TIMERS_OF_PARTITION_MIN: Final = 8


class TurnStore:
    """Loads and commits turns."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def load(self, keys: Sequence[ActorKey], teams: Collection[UUID] = ()) -> LoadedTurns:
        """State of these customers, and versions for their teams and `teams`; a customer without an actor row gets a
        fresh actor."""
        return await load_turns(partial(read_alone, self._pool), keys, teams)

    async def prove_journeys(self, loaded: LoadedTurns) -> None:
        """See `TurnStorage`."""
        if loaded.unproven is not None:
            with _refusals():
                await fetch_alone(self._pool, *_proof_query(loaded))
            loaded.unproven = None

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[Journey]:
        """These journeys with their definitions."""
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(*BOOK.bind("journeys_by_id", journey_ids=list(journey_ids)))
        return [codec.journey_from(row) for row in rows]

    async def keep_verdicts(
        self,
        evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
    ) -> dict[ActorKey, fx.Verdict]:
        """Keeps verdicts until their turns are committed, before anything is done because of them.

        Returns the first one of each key: a turn that is run again takes the branch whose effects it has begun. Raises
        `Fenced` (a worker that lost its lease must not begin another branch), `JourneyChanged` and `ActorChanged` (nor
        must one that remembers what is not so any more) and the driver's errors.
        """
        fresh = {
            key: given for key, given in evaluated.items() if given[0].key not in loaded.stored[key].verdicts
        }
        if fresh:
            _note_verdicts(fresh, loaded)
            older = await self._keep(fresh, loaded, fence, moved=False)
            if older:
                _note_verdicts(
                    {key: (asked, older.get(asked.key, verdict)) for key, (asked, verdict) in fresh.items()},
                    loaded,
                )
                await self._keep(fresh, loaded, fence, moved=True)
        return {key: loaded.stored[key].verdicts[asked.key].verdict for key, (asked, _) in evaluated.items()}

    async def _keep(
        self,
        fresh: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
        *,
        moved: bool,
    ) -> dict[UUID, fx.Verdict]:
        """Writes what is kept of these customers, unless verdicts in the form of the release before are returned."""
        leases = {key.partition: fence[key.partition] for key in fresh}
        with _refusals():
            rows = await fetch_alone(
                self._pool,
                *BOOK.bind(
                    "keep_verdicts",
                    team_ids=_teams_to_bind(fresh, loaded),
                    partitions=list(leases.keys()),
                    epochs=list(leases.values()),
                    rows=[_verdicts_row(key, loaded.stored[key]) for key in fresh],
                    enrolment_ids=[asked.enrolment_id for asked, _ in fresh.values()],
                    keys=[asked.key for asked, _ in fresh.values()],
                    moved=moved,
                    **_known(loaded),
                ),
            )
        loaded.unproven = None
        return {row["key"]: fx.Verdict(row["belongs"], row["reason"]) for row in rows}

    async def commit(
        self,
        turns: Mapping[ActorKey, TurnResult],
        loaded: LoadedTurns,
        journeys: Mapping[UUID, Journey],
        fence: Mapping[int, int],
        now: datetime,
    ) -> dict[ActorKey, PackedActor]:
        """Writes everything that these turns decided, given what they began with, or nothing; returns what the actors
        are now.

        `fence` maps partition → epoch of the leases under which they ran. Raises `Fenced` if a lease was lost,
        `JourneyChanged` if a journey that a turn used has another version now, or the unproven ones are not those that
        are stored, `ActorChanged` if an actor was written since its turn began, and the driver's errors.
        """
        rows = commit_rows(turns, loaded.stored, now, journeys)
        leases = {key.partition: fence[key.partition] for key in turns}
        used = frozenset[UUID]().union(*(turn.journeys_used for turn in turns.values()))
        stops, crowded = _stops(turns.values()), _crowded(turns)
        held = {
            "journey_ids": list(used),
            "versions": [journeys[journey_id].version for journey_id in used],
        }
        with _refusals():
            crash.reach("journey.before_commit")
            if not stops and not crowded:
                known = _known(loaded)
                teams = _teams_to_bind(turns, loaded)
                await fetch_alone(self._pool, *_commit_query(teams, leases, {**held, **known}, rows))
                return rows.packed
            async with transaction(self._pool, _teams_to_bind(turns, loaded)) as connection:
                await check_fence(connection, leases)
                await connection.execute(*BOOK.bind("hold_journeys_to_change", **held))
                if loaded.unproven is not None:
                    await connection.execute(*_proof_query(loaded))
                await _stop_journeys(connection, stops, journeys, rows.records, now)
                if crowded:
                    await connection.execute(*BOOK.bind("note_live_refusals", rows=crowded))
                    dropped = BOOK.bind("drop_old_live_refusals", rows=crowded, kept=LIVE_REFUSALS_KEPT)
                    await connection.execute(*dropped)
                await write_turns(connection, rows)
        return rows.packed

    async def look_at_timers(self, partitions: Collection[int], until: datetime, limit: int) -> FoundTimers:
        """See `TurnStorage`."""
        if not partitions:
            return FoundTimers([], None)
        # Two shares a partition: rarely are they so uneven that it has to be looked at again.
        each = max(_TIMERS_OF_PARTITION_MIN, 2 * limit // len(partitions))
        *rows, last = await read_alone(
            self._pool,
            *BOOK.bind(
                "look_at_timers", partitions=list(partitions), until=until, limit=limit, partition_limit=each
            ),
        )
        found = [
            (row["wake_at"], ActorKey(row["partition"], row["team_id"], row["customer_id"])) for row in rows
        ]
        following = last["wake_at"]
        if isinstance(following, UnreadableTime):
            following = None
        return FoundTimers(found, _cut_at(found, limit, each) or following)

    async def look_ahead(self, now: datetime) -> tuple[int, datetime | None]:
        """What is due by `now` in all partitions, timers and changes of journeys; and when the next thing is."""
        (row,) = await read_alone(self._pool, *BOOK.bind("look_ahead", now=now))
        following = row["following"]
        return int(row["due"]), None if isinstance(following, UnreadableTime) else following

    async def halting_customers(
        self, team_id: UUID, journey_id: UUID, partitions: Iterable[int], limit: int
    ) -> list[ActorKey]:
        """Customers to be halted in a stopping journey; those who wait for a send are not among them."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind(
                    "halting_customers",
                    team_id=team_id,
                    journey_id=journey_id,
                    partitions=list(partitions),
                    limit=limit,
                )
            )
        return [ActorKey(*row) for row in rows]

    async def park(self, key: ActorKey, error: str, attempts: int, fence: Mapping[int, int]) -> None:
        """Sets a customer aside. Their mail stays with its sources. Raises `Fenced`."""
        async with transaction(self._pool, [key.team_id]) as connection:
            await check_fence(connection, {key.partition: fence[key.partition]})
            await connection.execute(
                *BOOK.bind("park_customer", **key._asdict(), error=error, attempts=attempts)
            )

    async def checkpoints(self, partitions: Iterable[int]) -> dict[tuple[int, int], int]:
        """(partition, source) → position from which a repair has to begin."""
        rows = await self._pool.fetch(*BOOK.bind("load_checkpoints", partitions=list(partitions)))
        return {(row["partition"], row["source"]): row["position"] for row in rows}

    async def save_checkpoints(
        self, positions: Mapping[tuple[int, int], int], fence: Mapping[int, int]
    ) -> None:
        """Moves checkpoints forward. Raises `Fenced`."""
        keys = sorted(positions)
        async with transaction(self._pool, []) as connection:
            await check_fence(connection, {partition: fence[partition] for partition, _ in keys})
            await connection.execute(
                *BOOK.bind(
                    "save_checkpoints",
                    partitions=[partition for partition, _ in keys],
                    sources=[source for _, source in keys],
                    positions=[positions[key] for key in keys],
                )
            )


def _cut_at(found: Sequence[tuple[datetime, ActorKey]], limit: int, each: int) -> datetime | None:
    """From when on timers may be missing, since there were more than `limit`, or than `each` of a partition."""
    counts = count_by_partition(key.partition for _, key in found)
    full = {partition for partition, count in counts.items() if count >= each}
    last = {key.partition: wake_at for wake_at, key in found if key.partition in full}
    cuts = [*last.values(), *(wake_at for wake_at, _ in found[limit - 1 :])]
    return min(cuts, default=None)


def _teams_to_bind(keys: Iterable[ActorKey], loaded: LoadedTurns) -> list[UUID]:
    """Teams of these customers; of the whole batch while its journeys are to be compared."""
    return list({key.team_id for key in (keys if loaded.unproven is None else loaded.actors)})


def _known(loaded: LoadedTurns) -> dict[str, list[Any] | None]:
    if loaded.unproven is None:
        return {"known_ids": None, "known_versions": None}
    return {"known_ids": list(loaded.unproven.keys()), "known_versions": list(loaded.unproven.values())}


def _proof_query(loaded: LoadedTurns) -> tuple[Any, ...]:
    return BOOK.bind("prove_journeys", team_ids=_teams_to_bind((), loaded), **_known(loaded))


def _verdicts_row(key: ActorKey, stored: StoredActor) -> tuple[Any, ...]:
    return (*key, pack_verdicts(stored.verdicts), stored.version)


def _commit_query(
    teams: list[UUID], leases: Mapping[int, int], held: Mapping[str, Any], rows: CommitRows
) -> tuple[Any, ...]:
    return BOOK.bind(
        "commit_turns",
        team_ids=teams,
        partitions=list(leases.keys()),
        epochs=list(leases.values()),
        **held,
        **rows.arguments(),
    )


async def write_turns(connection: Connection, rows: CommitRows) -> None:
    """Writes turns in the caller's transaction, last: it locks heads of the history."""
    await connection.execute(*BOOK.bind("write_turns", **rows.arguments()))


def _note_verdicts(
    evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]], loaded: LoadedTurns
) -> None:
    for key, (asked, verdict) in evaluated.items():
        plain = fx.Verdict(verdict.belongs, verdict.reason, seen=verdict.seen)
        loaded.stored[key].verdicts[asked.key] = KeptVerdict(asked.enrolment_id, plain)


FENCED: Final = "OJ010"
JOURNEY_CHANGED: Final = "OJ011"
ACTOR_CHANGED: Final = "OJ012"
"""Errors that the functions of the migrations raise."""


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the functions of a commit refuse into the errors of this module's callers."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == FENCED:
            raise Fenced([int(partition) for partition in str(error).split(",")]) from None
        if error.sqlstate == JOURNEY_CHANGED:
            raise JourneyChanged from None
        if error.sqlstate == ACTOR_CHANGED:
            raise ActorChanged from None
        raise


def _stops(turns: Iterable[TurnResult]) -> dict[UUID, StatusReason]:
    stops: dict[UUID, StatusReason] = {}
    for turn in turns:
        for journey_id, reason in turn.stops.items():
            stops.setdefault(journey_id, StatusReason[reason])
    return stops


def _crowded(turns: Mapping[ActorKey, TurnResult]) -> list[tuple[Any, ...]]:
    """The refusals that nothing else tells later: who is inside much has left by then."""
    return [
        (key.team_id, key.customer_id, refusal.source, refusal.number, refusal.journey_id)
        for key, turn in turns.items()
        for refusal in turn.refusals
        if refusal.reason is RefusalReason.LIVE_LIMIT
    ]


async def _stop_journeys(
    connection: Connection,
    stops: Mapping[UUID, StatusReason],
    journeys: Mapping[UUID, Journey],
    records: Records,
    now: datetime,
) -> None:
    for journey_id, reason in sorted(stops.items()):
        journey = journeys[journey_id]
        after = stopped_by_itself(journey, reason)
        if after is None:
            continue
        await connection.execute(
            *BOOK.bind(
                "change_status",
                team_id=journey.team_id,
                journey_id=journey_id,
                status=after,
                reason=reason,
                stops=0,
                now=now,
                published_at=journey.published_at,
                before=journey.status,
                subject="",
                actor=BY_ITSELF,
            )
        )
        change = codec.StatusRecord(journey.status, after, reason, journey.definition.name)
        records.add_status(journey, change, now)
