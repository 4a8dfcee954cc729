"""Deliveries after their reservation: recorded as in flight, postponed, settled, cancelled, adopted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from libs.common.db.reading import read_rows, times_of_any_year
from services.channel_gateway.domain.errors import NotOursError
from services.channel_gateway.domain.model import DeliveryOutcome, Job, Reason, SendState
from services.channel_gateway.store.book import QUERIES, columns, slim_columns
from services.channel_gateway.store.errors import sends_of_others
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.outcomes import Outcomes, Settlement
from services.channel_gateway.store.rows import job_of

STOP_PAGE_MAX: Final = 2_000
"""Sends cancelled in one transaction of a stop."""
_KEYS: Final = (1,)
"""The column of a row that is its own: the effect key."""
_RECALLED: Final = DeliveryOutcome(SendState.DEFERRED, Reason.DO_NOT_DISTURB)
ADOPT_PAGE_MAX: Final = 1_000
"""Sends adopted in one transaction."""


class Postponement(NamedTuple):
    """An attempt that will be repeated."""

    job: Job
    delay_s: float


class Adopted(NamedTuple):
    """A send taken over from a process that is gone."""

    job: Job
    was_in_flight: bool
    delay_s: float
    """Real seconds until its next attempt is due."""
    age_s: float
    """Real seconds since its first attempt."""


class Marked(NamedTuple):
    """Effect keys of sends that were to leave. Those in neither are not ours to send any more."""

    ours: frozenset[UUID]
    """Recorded as in flight."""
    unwanted: frozenset[UUID] = frozenset()
    """Their customers want no messages by now; nothing is recorded of them."""


class OnWire(NamedTuple):
    """Sends of a journey that are not settled."""

    ours: int
    """In flight here,"""
    others: int
    """or in other processes."""
    waiting: int
    """Not in flight."""


class DeliveryStore:
    """Writes of the sender."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def mark_in_flight(self, jobs: Sequence[Job], sender: UUID) -> Marked:
        """Records jobs as in flight, durably, but for those whose customers want no messages by now."""
        teams = _numbered(jobs)
        keys = slim_columns(((teams[job.team_id], job.effect_key) for job in jobs), 2, _KEYS)
        rows = await fetch_alone(self._pool, QUERIES["mark_in_flight"], list(teams), sender, *keys)
        return Marked(*map(frozenset, rows[0]))

    async def postpone(self, items: Sequence[Postponement], sender: UUID) -> set[UUID]:
        """Notes when attempts are repeated; returns the effect keys that are still ours."""
        teams = _numbered(item.job for item in items)
        rows = (
            (
                teams[job.team_id],
                job.effect_key,
                delay_s,
                job.parts_sent,
                "\n".join(job.message_ids),
                job.doubtful,
                job.attempts,
            )
            for job, delay_s in items
        )
        kept = await fetch_alone(
            self._pool, QUERIES["postpone_sends"], list(teams), sender, *slim_columns(rows, 7, _KEYS)
        )
        return set(kept[0][0])

    async def settle(self, items: Sequence[Settlement], now: datetime, sender: UUID) -> Written:
        """Records outcomes, gives places back, writes facts and mail: one transaction in one round trip.

        Sends that are settled already, or another's by now, are left out.
        """
        while items:
            made = Outcomes(items, now)
            try:
                with sends_of_others():
                    (row,) = await fetch_alone(
                        self._pool, *QUERIES.bind("settle_sends", **made.arguments(sender))
                    )
            except NotOursError:
                items = await self._settleable(items, sender)
            else:
                return made.written(row)
        return Written([], {})

    async def _settleable(self, items: Sequence[Settlement], sender: UUID) -> list[Settlement]:
        """Those whose sends are unsettled and ours, one of each send, and not asked for again since."""
        of_key = {(item.job.team_id, item.job.effect_key): item for item in items}
        teams, keys = columns(of_key, 2)
        async with transaction(self._pool, set(teams)) as connection:
            rows = await connection.fetch(
                *QUERIES.bind("find_settleable", teams=teams, effect_keys=keys, sender=sender)
            )
        found = [(of_key[row["team_id"], row["effect_key"]], row["stop_epoch"]) for row in rows]
        return [item for item, stop_epoch in found if item.job.stop_epoch == stop_epoch]

    async def stop(
        self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written]:
        """Raises the stop epoch and cancels a page of the journey's waiting sends; call again while it is full.

        Those in doubt that were put off are among them: nobody asks for them again.
        """
        older = {"team_id": team_id, "journey_id": journey_id, "epoch": epoch, "begun": True}
        return await self._settle_older(older, cancelled_outcome, now, sender)

    async def recall(
        self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written]:
        """The same, but puts off those that have not begun to leave, and no others."""
        older = {"team_id": team_id, "journey_id": journey_id, "epoch": epoch, "begun": False}
        return await self._settle_older(older, lambda _: _RECALLED, now, sender)

    async def cancel(
        self, team_id: UUID, effect_key: UUID, now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written, SendState | None]:
        """Cancels a send if it waits, or was put off in doubt; with its state before, None of one that is not known."""
        key = {"team_id": team_id, "effect_key": effect_key}
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*QUERIES.bind("take_over_send", **key, sender=sender))
            rows = await read_rows(connection, *QUERIES.bind("find_waiting_send", **key))
            jobs = [*map(job_of, rows)]
            if not jobs:
                jobs = await _take_up_doubtful(connection, sender, {**key, "journey_id": None, "epoch": 0})
            if not jobs:
                state = await connection.fetchval(*QUERIES.bind("state_of_send", **key))
                return [], Written([], {}), None if state is None else SendState(state)
            settled = [Settlement(job, cancelled_outcome(job, Reason.ENROLMENT_ENDED)) for job in jobs]
            made = Outcomes(settled, now)
            (row,) = await connection.fetch(*QUERIES.bind("settle_sends", **made.arguments(sender)))
            return settled, made.written(row), SendState.ACCEPTED

    async def _settle_older(
        self, older: dict[str, Any], outcome: Callable[[Job], DeliveryOutcome], now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written]:
        async with transaction(self._pool, [older["team_id"]]) as connection:
            await connection.execute(
                *QUERIES.bind("raise_stop", **{key: older[key] for key in ("team_id", "journey_id", "epoch")})
            )
            await connection.execute(*QUERIES.bind("take_over", **older, sender=sender))
            rows = await read_rows(connection, *QUERIES.bind("find_older", **older))
            jobs = [*map(job_of, rows)]
            if older["begun"]:
                jobs += await _take_up_doubtful(connection, sender, {**older, "effect_key": None})
            settled = [Settlement(job, outcome(job)) for job in jobs]
            if not settled:
                return [], Written([], {})
            made = Outcomes(settled, now)
            (row,) = await connection.fetch(*QUERIES.bind("settle_sends", **made.arguments(sender)))
            return settled, made.written(row)

    async def on_wire(self, team_id: UUID, journey_id: UUID, epoch: int, sender: UUID) -> OnWire:
        """Counts the journey's sends of older epochs that are not settled, as of one moment."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(
                *QUERIES.bind(
                    "count_on_wire", team_id=team_id, journey_id=journey_id, epoch=epoch, sender=sender
                )
            )
        assert row is not None
        return OnWire(row["ours"], row["others"], row["waiting"])

    async def unsettled_senders(self) -> dict[UUID, set[UUID]]:
        """Processes with unsettled sends, and the teams of those."""
        senders: dict[UUID, set[UUID]] = {}
        for row in await self._pool.fetch(QUERIES["unsettled_senders"]):
            senders.setdefault(row["sender"], set()).add(row["team_id"])
        return senders

    async def adopt(self, dead: UUID, teams: set[UUID], sender: UUID) -> list[Adopted]:
        """Takes over a page of sends of a process that is gone; call again until there are none."""
        query = QUERIES.bind("adopt", dead_sender=dead, sender=sender, most=ADOPT_PAGE_MAX)
        try:
            async with transaction(self._pool, teams) as connection:
                rows = await connection.fetch(*query)
        except OverflowError:  # nothing was taken over: it is done again, with times that cannot be read
            async with transaction(self._pool, teams) as connection, times_of_any_year(connection):
                rows = await connection.fetch(*query)
        return [_adopted(row, was_in_flight=row["state"] == SendState.IN_FLIGHT) for row in rows]

    async def unsettled_of(
        self, sender: UUID, teams: set[UUID], without: Sequence[UUID] = ()
    ) -> set[tuple[UUID, UUID]]:
        """(team, effect key) of a process's unsettled sends, but for those of the accounts `without`."""
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "unsettled_of", sender=sender, teams=list(teams), without_accounts=list(without)
                )
            )
        return {(row["team_id"], row["effect_key"]) for row in rows}

    async def left_of(
        self, team_id: UUID, account_id: UUID, sender: UUID, checked_out: Sequence[UUID], most: int
    ) -> list[Adopted]:
        """A process's waiting sends of an account, but for the effect keys `checked_out`."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await read_rows(
                connection,
                *QUERIES.bind(
                    "left_of",
                    team_id=team_id,
                    account_id=account_id,
                    sender=sender,
                    checked_out=list(checked_out),
                    most=most,
                ),
            )
        return [_adopted(row, was_in_flight=False) for row in rows]

    async def readopt(self, keys: Sequence[tuple[UUID, UUID]], sender: UUID) -> list[Adopted]:
        """Own sends that memory lost, as they are. One in flight never left where its reservation alone can have
        recorded it so, and nobody heard of the commit; any other one may have left."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await read_rows(connection, QUERIES["readopt"], *columns(keys, 2), sender)
        return [
            _adopted(row, was_in_flight=row["state"] == SendState.IN_FLIGHT and not _only_reserved(row))
            for row in rows
        ]

    async def take_up_put_off(self, age_s: float, sender: UUID, stint: UUID) -> list[Adopted]:
        """A page of sends in doubt that were put off and not asked for again within so many real seconds of their first
        attempt: they are ours again, without the messages that have no places. Call again until there are none."""
        query = QUERIES.bind("take_up_put_off", age_s=age_s, sender=sender, stint=stint, most=ADOPT_PAGE_MAX)
        keys = [(row["team_id"], row["effect_key"]) for row in await self._pool.fetch(*query)]
        taken = await self.readopt(keys, sender) if keys else []
        for item in taken:
            _leave_out_the_rest(item.job)
        return taken

    async def stints(self) -> list[tuple[UUID, UUID]]:
        """Stints that stand in the database, each with its sender."""
        rows = await self._pool.fetch(QUERIES["find_stints"])
        return [(row["stint_id"], row["sender"]) for row in rows]

    async def gather_stints(self, stints: Sequence[UUID], target: UUID, sender: UUID) -> None:
        """Moves the few unsettled sends of sparse stints into the stint `target` of `sender`."""
        await self._pool.execute(*QUERIES.bind("gather_stints", stints=stints, target=target, sender=sender))

    async def end_stints(self, stints: Sequence[UUID]) -> None:
        """Removes those of the stints of which no send is unsettled."""
        await self._pool.execute(*QUERIES.bind("end_stints", stints=stints))

    async def unsettled(self) -> tuple[int, datetime | None]:
        """Deliveries and webhooks that are not settled, and the domain time of the oldest."""
        row = await self._pool.fetchrow(QUERIES["unsettled"])
        assert row is not None
        return row["pending"], row["oldest"]


