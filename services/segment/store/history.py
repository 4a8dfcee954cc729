"""The history: the feed for readers, mail for the relay and for repairs, facts of a team for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, connection_of, fetch_alone, replanned, transaction
from libs.common.feeds.notifier import PAGE_MAX
from services.segment.domain.facts import Fact
from services.segment.domain.views import FactKey, FactPage
from services.segment.store.base import BOOK, columns, fact_of

_LOOKED_AT_MAX: Final = 5_000
"""Rows of a partition that one read looks at, as in the function `fact_feed`."""


async def read_facts(
    pool: Pool,
    cursors: Mapping[int, int],
    row_max: int,
    *,
    tags: Iterable[int] | None = None,
    only_mail: bool = False,
) -> FactPage:
    """A page of the feed, of bodies with one of the tags (None: all), in one statement.

    Cursors move over everything else, too, so a page may be empty without being the last.
    """
    row_max = min(row_max, PAGE_MAX)
    kinds = None if tags is None else list(tags)
    after = (list(cursors.keys()), list(cursors.values()))
    rows = await fetch_alone(pool, BOOK["fact_feed"], *after, kinds, only_mail, row_max)
    facts = [fact_of(row) for row in rows if row["body"] is not None]
    following, is_last = dict(cursors), len(facts) < row_max
    for partition, position, *_ in rows[len(facts) :]:
        is_last = is_last and position < cursors[partition] + _LOOKED_AT_MAX
        following[partition] = position
    if len(facts) == row_max:  # of the last partition and those behind it nobody knows how much was left out
        last = facts[-1]
        following |= {each: cursors[each] for each in following if each > last.partition}
        following[last.partition] = last.position
    return FactPage(facts, following, is_last)


async def customer_mail(
    pool: Pool, team_id: UUID, customer_id: UUID, after_number: int, row_max: int
) -> list[Fact]:
    """Facts that are mail to one customer, in order of number."""
    rows = await fetch_alone(pool, BOOK["customer_mail"], team_id, customer_id, after_number, row_max)
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
        await replanned(connection)
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
