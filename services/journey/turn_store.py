"""The SQL of turns: one load and one commit for hundreds of customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.db.history import allocate, count_by_partition
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.ids import partition_of
from libs.common.leases import check_fence
from libs.common.mailbox.mail import MailSource
from services.journey import records
from services.journey.domain import effects as fx
from services.journey.domain.lifecycle import JourneyChanged, stopped_by_itself
from services.journey.domain.model import Enrolment, EnrolmentState, Journey, StatusReason, StepResult
from services.journey.domain.turn import Actor, Burst, TurnResult

BOOK = QueryBook.load("services.journey")
_JUDGED = frozenset({StepResult.YES, StepResult.NO, StepResult.REFUSED})
"""What a condition comes to."""


class CustomerKey(NamedTuple):
    """A customer, and the partition it lives in."""

    partition: int
    team_id: UUID
    customer_id: UUID


class LoadedTurns(msgspec.Struct):
    """State of the customers of a batch. `versions` are those of all journeys of their teams that are no drafts."""

    actors: dict[CustomerKey, Actor]
    enrolments: dict[CustomerKey, list[Enrolment]]
    parked: set[CustomerKey]
    versions: dict[UUID, int]


class HistoryRow(NamedTuple):
    """A row of history before it has a position."""

    partition: int
    team_id: UUID
    journey_id: UUID
    customer_id: UUID | None
    enrolment_id: UUID | None
    at: datetime
    kind: records.FactKind
    body: bytes


class TurnStore:
    """Loads and commits turns."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def load(self, keys: Sequence[CustomerKey]) -> LoadedTurns:
        """State of these customers; a customer without an actor row gets a fresh actor."""
        columns = _columns(keys)
        of_customer = {(key.team_id, key.customer_id): key for key in keys}
        teams = {key.team_id for key in keys}
        async with transaction(self._pool, teams) as connection:
            actors = await connection.fetch(BOOK["load_actors"], *columns)
            enrolments = await connection.fetch(BOOK["load_live_enrolments"], *columns)
            parked = await connection.fetch(BOOK["load_parked"], *columns)
            versions = await connection.fetch(BOOK["journey_versions"], list(teams))
        loaded = LoadedTurns(
            {key: Actor(key.team_id, key.customer_id, {}, {}) for key in keys},
            {key: [] for key in keys},
            {of_customer[(row["team_id"], row["customer_id"])] for row in parked},
            {row["journey_id"]: row["version"] for row in versions},
        )
        for row in actors:
            loaded.actors[of_customer[(row["team_id"], row["customer_id"])]] = records.actor_from(row)
        for row in enrolments:
            key = of_customer[(row["team_id"], row["customer_id"])]
            loaded.enrolments[key].append(records.live_enrolment_from(row))
        return loaded

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[Journey]:
        """These journeys with their definitions."""
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(BOOK["journeys_by_id"], list(journey_ids))
        return [records.journey_from(row) for row in rows]

    async def keep_verdicts(
        self, judged: Mapping[CustomerKey, tuple[fx.Judge, fx.Verdict]], fence: Mapping[int, int]
    ) -> dict[CustomerKey, fx.Verdict]:
        """Keeps verdicts until their turns are committed, before anything is done because of them.

        Returns the first one of each key: a turn that is run again takes the branch whose effects it has begun. Raises
        `Fenced` (a worker that lost its lease must not begin another branch) and the driver's errors.
        """
        rows = [(judge, verdict) for judge, verdict in judged.values()]
        async with transaction(self._pool, {key.team_id for key in judged}) as connection:
            # Not waited for: what is done because of a verdict is committed later in the same log, so after it.
            await connection.execute("SET LOCAL synchronous_commit = off")
            await check_fence(connection, {key.partition: fence[key.partition] for key in judged})
            kept = await connection.fetch(
                BOOK["keep_verdicts"],
                [judge.team_id for judge, _ in rows],
                [judge.enrolment_id for judge, _ in rows],
                [judge.key for judge, _ in rows],
                [verdict.belongs for _, verdict in rows],
                [verdict.reason for _, verdict in rows],
            )
        first = {row["key"]: fx.Verdict(row["belongs"], row["reason"]) for row in kept}
        return {key: first[judge.key] for key, (judge, _) in judged.items()}

    async def commit(
        self,
        turns: Mapping[CustomerKey, TurnResult],
        journeys: Mapping[UUID, Journey],
        fence: Mapping[int, int],
        now: datetime,
    ) -> None:
        """Writes everything that these turns decided, or nothing.

        `fence` maps partition → epoch of the leases under which they ran. Raises `Fenced` if a lease was lost,
        `JourneyChanged` if a journey that a turn used has another version now, and the driver's errors.
        """
        stops = _stops(turns.values())
        async with transaction(self._pool, {key.team_id for key in turns}) as connection:
            await check_fence(connection, {key.partition: fence[key.partition] for key in turns})
            await _hold(connection, turns.values(), journeys, change=bool(stops))
            changes = await _stop_journeys(connection, stops, journeys, now)
            await _save_actors(connection, turns)
            await _save_enrolments(connection, turns, now)
            await _forget_verdicts(connection, turns)
            await append_history(connection, [*_facts(turns), *changes])
            crash.reach("journey.before_commit")

    async def due_customers(
        self, partitions: Iterable[int], until: datetime, limit: int
    ) -> list[CustomerKey]:
        """Customers with a timer due by `until`, earliest first."""
        rows = await self._pool.fetch(BOOK["due_customers"], list(partitions), until, limit)
        return [CustomerKey(*row) for row in rows]

    async def next_timer(self, partitions: Iterable[int], after: datetime) -> datetime | None:
        """The first timer after `after`, or None."""
        at: datetime | None = await self._pool.fetchval(BOOK["next_timer"], list(partitions), after)
        return at

    async def look_ahead(self, now: datetime) -> tuple[int, datetime | None]:
        """What is due by `now` in all partitions, timers and changes of journeys; and when the next thing is."""
        row = await self._pool.fetchrow(BOOK["look_ahead"], now)
        assert row is not None, "a function without a set returns a row"
        return int(row["due"]), row["following"]

    async def halting_customers(
        self, team_id: UUID, journey_id: UUID, partitions: Iterable[int], limit: int
    ) -> list[CustomerKey]:
        """Customers to be halted in a stopping journey; those who wait for a send are not among them."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                BOOK["halting_customers"], team_id, journey_id, list(partitions), limit
            )
        return [CustomerKey(*row) for row in rows]

    async def park(self, key: CustomerKey, error: str, attempts: int, fence: Mapping[int, int]) -> None:
        """Sets a customer aside. Their mail stays with its sources. Raises `Fenced`."""
        async with transaction(self._pool, [key.team_id]) as connection:
            await check_fence(connection, {key.partition: fence[key.partition]})
            await connection.execute(BOOK["park_customer"], *key, error, attempts)

    async def checkpoints(self, partitions: Iterable[int]) -> dict[tuple[int, int], int]:
        """(partition, source) → position from which a repair has to begin."""
        rows = await self._pool.fetch(BOOK["load_checkpoints"], list(partitions))
        return {(row["partition"], row["source"]): row["position"] for row in rows}

    async def save_checkpoints(self, marks: Mapping[tuple[int, int], int], fence: Mapping[int, int]) -> None:
        """Moves checkpoints forward. Raises `Fenced`."""
        keys = sorted(marks)
        async with transaction(self._pool, []) as connection:
            await check_fence(connection, {partition: fence[partition] for partition, _ in keys})
            await connection.execute(
                BOOK["save_checkpoints"],
                [partition for partition, _ in keys],
                [source for _, source in keys],
                [marks[key] for key in keys],
            )


async def append_history(connection: Connection, rows: Sequence[HistoryRow]) -> None:
    """Appends rows to the history; the last thing before a commit, since it locks the partitions' heads."""
    if not rows:
        return
    following = await allocate(connection, count_by_partition(row.partition for row in rows))
    positions = []
    for row in rows:
        positions.append(following[row.partition])
        following[row.partition] += 1
    await connection.execute(
        BOOK["append_history"],
        [row.partition for row in rows],
        positions,
        [row.team_id for row in rows],
        [row.journey_id for row in rows],
        [row.customer_id for row in rows],
        [row.enrolment_id for row in rows],
        [row.at for row in rows],
        [row.kind for row in rows],
        [row.body for row in rows],
    )


