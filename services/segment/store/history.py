"""The history: the feed for readers, mail for the relay and for repairs, facts of a team for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Pool, connection_of, replanned, transaction
from libs.common.db.reading import read_alone, read_rows
from libs.common.feeds.notifier import PAGE_MAX
from services.segment.domain.facts import NOBODY
from services.segment.domain.views import FactKey, FactPage, ListedFacts, MailFacts
from services.segment.store.base import BOOK, fact_of

_LOOKED_AT_MAX: Final = 5_000
"""Rows of a partition that one read looks at, as in the function `fact_feed_v2`."""
PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bodies of one page, but for the last fact: as messages, with keys and times, they fit into an answer of 16 MiB."""

_BEFORE_ALL: Final[FactKey] = (datetime(1, 1, 1, tzinfo=UTC), -1, 0)
_AFTER_ALL: Final[FactKey] = (datetime(9999, 12, 31, tzinfo=UTC), 0, 0)


async def read_facts(
    pool: Pool,
    cursors: Mapping[int, int],
    row_max: int,
    *,
    tags: Iterable[int] | None = None,
    only_mail: bool = False,
    byte_max: int = PAGE_BYTES_MAX,
) -> FactPage:
    """A page of the feed, of bodies with one of the tags (None: all), in one statement.

    Facts after `byte_max` bytes of bodies are left for the next page, but never all of them. Cursors move over
    everything else, too, so a page may be empty without being the last.
    """
    query = BOOK.bind(
        "read_facts",
        partitions=list(cursors.keys()),
        after=list(cursors.values()),
        kinds=None if tags is None else list(tags),
        only_mail=only_mail,
        row_max=min(row_max, PAGE_MAX),
        byte_max=byte_max,
    )
    rows = await read_alone(pool, *query)
    facts = [fact_of(row) for row in rows if row["body"] is not None]
    looked_at = {row["partition"]: row["position"] for row in rows[len(facts) :]}
    is_cut = None in looked_at
    looked_at.pop(None, None)
    is_last = not is_cut and all(
        position < cursors[partition] + _LOOKED_AT_MAX for partition, position in looked_at.items()
    )
    following = {**cursors, **looked_at}
    if is_cut:  # of the last partition and those behind it nobody knows how much was left out
        last = facts[-1]
        following |= {each: cursors[each] for each in following if each > last.partition}
        following[last.partition] = last.position
    return FactPage(facts, following, is_last)


async def customer_mail(
    pool: Pool,
    team_id: UUID,
    customer_id: UUID,
    after_number: int,
    row_max: int,
    *,
    byte_max: int = PAGE_BYTES_MAX,
) -> MailFacts:
    """Facts that are mail to one customer, in order of number; cut short as in `read_facts`."""
    query = BOOK.bind(
        "read_customer_mail",
        team_id=team_id,
        customer_id=customer_id,
        after_number=after_number,
        row_max=row_max,
        byte_max=byte_max,
    )
    rows = await read_alone(pool, *query)
    facts = [fact_of(row) for row in rows if row["body"] is not None]
    return MailFacts(facts, is_last=len(facts) == len(rows))


async def partition_mail(
    pool: Pool, partition: int, after: int, row_max: int, *, byte_max: int = PAGE_BYTES_MAX
) -> MailFacts:
    """Facts that are mail in one partition, in order of position; cut short as in `read_facts`."""
    while True:
        page = await read_facts(pool, {partition: after}, row_max, only_mail=True, byte_max=byte_max)
        if page.facts or page.is_last:
            return MailFacts(page.facts, page.is_last)
        after = page.cursors[partition]


async def team_mail(
    pool: Pool,
    team_id: UUID,
    since: datetime,
    after: tuple[UUID, int] | None,
    row_max: int,
    *,
    byte_max: int = PAGE_BYTES_MAX,
) -> MailFacts:
    """Facts that are mail to a team's customers and were recorded since then, in order of customer and number, after
    the last one read; cut short as in `read_facts`. What was recorded before is passed over row by row."""
    customer_id, number = after or (NOBODY, 0)
    query = BOOK.bind(
        "read_team_mail",
        team_id=team_id,
        since=since,
        after_customer_id=customer_id,
        after_number=number,
        row_max=row_max,
        byte_max=byte_max,
    )
    async with transaction(pool, [team_id]) as connection:
        await replanned(connection)
        rows = await read_rows(connection, *query)
    return MailFacts(*_listed(rows, row_max))


def _listed(rows: Sequence[Mapping[str, Any]], row_max: int) -> ListedFacts:
    """Rows of a page with how many there were before it was cut short."""
    facts = [fact_of(list(row.values())[:-1]) for row in rows]
    read = rows[0]["page_rows"] if rows else 0
    return ListedFacts(facts, is_last=read < row_max and len(facts) == read)


async def list_facts(
    pool: Pool,
    team_id: UUID,
    *,
    customer_id: UUID | None,
    span: tuple[datetime, datetime],
    after: FactKey | None,
    row_max: int,
    newest_first: bool = False,
    byte_max: int = PAGE_BYTES_MAX,
) -> ListedFacts:
    """Facts of a team or of one of its customers in order of time; `span` is [start, end). Cut short as in
    `read_facts`."""
    after_time, after_partition, after_position = after or (_AFTER_ALL if newest_first else _BEFORE_ALL)
    asked = {
        "team_id": team_id,
        "start_time": span[0],
        "end_time": span[1],
        "after_time": after_time,
        "after_partition": after_partition,
        "after_position": after_position,
        "row_max": row_max,
        "byte_max": byte_max,
    }
    if customer_id is not None:
        query = BOOK.bind(
            "list_facts_of_customer", **asked, customer_id=customer_id, newest_first=newest_first
        )
    else:
        query = BOOK.bind("list_newest_facts" if newest_first else "list_facts", **asked)
    async with transaction(pool, [team_id]) as connection:
        await replanned(connection)
        rows = await read_rows(connection, *query)
    return _listed(rows, row_max)


async def load_mail_cursors(pool: Pool) -> dict[int, int]:
    """How far the relay had delivered when it last saved."""
    async with connection_of(pool) as connection:
        rows = await connection.fetch(*BOOK.bind("load_mail_cursors"))
    return {row["partition"]: row["position"] for row in rows}


async def save_mail_cursors(pool: Pool, cursors: Mapping[int, int]) -> None:
    """Moves cursors on, never back."""
    async with connection_of(pool) as connection:
        await connection.execute(*BOOK.bind("save_mail_cursors", cursors=sorted(cursors.items())))
