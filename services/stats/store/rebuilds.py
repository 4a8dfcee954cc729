"""The SQL of rebuilds: what was asked, who works on it, and what it has counted beside the figures that are shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from libs.common import crash
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.feeds.follower import CursorMovedError
from services.stats.domain.model import Counts, Source
from services.stats.domain.rebuild import KEPT_MAX, Rebuild, RebuildKey, RebuildState
from services.stats.store.base import BOOK
from services.stats.store.counting import beside_counters, columns

Aside = Mapping[tuple[int, int], frozenset[int] | None]
"""Of rows (partition, position) that are not counted which facts; None: all."""


class LostError(Exception):
    """The rebuild is somebody else's by now, or was cancelled."""


class Claim(NamedTuple):
    """Who works on a rebuild, and for how many real seconds from the last sign of life."""

    key: RebuildKey
    own: UUID
    claim_s: float


class Stand(NamedTuple):
    """Of one history, partition → position: where a rebuild stands, and where the figures that are shown do."""

    own: dict[int, int]
    shown: dict[int, int]


class Rows(NamedTuple):
    """What a rebuild takes from a page of a history."""

    source: Source
    before: Mapping[int, int]
    after: Mapping[int, int]
    number: int
    counts: Counts
    """Of shadows."""
    teams: Collection[UUID]
    """Whose they are."""


class RebuildStore:
    """Keeps rebuilds. Methods with a connection run in the caller's transaction. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    async def insert(self, connection: Connection, key: RebuildKey, now: datetime) -> None:
        """Keeps one that waits; the oldest of the team that have ended go."""
        await connection.execute(*BOOK.bind("insert_rebuild", **key._asdict(), created_at=now))
        await connection.execute(*BOOK.bind("forget_rebuilds", team_id=key.team_id, kept=KEPT_MAX))

    async def count_unfinished(self, connection: Connection) -> int:
        """How many of all teams wait or run; until the transaction ends none begins."""
        return int(await connection.fetchval(*BOOK.bind("count_unfinished_rebuilds")))

    async def read(self, key: RebuildKey) -> Rebuild:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key.team_id]) as connection:
            return _found(await connection.fetchrow(*BOOK.bind("read_rebuild", **key._asdict())), key)

    async def lock(self, connection: Connection, key: RebuildKey) -> Rebuild:
        """One, locked until the transaction ends. Raises NotFound."""
        return _found(await connection.fetchrow(*BOOK.bind("lock_rebuild", **key._asdict())), key)

    async def page(self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int) -> list[Rebuild]:
        """A page, newest first."""
        created_at, rebuild_id = after or (None, None)
        query = BOOK.bind(
            "list_rebuilds",
            team_id=team_id,
            after_created_at=created_at,
            after_rebuild_id=rebuild_id,
            row_max=limit,
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [_rebuild(row) for row in await connection.fetch(*query)]

    async def cancel(self, connection: Connection, key: RebuildKey, now: datetime) -> None:
        """Ends one that has not ended; whoever works on it finds out with the next page."""
        await connection.execute(*BOOK.bind("cancel_rebuild", **key._asdict(), ended_at=now))

    # -- of whoever works on it ---------------------------------------------------------------------------------

    async def claim(self, own: UUID, claim_s: float) -> Claim | None:
        """Claims the oldest one; None if there is none, or somebody works on it."""
        row = await self.pool.fetchrow(*BOOK.bind("claim_rebuild", own=own, claim_s=claim_s))
        return Claim(RebuildKey(row["team_id"], row["rebuild_id"]), own, claim_s) if row is not None else None

    async def begin(self, key: RebuildKey) -> None:
        """Notes where it stands, if it was never begun, and how much there is to be read."""
        async with transaction(self.pool, [key.team_id]) as connection:
            await connection.execute(*BOOK.bind("begin_rebuild", **key._asdict()))

    async def stand(self, key: RebuildKey, source: Source) -> Stand:
        """Where it stands in a history."""
        return _stand(await self.pool.fetch(*_stand_query(key, source)))

    async def aside(self, source: Source, places: Sequence[tuple[int, int]]) -> Aside:
        """Of some rows of a history those that are not counted, and which of their facts."""
        query = BOOK.bind(
            "rows_aside_among",
            source=source,
            partitions=[partition for partition, _ in places],
            positions=[position for _, position in places],
        )
        return {
            (row["partition"], row["position"]): None if row["facts"] is None else frozenset(row["facts"])
            for row in await self.pool.fetch(*query)
        }

    async def windows(self, orders: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], timedelta]:
        """How long after a click orders (team, key) are a journey's, of those that were counted before: as it was
        then."""
        query = BOOK.bind(
            "windows_of_orders", teams=[team for team, _ in orders], keys=[key for _, key in orders]
        )
        async with transaction(self.pool, {team for team, _ in orders}) as connection:
            rows = await connection.fetch(*query)
        return {(row["team_id"], row["order_key"]): row["click_window"] for row in rows}

    async def count(self, claim: Claim, rows: Rows) -> None:
        """Counts what a page adds and moves the rebuild's cursors, in one transaction. Raises LostError,
        CursorMovedError."""
        async with transaction(self.pool, [claim.key.team_id]) as connection:
            await _count(connection, claim, rows)
            crash.reach("stats.rebuilding")

    @asynccontextmanager
    async def holding(self, claim: Claim) -> AsyncIterator[Holding]:
        """For a block in which nobody counts anything: what it does is done when it ends well, or nothing of it."""
        async with transaction(self.pool, [claim.key.team_id]) as connection:
            await connection.execute(*BOOK.bind("hold_cursors"))
            yield Holding(connection, claim)

    async def leave(self, claim: Claim, tries: int, pause_s: float) -> None:
        """Gives it back, to be gone on with after so many real seconds."""
        query = BOOK.bind("leave_rebuild", **claim.key._asdict(), own=claim.own, tries=tries, pause_s=pause_s)
        async with transaction(self.pool, [claim.key.team_id]) as connection:
            await connection.execute(*query)

    async def fail(self, claim: Claim, now: datetime, reason: str, message: str) -> None:
        """Ends it without figures; nothing if it is not the claim's."""
        async with transaction(self.pool, [claim.key.team_id]) as connection:
            await _end(connection, claim, RebuildState.FAILED, now, why=(reason, message))

    async def clear(self) -> None:
        """Removes what rebuilds that failed or were cancelled have counted."""
        for row in await self.pool.fetch(*BOOK.bind("ended_rebuilds")):
            async with transaction(self.pool, ()) as connection:
                await connection.execute(*BOOK.bind("drop_shadows", rebuild_id=row["rebuild_id"]))


