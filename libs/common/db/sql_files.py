"""What a package brings for the database: numbered migrations, and functions, a file each.

A migration is applied once and never changes again. A function stands in `<name>.sql` as it is now; a changed one is
applied again. `retired/` beside them holds functions that only the release before still calls.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

RETIRED: Final = "retired"
"""The folder of functions that this release does not call."""

_MIGRATION: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_FUNCTION: Final = re.compile(r"([a-z][a-z0-9_]*)\.sql")
_VERSION: Final = re.compile(r"-- version: ([1-9][0-9]{0,8})\n")
_COMMENT: Final = re.compile(r"--[^\n]*")
_CREATE: Final = re.compile(r"\s*CREATE\s+OR\s+REPLACE\s+FUNCTION\s+(?:platform\.)?(\w+)\s*\(", re.IGNORECASE)
_ANY_CREATE: Final = re.compile(r"^CREATE\b", re.IGNORECASE | re.MULTILINE)


class MigrationError(Exception):
    """The database and this release do not fit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of SQL."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hexadecimal."""
        return _sha256(self.sql)


@dataclass(frozen=True, slots=True)
class Function:
    """One file with a function. `version` grows when a released body changes; a file says nothing of its first."""

    name: str
    version: int
    retired: bool
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hexadecimal."""
        return _sha256(self.sql)


def read_migrations(package: str, directory: str) -> list[Migration]:
    """The migrations in a directory of an importable package, by number.

    Raises MigrationError for a file of another form and for numbers that are not 1, 2, 3, ….
    """
    folder = resources.files(package).joinpath(directory)
    if not folder.is_dir():
        raise MigrationError(f"{package} has no directory {directory}")
    found: list[Migration] = []
    for file in _sql_files(folder):
        match = _MIGRATION.fullmatch(file.name)
        if not match:
            raise MigrationError(f"{package}/{directory}/{file.name} is not named like 0001_what_it_does.sql")
        found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the numbers in {package}/{directory} are not 1, 2, 3, … once each")
    return found


def read_functions(package: str, directory: str) -> list[Function]:
    """The functions in a directory of an importable package and in `retired` below it, by name; none without it.

    Raises MigrationError for a file that is not one `CREATE OR REPLACE FUNCTION` of its own name, and for a name that
    is there twice.
    """
    folder = resources.files(package).joinpath(directory)
    found: dict[str, Function] = {}
    for place, retired in ((folder, False), (folder.joinpath(RETIRED), True)):
        for file in _sql_files(place):
            source = f"{package}/{directory}/{f'{RETIRED}/' if retired else ''}{file.name}"
            function = _function(source, file, retired=retired)
            if function.name in found:
                raise MigrationError(f"{source}: the function is also in {directory} itself")
            found[function.name] = function
    return [found[name] for name in sorted(found)]


def _function(source: str, file: Traversable, *, retired: bool) -> Function:
    sql = file.read_text(encoding="utf-8")
    name = _FUNCTION.fullmatch(file.name)
    created = _CREATE.match(_COMMENT.sub("", sql))
    if not name or not created or created[1] != name[1] or len(_ANY_CREATE.findall(sql)) != 1:
        raise MigrationError(f"{source} is not one CREATE OR REPLACE FUNCTION of the name of the file")
    version = _VERSION.match(sql)
    return Function(name[1], int(version[1]) if version else 1, retired, sql)


def _sql_files(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if file.name.endswith(".sql"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
