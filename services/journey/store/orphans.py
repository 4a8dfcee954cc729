"""The SQL of orphans: live enrolments that nothing would wake. Of what turns commit it reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_alone, read_rows
from services.journey.domain.enrolment import WaitReason
from services.journey.domain.model import ActorKey
from services.journey.store.book import BOOK
from services.journey.store.packed import Named, read_state


class EnrolmentKey(NamedTuple):
    """An enrolment, and where it lies."""

    partition: int
    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID

    @property
    def actor(self) -> ActorKey:
        """The actor of its customer."""
        return ActorKey(*self[:3])


class SearchPosition(NamedTuple):
    """Where a search stands: partition, since when a send is awaited, customer."""

    partition: int
    since: datetime
    customer_id: UUID


class Suspect(NamedTuple):
    """A live enrolment that awaits a send, and the last number taken from the gateway, as of one moment."""

    key: EnrolmentKey
    node_id: str
    visit: int
    wait: int
    waiting_since: datetime
    """Domain time."""
    taken_gateway: int


class OrphanStore:
    """Finds suspects, and keeps those that were found to be orphans until they are healed."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def awaited_sends(
        self, partitions: Iterable[int], after: SearchPosition, until: datetime, limit: int
    ) -> tuple[list[EnrolmentKey], SearchPosition | None]:
        """Enrolments that wait for a send, of up to `limit` customers who have awaited one since before `until`, after
        a position in this order; and the position to go on from, None at the end."""
        rows = await read_alone(
            self._pool,
            *BOOK.bind(
                "resting_sends",
                partitions=list(partitions),
                after_partition=after.partition,
                after_since=after.since,
                after_customer_id=after.customer_id,
                until=until,
                limit=limit,
            ),
        )
        seen = {SearchPosition(row["partition"], row["since"], row["customer_id"]) for row in rows}
        return [EnrolmentKey(*row[:4]) for row in rows], max(seen) if len(seen) >= limit else None

    async def noted(self, partitions: Iterable[int], limit: int) -> list[EnrolmentKey]:
        """Orphans that were found and not forgotten; those of parked customers wait."""
        rows = await self._pool.fetch(*BOOK.bind("known_orphans", partitions=list(partitions), limit=limit))
        return [EnrolmentKey(*row) for row in rows]

    async def count(self) -> int:
        """Live enrolments of all teams that nothing would wake, as far as they were found."""
        return int(await self._pool.fetchval(BOOK["count_orphans"]))

    async def look_at(self, runs: Sequence[EnrolmentKey]) -> list[Suspect]:
        """Those of `runs` that are live and await a send now."""
        async with transaction(self._pool, {run.team_id for run in runs}) as connection:
            live = await _live(connection, runs)
        return [suspect for suspect in live.values() if suspect.wait == WaitReason.SEND]

    async def note(self, orphans: Sequence[Suspect]) -> int:
        """Notes orphans; returns how many are new."""
        keys = [orphan.key for orphan in orphans]
        async with transaction(self._pool, {key.team_id for key in keys}) as connection:
            rows = await connection.fetch(
                *BOOK.bind("keep_orphans", rows=[(*o.key, o.wait, o.waiting_since) for o in orphans])
            )
        return len(rows)

    async def forget_healed(self, runs: Sequence[EnrolmentKey]) -> set[EnrolmentKey]:
        """Forgets those that are not as they were found any more; returns them."""
        async with transaction(self._pool, {run.team_id for run in runs}) as connection:
            found = await read_rows(connection, *BOOK.bind("orphans_as_found", keys=runs))
            live = await _live(connection, runs)
            healed = {
                key
                for key, wait, since in ((EnrolmentKey(*row[:4]), *row[4:]) for row in found)
                if key not in live or (live[key].wait, live[key].waiting_since) != (wait, since)
            }
            await connection.execute(*BOOK.bind("forget_orphans", keys=list(healed)))
        return healed


async def _live(connection: Connection, runs: Sequence[EnrolmentKey]) -> dict[EnrolmentKey, Suspect]:
    """Those of `runs` that are live, whatever they wait for."""
    rows = await read_rows(connection, *BOOK.bind("live_enrolments", keys=runs))
    return {suspect.key: suspect for suspect in map(_suspect, rows)}


def _suspect(row: Any) -> Suspect:
    key, taken = EnrolmentKey(*row[:4]), row["taken_gateway"]
    if row["packed"] is None:
        return Suspect(key, row["node_id"], row["visit"], row["rest"], row["updated_at"], taken)
    live, _ = read_state(
        key.team_id,
        key.customer_id,
        row["packed"],
        Named(key.enrolment_id, row["journey_id"], row["created_at"]),
    )
    [found] = (each for each in live if not each.listed)
    enrolment = found.enrolment
    return Suspect(key, enrolment.node_id, enrolment.visit, enrolment.wait, found.updated_at, taken)