class Holding:
    """A transaction in which all cursors stand still."""

    def __init__(self, connection: Connection, claim: Claim) -> None:
        """See `RebuildStore.holding`."""
        self._connection = connection
        self._claim = claim

    async def stand(self, source: Source) -> Stand:
        """See `RebuildStore.stand`."""
        return _stand(await self._connection.fetch(*_stand_query(self._claim.key, source)))

    async def count(self, rows: Rows) -> None:
        """See `RebuildStore.count`."""
        await _count(self._connection, self._claim, rows)

    async def show(self, now: datetime) -> None:
        """Puts the new figures in the place of the old ones, and ends the rebuild. Raises LostError."""
        await _bind(self._connection, self._claim)
        if not await _end(self._connection, self._claim, RebuildState.SUCCEEDED, now):
            raise LostError
        await self._connection.execute(*BOOK.bind("show_shadows", rebuild_id=self._claim.key.rebuild_id))
        crash.reach("stats.rebuilt")


async def _count(connection: Connection, claim: Claim, rows: Rows) -> None:
    key = claim.key
    await _bind(connection, claim)
    noted = BOOK.bind("note_rebuilt", **key._asdict(), own=claim.own, rows=rows.number, claim_s=claim.claim_s)
    if not await connection.fetchval(*noted):
        raise LostError
    moves = steps(rows.before, rows.after)
    named = {"rebuild_id": key.rebuild_id, "source": rows.source}
    moved = await connection.fetchval(*BOOK.bind("move_rebuild_cursors", **named, steps=moves))
    if moved != len(moves):
        raise CursorMovedError
    if not rows.teams:
        return
    owns = sorted(rows.teams)
    shadows = [key.shadow_of(team_id) for team_id in owns]
    kept = BOOK.bind("keep_shadows", rebuild_id=key.rebuild_id, owns=owns, shadows=shadows)
    await connection.execute(*kept)
    counters, firsts = columns(rows.counts)
    with cursors_checked():
        await connection.execute(
            *BOOK.bind("count_part", source=rows.source, counters=counters, firsts=firsts)
        )
        for query in beside_counters(rows.counts):
            await connection.execute(*query)


async def _bind(connection: Connection, claim: Claim) -> None:
    """Binds the transaction to the rebuild's team again: counting binds it to those that it counts."""
    await connection.execute("SELECT platform.bind(ARRAY[$1::uuid])", claim.key.team_id)


async def _end(
    connection: Connection,
    claim: Claim,
    state: RebuildState,
    now: datetime,
    *,
    why: tuple[str, str] = ("", ""),
) -> bool:
    query = BOOK.bind(
        "end_rebuild",
        **claim.key._asdict(),
        own=claim.own,
        state=state,
        reason=why[0],
        message=why[1],
        ended_at=now,
    )
    return bool(await connection.fetchval(*query))


def _stand_query(key: RebuildKey, source: Source) -> tuple[Any, ...]:
    return BOOK.bind("rebuild_cursors", rebuild_id=key.rebuild_id, source=source)


def _stand(rows: Sequence[Mapping[str, Any]]) -> Stand:
    return Stand(
        {row["partition"]: row["own"] for row in rows}, {row["partition"]: row["shown"] for row in rows}
    )


def _found(row: Mapping[str, Any] | None, key: RebuildKey) -> Rebuild:
    if row is None:
        raise NotFound.of("operation", key.rebuild_id)
    return _rebuild(row)


def _rebuild(row: Mapping[str, Any]) -> Rebuild:
    return Rebuild(
        key=RebuildKey(row["team_id"], row["rebuild_id"]),
        state=RebuildState(row["state"]),
        done=row["done"],
        total=row["total"],
        tries=row["tries"],
        reason=row["reason"],
        message=row["message"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
