"""docs/privacy.md says of every column that can hold text what becomes of it when a person is erased."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import asyncpg

from tests.integration.schemas.services import SERVICES
from tools.paths import ROOT

_DECISIONS: Final = {"none", "row", "blank", "rewrite", "match", "ends"}
_ROW: Final = re.compile(r"^\| (?!service )(\w+) \| (\w+) \| ([\w, ]+) \| (\w+) \|$", re.MULTILINE)
_TEXTS: Final = """
SELECT c.table_schema || '.' || c.table_name || '.' || c.column_name
  FROM information_schema.columns AS c
  JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE t.table_type = 'BASE TABLE' AND c.table_schema = ANY ($1)
   AND (c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'xml', 'inet')
        OR c.udt_name IN ('_text', '_bytea', '_jsonb', '_varchar', '_json'))
"""


def decided() -> Counter[str]:
    """Columns that stand in the page, and how often."""
    page = (ROOT / "docs/privacy.md").read_text(encoding="utf-8")
    found: Counter[str] = Counter()
    for service, table, columns, decision in _ROW.findall(page):
        assert decision in _DECISIONS, f"{service}.{table}: what is {decision}?"
        found.update(f"{service}.{table}.{column}" for column in columns.split(", "))
    return found


async def test_each_column_of_texts_has_a_decision(connection: asyncpg.Connection[Any]) -> None:
    rows = await connection.fetch(_TEXTS, [*SERVICES, "platform"])
    there, named = {row[0] for row in rows}, decided()
    assert sorted(there - set(named)) == [], (
        "say in docs/privacy.md what becomes of these for an erased person"
    )
    assert sorted(set(named) - there) == [], "docs/privacy.md names columns that are not there"
    assert [column for column, count in named.items() if count > 1] == []