def status_row(journey: Journey, after: records.StatusRecord, at: datetime) -> HistoryRow:
    """The history row of a change of status."""
    partition = partition_of(journey.team_id, journey.journey_id)
    return HistoryRow(
        partition,
        journey.team_id,
        journey.journey_id,
        None,
        None,
        at,
        records.FactKind.STATUS_CHANGED,
        records.pack(after),
    )


def _columns(keys: Sequence[CustomerKey]) -> tuple[list[int], list[UUID], list[UUID]]:
    return [key.partition for key in keys], [key.team_id for key in keys], [key.customer_id for key in keys]


def _stops(turns: Iterable[TurnResult]) -> dict[UUID, StatusReason]:
    stops: dict[UUID, StatusReason] = {}
    for turn in turns:
        for journey_id, reason in turn.stops.items():
            stops.setdefault(journey_id, StatusReason[reason])
    return stops


async def _hold(
    connection: Connection, turns: Iterable[TurnResult], journeys: Mapping[UUID, Journey], *, change: bool
) -> None:
    """Holds the journeys that turns used, and checks that they are still what the turns believed."""
    used = frozenset[UUID]().union(*(turn.journeys_used for turn in turns))
    if not used:
        return
    query = "hold_journeys_to_change" if change else "hold_journeys"
    rows = await connection.fetch(BOOK[query], list(used))
    if any(journeys[row["journey_id"]].version != row["version"] for row in rows):
        raise JourneyChanged


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
            BOOK["change_status"], journey.team_id, journey_id, after, reason, 0, now, journey.published_at
        )
        record = records.StatusRecord(journey.status, after, reason, journey.definition.name)
        rows.append(status_row(journey, record, now))
    return rows


