"""Deliveries after their reservation: recorded as in flight, postponed, settled, cancelled, adopted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.db.reading import read_rows, times_of_any_year
from libs.common.feeds.publisher import ranges_of
from libs.common.ids import epoch_ms, new_id, partition_of
from libs.common.mailbox.mail import Mail, MailSource, SendOutcome
from services.channel_gateway.domain.model import PLACE_KEPT, DeliveryOutcome, Job, SendState
from services.channel_gateway.store.book import QUERIES, columns, slim_columns
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.rows import job_of

STOP_PAGE_MAX: Final = 2_000
"""Sends cancelled in one transaction of a stop."""
_KEYS: Final = (1,)
"""The column of a row that is its own: the effect key."""
ADOPT_PAGE_MAX: Final = 1_000
"""Sends adopted in one transaction."""


class Settlement(NamedTuple):
    """An outcome to be recorded."""

    job: Job
    outcome: DeliveryOutcome

    @property
    def messages(self) -> int:
        """Messages that left or may have left."""
        if self.outcome.state in PLACE_KEPT:
            return self.job.messages
        # A send of several messages may fail half way: those that left stay counted.
        return self.job.parts_sent


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


class OnWire(NamedTuple):
    """Sends of a journey that are in flight."""

    ours: int
    others: int


class DeliveryStore:
    """Writes of the sender."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def mark_in_flight(self, jobs: Sequence[Job], sender: UUID) -> set[UUID]:
        """Records jobs as in flight, durably; returns the effect keys that are still ours to send."""
        teams = _numbered(jobs)
        keys = slim_columns(((teams[job.team_id], job.effect_key) for job in jobs), 2, _KEYS)
        rows = await fetch_alone(self._pool, QUERIES["mark_in_flight"], list(teams), sender, *keys)
        return set(rows[0][0])

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
        """Records outcomes, gives places back, writes facts and mail: one transaction in one round trip."""
        made = _Outcomes(items, now)
        (row,) = await fetch_alone(self._pool, QUERIES["settle_sends"], *made.arguments(sender))
        return made.written(row)

    async def stop(
        self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written]:
        """Raises the stop epoch and cancels a page of the journey's waiting sends; call again while it is full."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind("raise_stop", team_id=team_id, journey_id=journey_id, epoch=epoch)
            )
            await connection.execute(
                *QUERIES.bind("take_over", team_id=team_id, journey_id=journey_id, epoch=epoch, sender=sender)
            )
            rows = await read_rows(
                connection,
                *QUERIES.bind("find_stopped", team_id=team_id, journey_id=journey_id, epoch=epoch),
            )
            cancelled = [Settlement(job, cancelled_outcome(job)) for job in map(job_of, rows)]
            if not cancelled:
                return [], Written([], {})
            made = _Outcomes(cancelled, now)
            (row,) = await connection.fetch(QUERIES["settle_sends"], *made.arguments(sender))
            return cancelled, made.written(row)

    async def on_wire(self, team_id: UUID, journey_id: UUID, epoch: int, sender: UUID) -> OnWire:
        """Counts the journey's sends of older epochs that are in flight."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(
                *QUERIES.bind(
                    "count_on_wire", team_id=team_id, journey_id=journey_id, epoch=epoch, sender=sender
                )
            )
        assert row is not None
        return OnWire(row["ours"], row["others"])

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
        """Own sends that memory lost, as they are. One in flight without a doubt never left: its reservation recorded
        it so, and nobody heard of the commit."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await read_rows(connection, QUERIES["readopt"], *columns(keys, 2), sender)
        return [
            _adopted(row, was_in_flight=row["state"] == SendState.IN_FLIGHT and row["doubtful"])
            for row in rows
        ]

    async def unsettled(self) -> tuple[int, datetime | None]:
        """Deliveries and webhooks that are not settled, and the domain time of the oldest."""
        row = await self._pool.fetchrow(QUERIES["unsettled"])
        assert row is not None
        return row["pending"], row["oldest"]


def cancelled_outcome(job: Job) -> DeliveryOutcome:
    """How a send ends that a stop found waiting: cancelled, unless an earlier attempt may have got through."""
    if job.doubtful:
        return DeliveryOutcome(SendState.UNKNOWN, "JOURNEY_STOPPED")
    return DeliveryOutcome(SendState.CANCELLED, "JOURNEY_STOPPED")


class _Outcomes:
    """Outcomes as arguments of `settle_sends`, and what it made of them."""

    def __init__(self, items: Sequence[Settlement], now: datetime) -> None:
        """To be recorded as of `now`."""
        self._items = items
        self._now = now
        now_ms = epoch_ms(now)
        self._event_ids = [new_id(now_ms) for _ in items]
        self._partitions = [partition_of(job.team_id, job.customer_id) for job, _ in items]

    def arguments(self, sender: UUID) -> tuple[Any, ...]:
        """All of the function's."""
        teams = _numbered(item.job for item in self._items)
        rows = (
            (
                teams[item.job.team_id],
                item.job.effect_key,
                item.outcome.state,
                item.outcome.reason,
                item.messages,
                item.job.parts_sent,
                "\n".join(item.job.message_ids),
            )
            for item in self._items
        )
        slim = slim_columns(rows, 7, _KEYS)
        return (list(teams), sender, self._now, *slim, self._partitions, self._event_ids)

    def written(self, row: Any) -> Written:
        """The mail and the positions of those that were still ours."""
        places: Sequence[int] = row["places"] or ()
        mails, partitions = [], []
        for place, number, position in zip(
            places, row["mail_numbers"] or (), row["positions"] or (), strict=True
        ):
            partitions.append(self._partitions[place - 1])
            mails.append(self._mail(place - 1, number, position))
        return Written(mails, ranges_of(zip(partitions, row["positions"] or (), strict=True)))

    def _mail(self, index: int, number: int, position: int) -> Mail:
        item = self._items[index]
        job, outcome = item
        return Mail(
            MailSource.GATEWAY,
            number,
            position,
            self._partitions[index],
            job.team_id,
            job.customer_id,
            self._event_ids[index],
            self._now,
            job.depth,
            SendOutcome(
                job.effect_key, job.enrolment_id, outcome.state, outcome.reason, self._now, item.messages
            ),
        )


def _numbered(jobs: Iterable[Job]) -> dict[UUID, int]:
    """The teams of jobs, numbered from 1."""
    teams: dict[UUID, int] = {}
    for job in jobs:
        teams.setdefault(job.team_id, len(teams) + 1)
    return teams


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
