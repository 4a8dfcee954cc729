"""Histories: append-only rows with positions, which other services are fed from.

Each row carries `(partition, position)`. Positions are given by `allocate` inside the writing transaction, as late as
possible, under row locks taken in the order of partitions: a transaction that holds a lower position of a partition
has committed before a higher one is given out, so that no reader can skip a late commit.

A reader keeps a cursor a partition and commits it with what it derives. Histories are under row-level security like
all tenant tables, while a feed serves all teams: it first asks which teams the page touches (`history_teams`), then
reads the page bound to those. `history_page` does both in one statement, for `read_page`. A service has both functions
for each of its histories, in `sql/functions`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from libs.common.db.book import BOOK
from libs.common.db.pool import Connection, Pool, bind_teams, snapshot
from libs.common.db.reading import read_alone, read_rows
from libs.common.feeds.notifier import PAGE_MAX
from libs.common.ids import PARTITIONS


async def allocate(connection: Connection, counts: Mapping[int, int]) -> dict[int, int]:
    """Gives out `counts[partition]` positions a partition; returns the first one of each.

    The partitions stay locked until the transaction ends, so call it right before the history is written and commit
    soon after. Partitions with a count of 0 are left out. Raises ValueError for a partition that does not exist or a
    negative count.
    """
    wanted = sorted((partition, count) for partition, count in counts.items() if count)
    for partition, count in wanted:
        if not 0 <= partition < PARTITIONS or count < 0:
            raise ValueError(f"no history positions for partition {partition}, count {count}")
    if not wanted:
        return {}
    assert connection.is_in_transaction(), (
        "positions are given out inside the transaction that writes the rows"
    )
    partitions, by_partition = map(list, zip(*wanted, strict=True))
    records = await connection.fetch(
        *BOOK.bind("allocate_positions", partitions=partitions, counts=by_partition)
    )
    first = {int(partition): int(position) for partition, position in records}
    assert len(first) == len(wanted), "history_head lacks partitions"
    return first


async def read_history(
    pool: Pool, teams_sql: str, rows_sql: str, cursors: Mapping[int, int], row_max: int
) -> tuple[list[Any], dict[int, int]]:
    """One page of a feed: rows after the cursors, and the cursors to go on from.

    `cursors` maps partition -> position already taken. Both queries take ($1 smallint[] partitions, $2 bigint[] after,
    $3 int row_max): `teams_sql` returns the teams of the page's rows, `rows_sql` the rows, by LATERAL over the cursors
    in the order of partition and position, with columns `partition` and `position`; at most `row_max` rows a partition.
    The page is cut at `row_max` rows, whole rows in that order.
    """
    arguments = (list(cursors.keys()), list(cursors.values()), min(row_max, PAGE_MAX))
    async with snapshot(pool, ()) as connection:
        teams = [record[0] for record in await connection.fetch(teams_sql, *arguments)]
        if not teams:
            return [], dict(cursors)
        await bind_teams(connection, teams)
        rows = (await read_rows(connection, rows_sql, *arguments))[: arguments[2]]
    return rows, _following(cursors, rows)


async def read_page(
    pool: Pool, table: str, cursors: Mapping[int, int], row_max: int, columns: str = "*"
) -> tuple[list[Any], dict[int, int]]:
    """One page of a feed in one round trip: what `read_history` answers, of a table for which a migration called
    `platform.open_pages`.

    `table` and `columns` are of the code, never of a caller's text; `columns` must hold `partition` and `position`.
    """
    arguments = (cursors.keys(), cursors.values(), min(row_max, PAGE_MAX))
    query = f"SELECT {columns} FROM {table}_page($1, $2, $3)"  # noqa: S608  # nosec B608 - both are of the code
    rows = await read_alone(pool, query, *arguments)
    return rows, _following(cursors, rows)


def _following(cursors: Mapping[int, int], rows: Sequence[Any]) -> dict[int, int]:
    """The cursors after a page's rows, which rise by position within a partition."""
    following = dict(cursors)
    following.update((row["partition"], row["position"]) for row in rows)
    return following


def count_by_partition(partitions: Iterable[int]) -> dict[int, int]:
    """How often each partition occurs: what `allocate` wants for a list of rows."""
    counts: dict[int, int] = {}
    for partition in partitions:
        counts[partition] = counts.get(partition, 0) + 1
    return counts