async def _save_actors(connection: Connection, turns: Mapping[CustomerKey, TurnResult]) -> None:
    actors = [turn.actor for turn in turns.values()]
    await connection.execute(
        BOOK["save_actors"],
        *_columns(list(turns)),
        [actor.taken.get(MailSource.SEGMENT, 0) for actor in actors],
        [actor.taken.get(MailSource.GATEWAY, 0) for actor in actors],
        [actor.taken.get(MailSource.JOURNEY, 0) for actor in actors],
        [records.entries_bytes(actor) for actor in actors],
    )


async def _save_enrolments(
    connection: Connection, turns: Mapping[CustomerKey, TurnResult], now: datetime
) -> None:
    rows = [(key.partition, enrolment) for key, turn in turns.items() for enrolment in turn.enrolments]
    if not rows:
        return
    enrolments = [enrolment for _, enrolment in rows]
    await connection.execute(
        BOOK["save_enrolments"],
        [partition for partition, _ in rows],
        [e.team_id for e in enrolments],
        [e.customer_id for e in enrolments],
        [e.enrolment_id for e in enrolments],
        [e.journey_id for e in enrolments],
        [e.trigger_event_id for e in enrolments],
        [e.created_at for e in enrolments],
        [now] * len(rows),
        [e.wake_at for e in enrolments],
        [e.depth for e in enrolments],
        [e.state for e in enrolments],
        [e.rest for e in enrolments],
        [e.visit for e in enrolments],
        [e.node_id for e in enrolments],
    )


async def _forget_verdicts(connection: Connection, turns: Mapping[CustomerKey, TurnResult]) -> None:
    """Verdicts that these turns told, and those of halted enrolments. Others stay: a lost run may have gone further."""
    over = [
        (key.team_id, burst.enrolment_id, told)
        for key, turn in turns.items()
        for burst in turn.bursts
        for told in told_verdicts(burst)
    ]
    if over:
        await connection.execute(
            BOOK["forget_verdicts"], *(list(column) for column in zip(*over, strict=True))
        )


def told_verdicts(burst: Burst) -> list[UUID | None]:
    """Keys of the verdicts that a burst is the last to need; None: all of its enrolment."""
    if burst.state is EnrolmentState.HALTED:
        return [None]
    return [
        fx.effect_key(burst.enrolment_id, step.node_id, step.visit)
        for step in burst.steps
        if step.result in _JUDGED
    ]


def _facts(turns: Mapping[CustomerKey, TurnResult]) -> Iterable[HistoryRow]:
    for key, turn in turns.items():
        for burst in turn.bursts:
            body = records.pack(records.BurstRecord(burst.enrolled, burst.state, burst.steps))
            yield HistoryRow(
                key.partition,
                key.team_id,
                burst.journey_id,
                key.customer_id,
                burst.enrolment_id,
                burst.at,
                records.FactKind.BURST,
                body,
            )
        for refusal in turn.refusals:
            body = records.pack(records.RefusalRecord(refusal.reason))
            yield HistoryRow(
                key.partition,
                key.team_id,
                refusal.journey_id,
                key.customer_id,
                None,
                refusal.at,
                records.FactKind.TRIGGER_REFUSED,
                body,
            )
