"""Deliveries after their reservation: marked for the wire, postponed, settled, cancelled, adopted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from services.channel_gateway.domain.model import (
    PLACE_KEPT,
    Job,
    Outcome,
    Price,
    SendState,
)
from services.channel_gateway.domain.reserve import Place, add_up
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.facts import Fact, FactKind, Written, write_facts
from services.channel_gateway.store.rows import job_of
from services.channel_gateway.store.sends import take

STOP_PAGE_MAX: Final = 2_000
"""Sends cancelled in one transaction of a stop."""
ADOPT_PAGE_MAX: Final = 1_000
"""Sends adopted in one transaction."""


class Settlement(NamedTuple):
    """An outcome to be recorded."""

    job: Job
    outcome: Outcome

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
    was_sending: bool
    delay_s: float
    """Real seconds until its next attempt is due."""
    age_s: float
    """Real seconds since its first attempt."""


class OnWire(NamedTuple):
    """Sends of a journey that are marked for the wire."""

    ours: int
    others: int


class DeliveryStore:
    """Writes of the sender."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def mark_sending(self, jobs: Sequence[Job], sender: UUID) -> set[UUID]:
        """Marks jobs as on the wire, durably; returns the effect keys that are still ours to send."""
        async with transaction(self._pool, {job.team_id for job in jobs}) as connection:
            rows = await connection.fetch(QUERIES["mark_sending"], *columns(_keys(jobs), 2), sender)
        return {row["effect_key"] for row in rows}

    async def postpone(self, items: Sequence[Postponement], sender: UUID) -> set[UUID]:
        """Notes when attempts are repeated; returns the effect keys that are still ours."""
        rows = [
            (
                item.job.team_id,
                item.job.effect_key,
                item.delay_s,
                item.job.parts_sent,
                "\n".join(item.job.message_ids),
                item.job.doubtful,
                item.job.attempts,
            )
            for item in sorted(items, key=lambda item: (item.job.team_id, item.job.effect_key))
        ]
        async with transaction(self._pool, {item.job.team_id for item in items}) as connection:
            kept = await connection.fetch(QUERIES["postpone"], *columns(rows, 7), sender)
        return {row["effect_key"] for row in kept}

    async def settle(self, items: Sequence[Settlement], now: datetime, sender: UUID) -> Written:
        """Records outcomes, gives places back, writes facts and mail: one transaction."""
        async with transaction(self._pool, {item.job.team_id for item in items}) as connection:
            return await _settle(connection, items, now, sender)

    async def stop(
        self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime, sender: UUID
    ) -> tuple[list[Settlement], Written]:
        """Raises the stop epoch and cancels a page of the journey's waiting sends; call again while it is full."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(QUERIES["raise_stop"], team_id, journey_id, epoch)
            await connection.execute(QUERIES["take_over"], team_id, journey_id, epoch, sender)
            rows = await connection.fetch(QUERIES["find_stopped"], team_id, journey_id, epoch)
            cancelled = [Settlement(job, cancelled_outcome(job)) for job in map(job_of, rows)]
            return cancelled, await _settle(connection, cancelled, now, sender)

    async def on_wire(self, team_id: UUID, journey_id: UUID, epoch: int, sender: UUID) -> OnWire:
        """Counts the journey's sends of older epochs that are marked for the wire."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(QUERIES["count_on_wire"], team_id, journey_id, epoch, sender)
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
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(QUERIES["adopt"], dead, sender, ADOPT_PAGE_MAX)
        return [_adopted(row) for row in rows]

    async def unsettled_of(self, sender: UUID, teams: set[UUID]) -> set[tuple[UUID, UUID]]:
        """(team, effect key) of a process's unsettled sends."""
        async with transaction(self._pool, teams) as connection:
            rows = await connection.fetch(QUERIES["unsettled_of"], sender, list(teams))
        return {(row["team_id"], row["effect_key"]) for row in rows}

    async def readopt(self, keys: Sequence[tuple[UUID, UUID]], sender: UUID) -> list[Adopted]:
        """Own sends that memory lost, as they are."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["readopt"], *columns(keys, 2), sender)
        return [_adopted(row) for row in rows]

    async def unsettled(self) -> tuple[int, datetime | None]:
        """Deliveries and webhooks that are not settled, and the domain time of the oldest."""
        row = await self._pool.fetchrow(QUERIES["unsettled"])
        assert row is not None
        return row["pending"], row["oldest"]


def cancelled_outcome(job: Job) -> Outcome:
    """How a send ends that a stop found waiting: cancelled, unless an earlier attempt may have got through."""
    if job.doubtful:
        return Outcome(SendState.UNKNOWN, "JOURNEY_STOPPED")
    return Outcome(SendState.CANCELLED, "JOURNEY_STOPPED")


async def _settle(
    connection: Connection, items: Sequence[Settlement], now: datetime, sender: UUID
) -> Written:
    if not items:
        return Written([], {})
    items = sorted(items, key=lambda item: (item.job.team_id, item.job.effect_key))
    rows = await connection.fetch(
        QUERIES["settle"], *columns([_settle_row(item) for item in items], 7), sender, now
    )
    ours = {row["effect_key"] for row in rows}
    settled = [item for item in items if item.job.effect_key in ours]
    given_back = [place for item in settled if (place := _unused_place(item)).messages]
    await take(connection, add_up(given_back), now, sign=-1)
    return await write_facts(connection, [_fact(item, now) for item in settled])


def _settle_row(item: Settlement) -> tuple[Any, ...]:
    job, outcome = item
    return (
        job.team_id,
        job.effect_key,
        outcome.state,
        outcome.reason,
        item.messages,
        job.parts_sent,
        "\n".join(job.message_ids),
    )


def _unused_place(item: Settlement) -> Place:
    job = item.job
    return Place(
        job.team_id,
        job.journey_id,
        job.channel,
        job.account_id,
        job.price,
        job.capped,
        job.quota_month,
        job.messages - item.messages,
    )


def _fact(item: Settlement, now: datetime) -> Fact:
    job, outcome = item
    return Fact(
        FactKind.SEND_SETTLED,
        job.team_id,
        now,
        customer_id=job.customer_id,
        effect_key=job.effect_key,
        enrolment_id=job.enrolment_id,
        journey_id=job.journey_id,
        node_id=job.node_id,
        channel=job.channel,
        account_id=job.account_id,
        outcome=outcome.state,
        reason=outcome.reason,
        messages=item.messages,
        price=Price(job.price.currency, job.price.micros * item.messages),
        depth=job.depth,
        mailed=True,
    )


def _keys(jobs: Sequence[Job]) -> list[tuple[UUID, UUID]]:
    return sorted((job.team_id, job.effect_key) for job in jobs)


def _adopted(row: Mapping[str, Any]) -> Adopted:
    now, due, first = row["real_now"], row["next_attempt_at"], row["first_attempt_at"]
    job = job_of(row)
    was_sending = row["state"] == SendState.SENDING
    return Adopted(
        msgspec.structs.replace(job, doubtful=job.doubtful or was_sending),
        was_sending,
        max(0.0, (due - now).total_seconds()) if due else 0.0,
        (now - first).total_seconds() if first else 0.0,
    )
