"""The floor of our own rows: what the product wrote for a burst, written again in its form by a plain script.

Nothing here knows the tables: what the log says was inserted and updated (`bench.wal`) is inserted and updated in
copies of those tables, with their indexes and constraints, from rows that the burst left. So the floor follows every
change of the schema. A batch of 500 is a commit for each service and each time that it writes to the same rows, and its
mail passes two streams a customer. Rows that are gone again are left out, and an update that finds its columns as it
would leave them needs no entries in indexes: the floor may be too low, never too high.
"""

import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import asyncpg

from bench.field import Field
from bench.floor_0 import BATCH, Floor, Script, script, timed
from bench.measure import chunks
from bench.team import spread
from bench.wal import Writes
from libs.common.ids import new_id

_WRITERS: Final = ("segment", "journey", "channel_gateway", "points")
_KEY: Final = """
SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum)
  FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
 WHERE i.indrelid = $1::text::regclass AND i.indisprimary
"""
_COLUMNS: Final = """
SELECT array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
"""
_OPTIONS: Final = "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::text::regclass"

Row = tuple[Any, ...]
Step = tuple[str, list[Row]]
"""A statement and the rows that it writes."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table of the product, copied."""

    service: str
    insert: str
    update: str
    rows: list[Row]
    inserted_each: float
    """A journey; 0: the rows were there before."""
    updated_each: float

    def steps(self, batch: int, batches: int) -> list[Step]:
        """What a batch writes, one after the other."""
        share = math.ceil(len(self.rows) / batches)
        mine = self.rows[batch * share : (batch + 1) * share]
        per_round = max(1, math.ceil(share / max(1, round(self.inserted_each))))
        inserted = [(self.insert, rows) for rows in chunks(mine, per_round)] if self.inserted_each else []
        updates, left = [], round(self.updated_each * BATCH)
        while left > 0 and mine:
            updates.append((self.update, mine[:left]))
            left -= len(mine)
        return inserted + updates


async def own_floor(field: Field, count: int, writes: Writes) -> Floor:
    """The rows of `count` journeys."""
    batches = math.ceil(count / BATCH)
    async with script(field) as on, _copies(field, count, writes) as tables:

        async def one(batch: int) -> None:
            await _write(on, tables, batch, batches)

        return await timed(field, count, lambda: spread(range(batches), one))


async def _write(on: Script, tables: Sequence[Copied], batch: int, batches: int) -> None:
    customers = [new_id() for _ in range(BATCH)]
    services = [
        [
            [step for step in steps if step]
            for steps in zip_longest(*(_steps(tables, service, batch, batches)))
        ]
        for service in _WRITERS
    ]
    await on.pass_through_streams(customers)
    for commits in zip_longest(*services, fillvalue=[]):
        for commit in commits:
            if commit:
                await on.commit(*((query, (rows,)) for query, rows in commit))
    await on.pass_through_streams(customers)


def _steps(tables: Sequence[Copied], service: str, batch: int, batches: int) -> list[list[Step]]:
    return [table.steps(batch, batches) for table in tables if table.service == service]


@contextlib.asynccontextmanager
async def _copies(field: Field, count: int, writes: Writes) -> AsyncIterator[list[Copied]]:
    """Copies of the tables that a journey writes to, dropped afterwards."""
    await field.admin.execute("DROP SCHEMA IF EXISTS own CASCADE; CREATE SCHEMA own")
    tables = []
    for name, changes in writes.tables.items():
        if name.split(".")[0] in _WRITERS and changes.deleted < 0.5:
            updated = changes.hot + changes.moved
            tables.append(await _copy(field, name, count, changes.inserted, updated))
    try:
        yield [table for table in tables if table.rows]
    finally:
        await field.admin.execute("DROP SCHEMA own CASCADE")


async def _copy(field: Field, name: str, count: int, inserted: float, updated: float) -> Copied:
    """`inserted`, `updated`: of a journey. A table whose rows are only updated is filled before anything is timed."""
    service = name.split(".", maxsplit=1)[0]
    copy = f"own.{name.replace('.', '_')}"
    statements = await _statements(field.admin, name, copy)
    options = await field.admin.fetchval(_OPTIONS, name)
    await field.admin.execute(f"CREATE TABLE {copy} (LIKE {name} INCLUDING ALL)")
    if options:
        await field.admin.execute(f"ALTER TABLE {copy} SET ({options})")
    wanted = count if inserted == 0 else math.ceil(inserted * count)
    rows = await field.admin.fetch(f"SELECT * FROM {name} LIMIT {wanted}")  # noqa: S608 - names of the catalog
    copied = Copied(service, *statements, [tuple(row) for row in rows], inserted, updated)
    if inserted == 0:
        for part in chunks(copied.rows, BATCH):
            await field.admin.execute(copied.insert, part)
    return copied


async def _statements(admin: "asyncpg.Pool[Any]", name: str, copy: str) -> tuple[str, str]:
    columns: list[str] = await admin.fetchval(_COLUMNS, name)
    key: list[str] = await admin.fetchval(_KEY, name)
    rest = [column for column in columns if column not in key] or key
    insert = f"INSERT INTO {copy} OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::{copy}[])"  # noqa: S608
    new = ", ".join(f"g.{column}" for column in rest)
    same = " AND ".join(f"t.{column} = g.{column}" for column in key)
    update = f"UPDATE {copy} AS t SET ({', '.join(rest)}) = ROW ({new}) FROM unnest($1::{copy}[]) AS g WHERE {same}"  # noqa: S608
    return insert, update
