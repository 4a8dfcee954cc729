"""What must not escape the checker: a quiet installation's rows and the emulators' files, spoilt one way at a time."""

import dataclasses
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.chaos.case import Evidence
from tests.chaos.checker import check
from tests.chaos.proofs import Proof
from tests.chaos.records import Records


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One way of spoiling. `sql` runs in a transaction that is undone; `spoil` gets a copy of the evidence."""

    what: str
    breaks: tuple[str, ...]
    """Proofs that have to disagree; others may as well."""
    sql: tuple[str, ...] = ()
    spoil: Callable[[Evidence], Evidence] = lambda evidence: evidence


def change(table: str, setting: str, where: str = "true") -> tuple[str, ...]:
    """SQL that changes one row of the team."""
    return (f"UPDATE {table} SET {setting} WHERE {_one(table, where)}",)


def drop(table: str, where: str = "true") -> tuple[str, ...]:
    """SQL that deletes one."""
    return (f"DELETE FROM {table} WHERE {_one(table, where)}",)


def double(table: str, setting: str, where: str = "true") -> tuple[str, ...]:
    """SQL that copies one, with changes."""
    return (
        f"CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM {table} WHERE {_one(table, where)}",
        f"UPDATE copied SET {setting}",
        f"INSERT INTO {table} SELECT * FROM copied",
    )


def _one(table: str, where: str) -> str:
    chosen = f"SELECT tableoid, ctid FROM {table} WHERE team_id = $1 AND {where} ORDER BY ctid LIMIT 1"
    return f"(tableoid, ctid) = ({chosen})"


async def seen(sabotage: Sabotage, records: Records, evidence: Evidence) -> list[Proof]:
    """What the checker says of the spoilt installation, which is as before afterwards."""
    transaction = records.connection.transaction()
    await transaction.start()
    try:
        # Guards of the tables would not let it be spoilt.
        await records.connection.execute("SET LOCAL session_replication_role = replica")
        for statement in sabotage.sql:
            await _run(records.connection, statement, records.team_id)
        with _copied(evidence) as copy:
            return (await check(records, sabotage.spoil(copy))).bad
    finally:
        await transaction.rollback()


async def _run(connection: "asyncpg.Connection[Any]", statement: str, team_id: uuid.UUID) -> None:
    done = await connection.execute(statement, *([team_id] if "$1" in statement else []))
    assert done.split()[-1] != "0" or statement.startswith("DELETE FROM stats"), (
        f"nothing to spoil: {statement}"
    )


@contextmanager
def _copied(evidence: Evidence) -> Iterator[Evidence]:
    """With receipts that may be written to."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-spoilt-") as directory:
        shutil.copytree(evidence.receipts, directory, dirs_exist_ok=True)
        yield dataclasses.replace(evidence, receipts=Path(directory))
