"""A service's SQL as a book of named queries.

One file, blocks opened by a line `-- name: load_actors`; the comment lines below it say what the parameters are.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: *(\S+) *$", re.MULTILINE)
_NAME_FORM: Final = re.compile(r"[a-z][a-z0-9_]*")


class QueryBookError(Exception):
    """A book that cannot be read, or a query that is not in it; found when the service starts."""


class QueryBook(Mapping[str, str]):
    """Named queries, read once. `book["load_actors"]` is the SQL text."""

    def __init__(self, source: str, text: str) -> None:
        """`source` names the file in errors. Raises QueryBookError when `text` has no, empty or doubled blocks."""
        self._source = source
        self._queries = dict(_blocks(source, text))

    @classmethod
    def load(cls, package: str, path: str = "sql/queries.sql") -> "QueryBook":
        """The book at `path` inside an importable package. Raises QueryBookError."""
        source = f"{package}/{path}"
        try:
            text = resources.files(package).joinpath(path).read_text(encoding="utf-8")
        except (FileNotFoundError, ModuleNotFoundError) as error:
            raise QueryBookError(f"{source} does not exist") from error
        return cls(source, text)

    def require(self, *names: str) -> None:
        """Raises QueryBookError naming every one of `names` that is not in the book."""
        missing = sorted(set(names) - self._queries.keys())
        if missing:
            raise QueryBookError(f"{self._source} has no query {', '.join(missing)}")

    def __getitem__(self, name: str) -> str:
        """The query's text. Raises QueryBookError when there is none of that name."""
        try:
            return self._queries[name]
        except KeyError:
            raise QueryBookError(f"{self._source} has no query {name}") from None

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the file."""
        return iter(self._queries)

    def __len__(self) -> int:
        """How many queries there are."""
        return len(self._queries)


def _blocks(source: str, text: str) -> Iterator[tuple[str, str]]:
    parts = _NAME.split(text)
    _no_sql_before_first_name(source, parts[0])
    seen: set[str] = set()
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if not _NAME_FORM.fullmatch(name):
            raise QueryBookError(f"{source}: {name!r} is no name of a query")
        if name in seen:
            raise QueryBookError(f"{source} has the query {name} twice")
        if not _has_sql(body):
            raise QueryBookError(f"{source}: the query {name} is empty")
        seen.add(name)
        # The name stays in the text, so that the server's log and pg_stat_activity show it.
        yield name, f"/* {name} */\n{body.strip()}"


def _no_sql_before_first_name(source: str, head: str) -> None:
    if _has_sql(head):
        raise QueryBookError(f"{source} has SQL before its first '-- name:' line")


def _has_sql(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in text.splitlines())
