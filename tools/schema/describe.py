"""A schema of a database as text: types, tables, constraints, indexes, triggers and policies; functions have files.

Written from the catalogs, in the order of names, so that one database always gives one text. What a comment above the
`CREATE` in a migration says is taken over.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import asyncpg

_TYPES: Final = """
SELECT c.relname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = $1 AND c.relkind = 'c'
 ORDER BY c.relname, a.attnum
"""
_TABLES: Final = """
SELECT c.oid, c.relname AS name, c.reloptions AS options, c.relrowsecurity AS held_apart
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
 ORDER BY c.relname
"""
_VIEWS: Final = """
SELECT c.relname AS name, pg_get_viewdef(c.oid, true) AS definition, c.reloptions AS options
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relkind = 'v'
 ORDER BY c.relname
"""
_COLUMNS: Final = """
SELECT a.attrelid AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       a.attidentity::text AS identity, a.attgenerated::text AS generated, pg_get_expr(d.adbin, d.adrelid) AS default,
       a.attstattarget AS sample
  FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""
# Constraints "not null" stand with their columns. The primary key comes first, foreign keys last.
_CONSTRAINTS: Final = """
SELECT conrelid AS table, conname AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint
 WHERE conrelid = ANY ($1::oid[]) AND contype IN ('p', 'u', 'c', 'f', 'x')
 ORDER BY conrelid, array_position('{p,u,x,c,f}', contype::text), conname
"""
_INDEXES: Final = """
SELECT i.indrelid AS table, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE i.indrelid = ANY ($1::oid[])
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype <> 'f')
 ORDER BY i.indrelid, c.relname
"""
_TRIGGERS: Final = """
SELECT tgrelid AS table, tgname AS name, pg_get_triggerdef(oid) AS definition
  FROM pg_trigger WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal ORDER BY tgrelid, tgname
"""
_POLICIES: Final = """
SELECT polrelid AS table, polname AS name, pg_get_expr(polqual, polrelid) AS using,
       pg_get_expr(polwithcheck, polrelid) AS check
  FROM pg_policy WHERE polrelid = ANY ($1::oid[]) ORDER BY polrelid, polname
"""
_MADE: Final = re.compile(
    r"((?:^--[^\n]*\n)+)CREATE (?:UNIQUE )?(?:TABLE|INDEX|TYPE|TRIGGER|VIEW)(?: IF NOT EXISTS)? (?:platform\.)?(\w+)",
    re.MULTILINE,
)

Connection = "asyncpg.Connection[Any]"
_Rows = Mapping[int, list[asyncpg.Record]]


def comments_of(migrations: Iterable[str]) -> dict[str, str]:
    """What migrations say right above what they create, by its name; the last one that says something counts."""
    found: dict[str, str] = {}
    for text in migrations:
        found.update({match[2]: match[1] for match in _MADE.finditer(text)})
    return found


async def describe(connection: "asyncpg.Connection[Any]", schema: str, comments: Mapping[str, str]) -> str:
    """The text of one schema; names in it are as if the schema were the search path."""
    async with connection.transaction():
        # Definitions name a schema where it is not found without.
        await connection.execute("SELECT set_config('search_path', quote_ident($1), true)", schema)
        tables = await connection.fetch(_TABLES, schema)
        oids = [table["oid"] for table in tables]
        columns, constraints, indexes, triggers, policies = [
            _by_table(await connection.fetch(query, oids))
            for query in (_COLUMNS, _CONSTRAINTS, _INDEXES, _TRIGGERS, _POLICIES)
        ]
        types = await connection.fetch(_TYPES, schema)
        views = await connection.fetch(_VIEWS, schema)
    parts = _type_texts(types, comments)
    for table in tables:
        oid, name = table["oid"], table["name"]
        parts.append(
            "\n".join(
                [
                    comments.get(name, "") + _table(table, columns[oid], constraints[oid]),
                    *_samples(name, columns[oid]),
                    *(comments.get(index["name"], "") + f"{index['definition']};" for index in indexes[oid]),
                    *(f"{trigger['definition']};" for trigger in triggers[oid]),
                    *_policies(table, policies[oid]),
                ]
            )
        )
    parts += [comments.get(view["name"], "") + _view(view) for view in views]
    return "\n\n".join(parts) + "\n"


def _view(view: asyncpg.Record) -> str:
    options = f" WITH ({', '.join(view['options'])})" if view["options"] else ""
    return f"CREATE VIEW {view['name']}{options} AS\n{view['definition']}"


def _by_table(rows: list[asyncpg.Record]) -> _Rows:
    found: dict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        found[row["table"]].append(row)
    return found


def _type_texts(rows: list[asyncpg.Record], comments: Mapping[str, str]) -> list[str]:
    fields: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        fields[row["name"]].append(f"{row['column']} {row['type']}")
    return [
        f"{comments.get(name, '')}CREATE TYPE {name} AS (\n    " + ",\n    ".join(lines) + "\n);"
        for name, lines in fields.items()
    ]


def _table(table: asyncpg.Record, columns: list[asyncpg.Record], constraints: list[asyncpg.Record]) -> str:
    width = max(len(column["name"]) for column in columns)
    lines = [f"{column['name'].ljust(width)} {_column(column)}" for column in columns]
    lines += [f"CONSTRAINT {constraint['name']} {constraint['definition']}" for constraint in constraints]
    options = f" WITH ({', '.join(table['options'])})" if table["options"] else ""
    return f"CREATE TABLE {table['name']} (\n    " + ",\n    ".join(lines) + f"\n){options};"


def _samples(table: str, columns: list[asyncpg.Record]) -> list[str]:
    """What ANALYZE keeps of columns, where it is not what it keeps of all."""
    if all(column["sample"] == (0 if column["type"] == "bytea" else 10) for column in columns):
        return [f"SELECT platform.sample_lightly('{table}');"]
    changes = [f"ALTER {c['name']} SET STATISTICS {c['sample']}" for c in columns if c["sample"] is not None]
    return [f"ALTER TABLE {table} {', '.join(changes)};"] if changes else []


def _column(column: asyncpg.Record) -> str:
    words = [column["type"]]
    if column["identity"]:
        words.append(f"GENERATED {'ALWAYS' if column['identity'] == 'a' else 'BY DEFAULT'} AS IDENTITY")
    if column["generated"]:
        words.append(f"GENERATED ALWAYS AS ({column['default']}) STORED")
    if column["required"]:
        words.append("NOT NULL")
    if column["default"] and not column["generated"]:
        words.append(f"DEFAULT {column['default']}")
    return " ".join(words)


def _policies(table: asyncpg.Record, policies: list[asyncpg.Record]) -> list[str]:
    lines = []
    if table["held_apart"]:
        lines.append(f"ALTER TABLE {table['name']} ENABLE ROW LEVEL SECURITY;")
    for policy in policies:
        check = f" WITH CHECK ({policy['check']})" if policy["check"] else ""
        using = " ".join(policy["using"].split())
        lines.append(f"CREATE POLICY {policy['name']} ON {table['name']} USING ({using}){check};")
    return lines
