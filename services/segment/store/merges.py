"""Merges of customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from services.segment.domain.merging import FIRST_STEP, Merge, MergeState, MergeStep
from services.segment.store.base import BOOK

MergeKey = tuple[UUID, UUID]
"""Team and merge."""


class MergeClaim(NamedTuple):
    """A step that somebody takes: it is theirs while the merge has that version."""

    key: MergeKey
    version: int


class MergeStore:
    """Raises the driver's errors. Methods with a connection run in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def close(
        self, connection: Connection, team_id: UUID, loser_id: UUID, survivor_id: UUID, now: datetime
    ) -> None:
        """Puts a customer aside; both are locked."""
        ids = {"team_id": team_id, "loser_id": loser_id, "survivor_id": survivor_id}
        await connection.execute(*BOOK.bind("close_customer", **ids, now=now))

    async def insert(self, connection: Connection, merge: Merge) -> None:
        """A new one."""
        query = BOOK.bind(
            "insert_customer_merge",
            team_id=merge.team_id,
            customer_merge_id=merge.merge_id,
            survivor_id=merge.survivor_id,
            loser_id=merge.loser_id,
            actor=merge.actor,
            last_mail_number=merge.last_mail_number,
            state=merge.state,
            step=merge.step,
            create_time=merge.create_time,
        )
        await connection.execute(*query)

    async def read(self, key: MergeKey) -> Merge:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            row = await connection.fetchrow(*BOOK.bind("get_customer_merge", **_ids(key)))
        if row is None:
            raise NotFound.of("customer_merge", key[1])
        return Merge(*row)

    async def page(
        self, team_id: UUID, customer_id: UUID | None, before: tuple[datetime, UUID] | None, row_max: int
    ) -> Sequence[Merge]:
        """Newest first, of a customer on either side or of all."""
        at, id_ = before or (None, None)
        query = BOOK.bind(
            "list_customer_merges",
            team_id=team_id,
            customer_id=customer_id,
            before_time=at,
            before_id=id_,
            row_max=row_max,
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [Merge(*row) for row in await connection.fetch(*query)]

    async def claim(self, claim_s: float) -> MergeClaim | float | None:
        """Claims a step of any team for so many real seconds; else how many there are until one is due, if any."""
        row = await self.pool.fetchrow(*BOOK.bind("claim_customer_merge", claim_s=claim_s))
        if row["team_id"] is None:
            return None if row["wait_s"] is None else float(row["wait_s"])
        return MergeClaim((row["team_id"], row["customer_merge_id"]), row["version"])

    async def move(self, claim: MergeClaim, step: MergeStep) -> None:
        """On to a step; nothing if somebody else has claimed it since."""
        query = BOOK.bind("move_customer_merge", **_ids(claim.key), version=claim.version, step=step)
        async with transaction(self.pool, [claim.key[0]]) as connection:
            await connection.execute(*query)

    async def put_off(self, claim: MergeClaim, waits_for: str, pause_s: float) -> None:
        """The same step again, after so many real seconds."""
        query = BOOK.bind(
            "put_off_customer_merge",
            **_ids(claim.key),
            version=claim.version,
            waits_for=waits_for,
            pause_s=pause_s,
        )
        async with transaction(self.pool, [claim.key[0]]) as connection:
            await connection.execute(*query)

    async def end(self, connection: Connection, claim: MergeClaim, now: datetime) -> bool:
        """It is done; False if somebody else has claimed it since."""
        query = BOOK.bind(
            "end_customer_merge",
            **_ids(claim.key),
            version=claim.version,
            state=MergeState.SUCCEEDED,
            step=MergeStep.DONE,
            now=now,
        )
        return bool(await connection.fetchval(*query))


def accepted(
    team_id: UUID,
    merge_id: UUID,
    survivor_id: UUID,
    loser_id: UUID,
    *,
    actor: str,
    last_mail: int,
    now: datetime,
) -> Merge:
    """A merge whose first step is done."""
    return Merge(
        team_id,
        merge_id,
        survivor_id,
        loser_id,
        actor,
        last_mail,
        MergeState.RUNNING,
        FIRST_STEP,
        "",
        0,
        0,
        now,
        None,
    )


def _ids(key: MergeKey) -> dict[str, UUID]:
    return {"team_id": key[0], "customer_merge_id": key[1]}
