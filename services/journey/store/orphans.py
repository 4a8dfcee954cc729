"""The SQL of orphans: live enrolments that rest for no reason. Of what turns commit it reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from services.journey.store.turns import BOOK, ActorKey


class RunKey(NamedTuple):
    """An enrolment, and where it lies."""

    partition: int
    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID

    @property
    def customer(self) -> ActorKey:
        """Whose it is."""
        return ActorKey(*self[:3])


class Place(NamedTuple):
    """Where a search stands: partition, since when a send is awaited, customer."""

    partition: int
    since: datetime
    customer_id: UUID


class Suspect(NamedTuple):
    """A live enrolment that awaits a send, and the last number taken from the gateway, as of one moment."""

    key: RunKey
    node_id: str
    visit: int
    wait: int
    rested_at: datetime
    """Since when, domain time."""
    taken_gateway: int


class OrphanStore:
    """Finds suspects, and keeps those that were found to be orphans until they are healed."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def resting_sends(
        self, partitions: Iterable[int], after: Place, until: datetime, limit: int
    ) -> tuple[list[RunKey], Place | None]:
        """Enrolments that rest for a send, of up to `limit` customers who have awaited one since before `until`, after
        a place in this order; and the place to go on from, None at the end."""
        rows = await self._pool.fetch(BOOK["resting_sends"], list(partitions), *after, until, limit)
        places = {Place(row["partition"], row["since"], row["customer_id"]) for row in rows}
        return [RunKey(*row[:4]) for row in rows], max(places) if len(places) >= limit else None

    async def known(self, partitions: Iterable[int], limit: int) -> list[RunKey]:
        """Orphans that were found and not forgotten; those of parked customers wait."""
        rows = await self._pool.fetch(BOOK["known_orphans"], list(partitions), limit)
        return [RunKey(*row) for row in rows]

    async def look_at(self, runs: Sequence[RunKey]) -> list[Suspect]:
        """Those of `runs` that are live and await a send now."""
        async with transaction(self._pool, {run.team_id for run in runs}) as connection:
            rows = await connection.fetch(BOOK["suspects"], *_columns(runs))
        return [Suspect(RunKey(*row[:4]), *row[4:]) for row in rows]

    async def keep(self, orphans: Sequence[Suspect]) -> int:
        """Notes orphans; returns how many were not known."""
        keys = [orphan.key for orphan in orphans]
        async with transaction(self._pool, {key.team_id for key in keys}) as connection:
            rows = await connection.fetch(
                BOOK["keep_orphans"],
                *_columns(keys),
                [o.wait for o in orphans],
                [o.rested_at for o in orphans],
            )
        return len(rows)

    async def forget_healed(self, runs: Sequence[RunKey]) -> set[RunKey]:
        """Forgets those that are not as they were found any more; returns them."""
        async with transaction(self._pool, {run.team_id for run in runs}) as connection:
            rows = await connection.fetch(BOOK["forget_healed"], *_columns(runs))
        return {RunKey(*row) for row in rows}


def _columns(runs: Sequence[RunKey]) -> tuple[Sequence[object], ...]:
    return tuple(zip(*runs, strict=True))
