"""What docs/privacy.md says of a person's columns is what the statements of an erasure do (S-08b)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from libs.common.db.book import BOOK
from libs.common.db.sql_files import read_functions
from tools.paths import ROOT

pytestmark = pytest.mark.rule("S-08b")

_ROW: Final = re.compile(r"^\| (?!service )(\w+) \| (\w+) \| ([\w, ]+) \| (\w+) \|$", re.MULTILINE)
_COMMENT: Final = re.compile(r"--[^\n]*")
_BOOKS: Final = ("persons", "erasures", "texts")
"""Files of queries that take a person out of a service's tables."""
_UPDATE: Final = re.compile(
    r"\bUPDATE (?:\w+\.)?(\w+)(?: AS \w+)?\s+SET\s(.*?)(?=\bFROM\b|\bWHERE\b|\bRETURNING\b|;|\Z)", re.DOTALL
)
_UPSERT: Final = re.compile(
    r"\bINSERT INTO (?:\w+\.)?(\w+).*?DO UPDATE\s+SET\s(.*?)(?=\bWHERE\b|\bRETURNING\b|;|\Z)", re.DOTALL
)
_DELETE: Final = re.compile(r"\bDELETE FROM (?:\w+\.)?(\w+)")
_SET: Final = re.compile(r"(?:^|[,(\s])(\w+) = ")


class Promise(NamedTuple):
    """What becomes of a column."""

    service: str
    table: str
    column: str
    decision: str


def _promises() -> list[Promise]:
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    return [
        Promise(service, table, column, decision)
        for service, table, columns, decision in _ROW.findall(page)
        for column in columns.split(", ")
    ]


def _functions(service: str) -> dict[str, str]:
    packages = [("libs.common.db", "platform_functions"), ("libs.common.db", "shared_functions")]
    if service != "platform":
        packages.append((f"services.{service}", "sql/functions"))
    return {each.name: each.sql for package in packages for each in read_functions(*package)}


def _all_statements(service: str) -> Iterator[str]:
    """Those of a service in use, with those of all services."""
    folder = ROOT / "services" / service / "sql" / "queries"
    for text in (
        *(file.read_text(encoding="utf-8") for file in folder.glob("*.sql")),
        *_functions(service).values(),
    ):
        yield _COMMENT.sub("", text)


def _statements(service: str) -> Iterator[str]:
    """Those of an erasure: the service's queries, those of all services, and the functions that they call."""
    service = "segment" if service == "platform" else service  # what all have in common is segment's to erase
    functions = _functions(service)
    folder = ROOT / "services" / service / "sql" / "queries"
    files = [folder / f"{name}.sql" for name in _BOOKS]
    waiting = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    waiting += [BOOK.written(name) for name in BOOK if name.startswith("erase_")]
    seen: set[str] = set()
    while waiting:
        text = _COMMENT.sub("", waiting.pop())
        yield text
        for name, sql in functions.items():
            if name not in seen and re.search(rf"\b{name}\(", text):
                seen.add(name)
                waiting.append(sql)


def _kept(service: str) -> set[Promise]:
    """What the statements of a service do; without a column: rows of the table are deleted."""
    kept: set[Promise] = set()
    for text in _statements(service):
        kept |= {Promise(service, table, "", "match") for table in _DELETE.findall(text)}
        for table, assignments in _UPDATE.findall(text):
            for column in _SET.findall(assignments):
                kept |= {Promise(service, table, column, each) for each in ("blank", "rewrite", "match")}
    for text in _all_statements(service):
        for table in _DELETE.findall(text):
            kept |= {Promise(service, table, "", decision) for decision in ("row", "ends")}
        for table, assignments in (*_UPDATE.findall(text), *_UPSERT.findall(text)):
            kept |= {Promise(service, table, column, "ends") for column in _SET.findall(assignments)}
    return kept


def test_each_promise_of_the_page_is_kept_by_a_statement() -> None:
    promises = [each for each in _promises() if each.decision != "none"]
    assert len(promises) > 50
    services = {each.service for each in promises}
    kept = {promise for service in services for promise in _kept(service)}
    broken = [each for each in promises if each not in kept and each._replace(column="") not in kept]
    assert sorted(broken) == []