def cancelled_outcome(job: Job, reason: Reason = Reason.JOURNEY_STOPPED) -> DeliveryOutcome:
    """How a send ends that a stop, say, found waiting: cancelled, unless an earlier attempt may have got through."""
    return DeliveryOutcome(SendState.UNKNOWN if job.doubtful else SendState.CANCELLED, reason)


async def _take_up_doubtful(connection: Connection, sender: UUID, which: Mapping[str, Any]) -> list[Job]:
    """Sends in doubt that were put off and go on no more: that of a key, or those of a journey's older epochs."""
    wanted = {name: which[name] for name in ("team_id", "effect_key", "journey_id", "epoch")}
    query = QUERIES.bind("take_up_doubtful", **wanted, sender=sender)
    keys = [(row["team_id"], row["effect_key"]) for row in await connection.fetch(*query)]
    if not keys:
        return []
    rows = await read_rows(connection, QUERIES["readopt"], *columns(keys, 2), sender)
    jobs = [*map(job_of, rows)]
    for job in jobs:
        _leave_out_the_rest(job)
    return jobs


def _leave_out_the_rest(job: Job) -> None:
    """Of a send in doubt that was put off, the messages after the one that may have left: they have no places."""
    job.parts = job.parts[: job.parts_sent + 1]


def _numbered(jobs: Iterable[Job]) -> dict[UUID, int]:
    """The teams of jobs, numbered from 1."""
    teams: dict[UUID, int] = {}
    for job in jobs:
        teams.setdefault(job.team_id, len(teams) + 1)
    return teams


def _only_reserved(row: Mapping[str, Any]) -> bool:
    """Whether a send looks as its reservation stored it."""
    return not row["doubtful"] and row["attempts"] <= 1 and not row["parts_sent"]


def _adopted(row: Mapping[str, Any], *, was_in_flight: bool) -> Adopted:
    now, due, first = row["real_now"], row["next_attempt_at"], row["first_attempt_at"]
    job = job_of(row)
    job.doubtful = job.doubtful or was_in_flight
    return Adopted(
        job,
        was_in_flight,
        max(0.0, -(now - due).total_seconds()) if due else 0.0,
        (now - first).total_seconds() if first else 0.0,
    )
