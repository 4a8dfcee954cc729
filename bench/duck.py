"""The same rows in DuckDB, for orientation: a store that is made for such questions and for nothing else."""

import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.audiences import AUDIENCES
from bench.crowd import TABLES

_COLUMNS: Final = {
    "customer": "team_id, customer_id, phone, email_folded, checkout_time",
    "customer_tag": "team_id, customer_id, tag_folded",
    "customer_attribute": "team_id, customer_id, key, type, value_folded, number_value",
    "identity": "team_id, customer_id, channel",
    "customer_points": "team_id, customer_id, balance, cumulative",
}
_ROUNDS: Final = 3


async def counts_ms(admin: "asyncpg.Pool[Any]", bind: dict[str, str]) -> dict[str, float] | str:
    """Milliseconds of a count of each audience, the median of some; or why there are none."""
    try:
        duckdb = import_module("duckdb")  # no part of the product: `make bench` installs it
    except ImportError:
        return "duckdb is not installed here (python3 tools/install.py bench)"
    with tempfile.TemporaryDirectory(prefix="omnijourney-duck-") as directory:
        base = duckdb.connect()
        for table in TABLES:
            path = Path(directory) / f"{table}.csv"
            async with admin.acquire() as connection:
                query = f"SELECT {_COLUMNS[table]} FROM segment.{table}"  # noqa: S608 - names of this file alone
                await connection.copy_from_query(query, output=path, format="csv", header=True)
            base.execute(f"CREATE TABLE {table} AS SELECT * FROM read_csv('{path}', header = true)")  # noqa: S608 - as above
            path.unlink()
        return {each.name: _median_ms(base, _text(each.hand, bind)) for each in AUDIENCES}


def _text(hand: str, bind: dict[str, str]) -> str:
    """As DuckDB writes it."""
    for name, value in bind.items():
        hand = hand.replace(f":{name}", value)
    for ours, theirs in (
        (' COLLATE "C"', ""),
        ("octet_length(", "strlen("),
        ("(SELECT FROM", "(SELECT 1 FROM"),
    ):
        hand = hand.replace(ours, theirs)
    return f"SELECT count(*) FROM ({hand})"  # noqa: S608 - texts of ours alone


def _median_ms(base: Any, sql: str) -> float:
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        base.execute(sql).fetchall()
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took)[_ROUNDS // 2]
