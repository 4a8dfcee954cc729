"""What every book of queries and every function keeps to, read from their files alone."""

import importlib
import re
from collections.abc import Iterator
from enum import IntEnum
from importlib import resources
from pathlib import Path
from typing import Final

import pytest

from libs.common.db.book import BOOK
from libs.common.db.queries import QueryBook
from libs.common.db.sql_files import Function, read_functions, read_migrations
from tools.schema.files import SERVICES

_SERVICES: Final = SERVICES
_COMMON: Final = "libs.common.db"
_PARAMETERS_MAX: Final = 12
"""More in one call are not told apart by who reads it: rows come as arrays of a row type."""

_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBERS_OF: Final = re.compile(r"-- The numbers of ([\w.]+)\.(\w+)\.\n")
_CASE: Final = re.compile(r"WHEN '(\w+)' THEN (\d+)")
_BARE: Final = re.compile(
    r"\b(?:state|rest|status|kind|reason|source|channel|outcome|expiry\}')\)?(?: \+ 0)?\s*"
    r"(?:=|<>|[<>]=?|(?:NOT )?IN)\s*\(?'?[0-9]"
)
_CREATE: Final = re.compile(r"\bCREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+(?:platform\.)?(\w+)", re.IGNORECASE)
_DROP: Final = re.compile(r"\bDROP\s+(?:FUNCTION|TYPE)\b", re.IGNORECASE)


def _bare_sql(text: str) -> str:
    return _COMMENT.sub("", text)


def _functions(service: str, *, retired: bool = False) -> list[Function]:
    found = read_functions(f"services.{service}", "sql/functions")
    return [function for function in found if retired or not function.retired]


def _books(service: str) -> QueryBook:
    return QueryBook.load(f"services.{service}")


def _sql_of(service: str) -> Iterator[tuple[str, str]]:
    """Names and texts, without comments, of all queries and functions in use."""
    for function in _functions(service):
        yield function.name, _bare_sql(function.sql)
    book = _books(service)
    for name in book:
        yield f"query.{name}", _bare_sql(book.written(name))


def _files(service: str) -> Iterator[Path]:
    with resources.as_file(resources.files(f"services.{service}").joinpath("sql")) as folder:
        yield from (file for file in folder.rglob("*.sql") if "migrations" not in file.parts)


def _parameters(function: Function) -> int:
    """How many arguments a function takes: its declared ones but for those that it gives out."""
    text = _bare_sql(function.sql)
    start = text.index("(") + 1
    depth, end = 1, start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    arguments = [part.strip() for part in text[start : end - 1].split(",")]
    return sum(bool(argument) and not argument.upper().startswith("OUT ") for argument in arguments)


def _numbers() -> list[tuple[str, Function]]:
    return [
        (service, function)
        for service in _SERVICES
        for function in _functions(service, retired=True)
        if _NUMBERS_OF.match(function.sql)
    ]


def test_nobody_counts_more_than_twelve_parameters() -> None:
    wide = set()
    for service in _SERVICES:
        book = _books(service)
        wide |= {f"{service}.{f.name}" for f in _functions(service) if _parameters(f) > _PARAMETERS_MAX}
        for name in book:
            counted = len(book.parameters(name)) or len(set(re.findall(r"\$\d+", _bare_sql(book[name]))))
            if counted > _PARAMETERS_MAX:
                wide.add(f"{service}.query.{name}")
    assert not wide


def test_parameters_of_queries_have_names() -> None:
    books = [*map(_books, _SERVICES), BOOK]
    numbered = {name for book in books for name in book if re.search(r"\$\d", _bare_sql(book.written(name)))}
    assert not numbered


def test_numbers_with_a_meaning_stand_under_their_names() -> None:
    bare = {service for service in _SERVICES for _, text in _sql_of(service) if _BARE.search(text)}
    assert not bare


@pytest.mark.parametrize(("service", "function"), _numbers(), ids=lambda value: getattr(value, "name", value))
def test_names_of_numbers_are_those_of_the_code(service: str, function: Function) -> None:
    match = _NUMBERS_OF.match(function.sql)
    assert match
    enumeration: type[IntEnum] = getattr(importlib.import_module(match[1]), match[2])
    assert match[1].startswith(f"services.{service}.")
    assert dict(_CASE.findall(function.sql)) == {member.name: str(member.value) for member in enumeration}


@pytest.mark.parametrize("service", _SERVICES)
def test_only_names_of_numbers_that_exist_are_used(service: str) -> None:
    known = {f.name: dict(_CASE.findall(f.sql)) for owner, f in _numbers() if owner == service}
    if not known:
        return
    call = re.compile(rf"\b({'|'.join(known)})\('(\w+)'\)")
    for file in _files(service):
        for enumeration, name in call.findall(_bare_sql(file.read_text(encoding="utf-8"))):
            assert name in known[enumeration], f"{file}: {enumeration}('{name}')"


@pytest.mark.parametrize("service", _SERVICES)
def test_what_is_retired_is_not_called(service: str) -> None:
    retired = {function.name for function in _functions(service, retired=True) if function.retired}
    for name, text in _sql_of(service):
        called = retired & set(re.findall(r"\b(\w+)\(", text))
        assert not called, f"{service}.{name} calls {called}"


# Released before functions had files.
_MIGRATIONS_WITH_FUNCTIONS: Final = {
    ("channel_gateway", 1), ("channel_gateway", 2), ("journey", 1), ("journey", 4), ("journey", 5), ("points", 1),
    ("points", 3), ("points", 4), ("points", 5), ("points", 6), ("segment", 1), ("segment", 2), ("stats", 2),
    ("platform", 1), ("platform", 2), ("platform", 3), ("shared", 1), ("shared", 2),
}  # fmt: skip
_BUILDING_INDEXES_OF_THEM: Final = {("segment", 15)}
"""An index needs its function when it is built, and functions are made after the migrations. The file says the same."""


def test_migrations_make_no_functions_and_drop_them_last() -> None:
    places = [(service, f"services.{service}", "sql/migrations") for service in _SERVICES]
    places += [(name, _COMMON, f"{name}_migrations") for name in ("platform", "shared")]
    making = set()
    for schema, package, directory in places:
        for migration in read_migrations(package, directory):
            text = _bare_sql(migration.sql)
            if re.search(r"RETURNS\s+trigger", text):
                text = (
                    _CREATE.sub("", text)
                    if (schema, migration.number) not in _MIGRATIONS_WITH_FUNCTIONS
                    else text
                )
            if _CREATE.search(text):
                making.add((schema, migration.number))
            elif _DROP.search(text):
                assert migration.name.startswith("post_"), f"{schema}/{migration.number:04d} drops a function"
    assert making == _MIGRATIONS_WITH_FUNCTIONS | _BUILDING_INDEXES_OF_THEM
