"""Databases can be divided by team: no key and no reference crosses from one team to another (ADR 71)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tools.paths import ROOT
from tools.schema.files import SERVICES

OF_A_DATABASE: Final = {
    # Feeds and what follows them: each database has its own 64 partitions, or 8 shards, with positions of their own.
    "history": {"partition", "position"},
    "fact": {"partition", "position"},
    "mail": {"partition", "position"},
    "history_record": {"shard", "position"},
    "entry_by_position": {"partition", "position"},
    # Of a feed's parts and of processes, not of teams.
    "cursor": {"source", "partition"},
    "rebuild_cursor": {"rebuild_id", "source", "partition"},
    "rebuild_shadow": {"rebuild_id", "own_id"},
    "lease_worker": {"worker_id"},
    "sender_stint": {"stint_id"},
    "content_pruning": {"only_row"},
    "spelling_search": {"only_row"},
    # What comes from outside without its team: who looks it up asks each database, or keeps a directory of them.
    "webhook_inbox": {"sequence"},
    "link_target": {"link_id"},
    "link_key": {"link_key_id"},
}
"""Unique keys without a team, by table or index."""
A_FEEDS_OWN: Final = re.compile(r"\w*(_cursor|_head|_lease|_set_aside|_checkpoint)$")
"""Where a reader of a feed is, and what it could not read."""


@dataclass(frozen=True, slots=True)
class Key:
    """A unique key or a reference of a table."""

    service: str
    table: str
    name: str
    """Of the index where it is one, else of the table."""
    columns: frozenset[str]
    first: str


def _keys(service: str) -> Iterator[Key]:
    text = (ROOT / "services" / service / "sql" / "schema.sql").read_text()
    for table, body in re.findall(r"CREATE TABLE (?:\w+\.)?(\w+) \((.*?)\n\)", text, re.DOTALL):
        for columns in re.findall(r"(?:PRIMARY KEY|UNIQUE|FOREIGN KEY) \(([^)]*)\)", body):
            yield _key(service, table, table, columns)
    for name, table, columns in re.findall(
        r"CREATE UNIQUE INDEX (\w+) ON \w+\.(\w+) USING \w+ \((.*?)\)(?: WHERE|;| INCLUDE)", text
    ):
        yield _key(service, table, name, columns)


def _key(service: str, table: str, name: str, columns: str) -> Key:
    named = [each.strip().strip('"') for each in columns.split(",")]
    return Key(service, table, name, frozenset(named), named[0])


@pytest.mark.parametrize("service", SERVICES)
def test_every_key_has_the_team_in_it_or_is_of_a_database(service: str) -> None:
    found = list(_keys(service))
    assert len(found) > 10, "the schema is read"
    crossing = [
        key
        for key in found
        if "team_id" not in key.columns
        and OF_A_DATABASE.get(key.name) != set(key.columns)
        and not (A_FEEDS_OWN.match(key.table) and key.columns <= {"source", "partition", "shard", "position"})
    ]
    known = [
        key
        for key in crossing
        if (service, key.table, key.first) == ("channel_gateway", "inbox_refusal", "sequence")
    ]
    assert crossing == known, "a key that all teams share holds them in one database"


@pytest.mark.parametrize("service", SERVICES)
def test_a_teams_rows_lie_together(service: str) -> None:
    """Every key of a team's rows begins with the team, or with the customer's partition before it."""
    scattered = [
        key
        for key in _keys(service)
        if "team_id" in key.columns and key.first not in {"team_id", "partition"}
    ]
    assert scattered == []


def test_what_is_excepted_is_there() -> None:
    """An exception that nothing needs any more is taken away."""
    found = {key.name for service in SERVICES for key in _keys(service)}
    assert set(OF_A_DATABASE) <= found
