"""The history: the feed for readers, mail for the relay and for repairs, facts of a team for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from libs.common.db.history import read_history
from libs.common.db.pool import Pool, connection_of, transaction
from services.segment.domain.facts import Fact
from services.segment.store.base import BOOK, columns, fact_of

FactKey = tuple[datetime, int, int]
"""Time, partition, position: the order of a team's facts."""


async def read_facts(
    pool: Pool, cursors: Mapping[int, int], row_max: int
) -> tuple[list[Fact], dict[int, int]]:
    """A page of the feed: facts after the cursors, and the cursors to go on from."""
    rows, following = await read_history(pool, BOOK["fact_teams"], BOOK["read_facts"], cursors, row_max)
    return [fact_of(row) for row in rows], following


async def customer_mail(
    pool: Pool, team_id: UUID, customer_id: UUID, after_number: int, row_max: int
) -> list[Fact]:
    """Facts that are mail to one customer, in order of number."""
    async with transaction(pool, [team_id]) as connection:
        rows = await connection.fetch(BOOK["customer_mail"], team_id, customer_id, after_number, row_max)
    return [fact_of(row) for row in rows]


async def list_facts(
    pool: Pool,
    team_id: UUID,
    *,
    customer_id: UUID | None,
    span: tuple[datetime, datetime],
    after: FactKey,
    row_max: int,
) -> list[Fact]:
    """Facts of a team in order of time; `span` is [start, end)."""
    async with transaction(pool, [team_id]) as connection:
        rows = await connection.fetch(BOOK["list_facts"], team_id, customer_id, *span, *after, row_max)
    return [fact_of(row) for row in rows]


async def load_mail_cursors(pool: Pool) -> dict[int, int]:
    """How far the relay had delivered when it last saved."""
    async with connection_of(pool) as connection:
        rows = await connection.fetch(BOOK["load_mail_cursors"])
    return {row["partition"]: row["position"] for row in rows}


async def save_mail_cursors(pool: Pool, cursors: Mapping[int, int]) -> None:
    """Moves cursors on, never back."""
    async with connection_of(pool) as connection:
        await connection.execute(BOOK["save_mail_cursors"], *columns(sorted(cursors.items()), 2))
