"""The SQL of turns: one load and one commit for hundreds of customers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
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
from services.journey.domain.lifecycle import JourneyChanged, stopped_by_itself
from services.journey.domain.model import ActorKey, Journey, StatusReason
from services.journey.domain.turn import TurnResult
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.history import HistoryRow, status_row
from services.journey.store.turn_rows import CommitRows, commit_rows
from services.journey.store.turns_protocol import DueTimers, LoadedTurns

_TIMERS_OF_PARTITION_MIN: Final = 8


class TurnStore:
    """Loads and commits turns."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def load(self, keys: Sequence[ActorKey]) -> LoadedTurns:
        """State of these customers; a customer without an actor row gets a fresh actor."""
        return loaded_turns(keys, await read_alone(self._pool, *load_query(keys)))

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[Journey]:
        """These journeys with their definitions."""
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(*BOOK.bind("journeys_by_id", journey_ids=list(journey_ids)))
        return [codec.journey_from(row) for row in rows]

    async def keep_verdicts(
        self, evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]], fence: Mapping[int, int]
    ) -> dict[ActorKey, fx.Verdict]:
        """Keeps verdicts until their turns are committed, before anything is done because of them.

        Returns the first one of each key: a turn that is run again takes the branch whose effects it has begun. Raises
        `Fenced` (a worker that lost its lease must not begin another branch) and the driver's errors.
        """
        rows = list(evaluated.values())
        leases = {key.partition: fence[key.partition] for key in evaluated}
        with _refusals():
            kept = await fetch_alone(
                self._pool,
                *BOOK.bind(
                    "keep_verdicts",
                    team_ids=list({key.team_id for key in evaluated}),
                    partitions=list(leases.keys()),
                    epochs=list(leases.values()),
                    verdict_team_ids=[asked.team_id for asked, _ in rows],
                    enrolment_ids=[asked.enrolment_id for asked, _ in rows],
                    keys=[asked.key for asked, _ in rows],
                    belong=[verdict.belongs for _, verdict in rows],
                    reasons=[verdict.reason for _, verdict in rows],
                ),
            )
        first = {row["key"]: fx.Verdict(row["belongs"], row["reason"]) for row in kept}
        return {key: first[asked.key] for key, (asked, _) in evaluated.items()}

    async def commit(
        self,
        turns: Mapping[ActorKey, TurnResult],
        journeys: Mapping[UUID, Journey],
        fence: Mapping[int, int],
        now: datetime,
    ) -> None:
        """Writes everything that these turns decided, or nothing.

        `fence` maps partition → epoch of the leases under which they ran. Raises `Fenced` if a lease was lost,
        `JourneyChanged` if a journey that a turn used has another version now, and the driver's errors.
        """
        rows = commit_rows(turns)
        leases = {key.partition: fence[key.partition] for key in turns}
        used = frozenset[UUID]().union(*(turn.journeys_used for turn in turns.values()))
        stops = _stops(turns.values())
        held = {
            "journey_ids": list(used),
            "versions": [journeys[journey_id].version for journey_id in used],
        }
        with _refusals():
            crash.reach("journey.before_commit")
            if not stops:
                await fetch_alone(self._pool, *_commit_query(turns, leases, held, rows, now))
                return
            async with transaction(self._pool, {key.team_id for key in turns}) as connection:
                await check_fence(connection, leases)
                await connection.execute(*BOOK.bind("hold_journeys_to_change", **held))
                rows.facts.extend(await _stop_journeys(connection, stops, journeys, now))
                await connection.execute(*BOOK.bind("write_turns", now=now, **rows._asdict()))

    async def look_at_timers(self, partitions: Collection[int], until: datetime, limit: int) -> DueTimers:
        """See `TurnStorage`."""
        if not partitions:
            return DueTimers([], None, more=False)
        # Two shares a partition: rarely are they so uneven that it has to be looked at again.
        each = max(_TIMERS_OF_PARTITION_MIN, 2 * limit // len(partitions))
        rows = await read_alone(
            self._pool,
            *BOOK.bind(
                "look_at_timers", partitions=list(partitions), until=until, limit=limit, partition_limit=each
            ),
        )
        due = [ActorKey(row["partition"], row["team_id"], row["customer_id"]) for row in rows[:-1]]
        counts = count_by_partition(key.partition for key in due)
        more = len(due) >= limit or max(counts.values(), default=0) >= each
        return DueTimers(due, rows[-1]["wake_at"], more)

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


def _commit_query(
    turns: Iterable[ActorKey],
    leases: Mapping[int, int],
    held: Mapping[str, Any],
    rows: CommitRows,
    now: datetime,
) -> tuple[Any, ...]:
    return BOOK.bind(
        "commit_turns",
        team_ids=list({key.team_id for key in turns}),
        partitions=list(leases.keys()),
        epochs=list(leases.values()),
        now=now,
        **held,
        **rows._asdict(),
    )


def load_query(keys: Sequence[ActorKey]) -> tuple[Any, ...]:
    """The statement that loads the state of these customers, with its arguments."""
    partitions, teams, customers = zip(*keys, strict=True)
    return BOOK.bind(
        "load_turns",
        team_ids=list(set(teams)),
        partitions=partitions,
        actor_team_ids=teams,
        customer_ids=customers,
    )


def loaded_turns(keys: Sequence[ActorKey], rows: Iterable[Any]) -> LoadedTurns:
    """State of these customers from the rows of `load_turns`."""
    loaded = LoadedTurns({}, {key: [] for key in keys}, set(), {})
    for row in rows:
        ordinal = row["place"]
        if ordinal == 0:
            loaded.versions[row["journey_id"]] = row["version"]
            continue
        key = keys[ordinal - 1]
        if key not in loaded.actors:
            loaded.actors[key] = codec.actor_from(key.team_id, key.customer_id, row)
            if row["parked"]:
                loaded.parked.add(key)
        if row["enrolment_id"] is not None:
            enrolment = codec.live_enrolment_from(key.team_id, key.customer_id, row)
            loaded.enrolments[key].append(enrolment)
    return loaded


FENCED: Final = "OJ010"
JOURNEY_CHANGED: Final = "OJ011"
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
        raise


def _stops(turns: Iterable[TurnResult]) -> dict[UUID, StatusReason]:
    stops: dict[UUID, StatusReason] = {}
    for turn in turns:
        for journey_id, reason in turn.stops.items():
            stops.setdefault(journey_id, StatusReason[reason])
    return stops


async def _stop_journeys(
    connection: Connection,
    stops: Mapping[UUID, StatusReason],
    journeys: Mapping[UUID, Journey],
    now: datetime,
) -> list[HistoryRow]:
    rows = []
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
            )
        )
        record = codec.StatusRecord(journey.status, after, reason, journey.definition.name)
        rows.append(status_row(journey, record, now))
    return rows
