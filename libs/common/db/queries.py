"""A service's SQL as a book of named queries.

A book is a folder of files, one a noun; a query is a block opened by a line `-- name: load_actors`, and the comment
lines below it say what it does. Parameters have names, `:team_id`; the book numbers them for the driver.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

_NAME: Final = re.compile(r"^-- name: *(\S+) *$", re.MULTILINE)
_NAME_FORM: Final = re.compile(r"[a-z][a-z0-9_]*")
# What may hold a colon without being a parameter comes first: comments, texts, quoted names, casts and slices.
_TOKEN: Final = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|::|(?<=\w):|:(?P<name>[a-z][a-z0-9_]*)|\$(?P<number>[0-9]+)",
    re.DOTALL,
)


class QueryBookError(Exception):
    """A book that cannot be read, or a query that is not in it; found when the service starts."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """SQL as the driver takes it: `$1`, `$2`, … stand for `parameters`, in the order in which each appears first."""

    sql: str
    parameters: tuple[str, ...]


def numbered(sql: str, after: int = 0) -> Numbered:
    """`sql` with its `:name` parameters numbered from `after` + 1 on; one that appears twice keeps its number.

    Raises QueryBookError when `sql` has numbered parameters as well: two ways of counting in one text.
    """
    numbers: dict[str, int] = {}
    positional = False

    def replace(token: re.Match[str]) -> str:
        nonlocal positional
        positional = positional or token["number"] is not None
        if token["name"] is None:
            return token[0]
        return f"${numbers.setdefault(token['name'], len(numbers) + after + 1)}"

    text = _TOKEN.sub(replace, sql)
    if positional and numbers:
        raise QueryBookError(f"parameters are named or numbered, not both: {sql.strip()[:60]!r}")
    return Numbered(text, tuple(numbers))


class QueryBook(Mapping[str, str]):
    """Named queries, read once. `book["load_actors"]` is the SQL text, `book.bind` adds its arguments."""

    def __init__(self, source: str, text: str) -> None:
        """`source` names the file in errors. Raises QueryBookError when `text` has no, empty or doubled blocks."""
        self._source = source
        self._queries: dict[str, Numbered] = {}
        self._written: dict[str, str] = {}
        self._add(source, text)

    @classmethod
    def load(cls, package: str, path: str = "sql/queries") -> "QueryBook":
        """The book at `path` inside an importable package: a folder of `.sql` files, or one such file.

        Raises QueryBookError when it is not there, cannot be read, or has a name in two files.
        """
        source = f"{package}/{path}"
        book = cls(source, "")
        for name, file in _files(package, path):
            book._add(name, file.read_text(encoding="utf-8"))
        return book

    def _add(self, source: str, text: str) -> None:
        for name, body in _blocks(source, text):
            if name in self._queries:
                raise QueryBookError(f"{source} has the query {name} twice")
            # The name stays in the text, so that the server's log and pg_stat_activity show it.
            self._written[name] = f"/* {name} */\n{body}"
            self._queries[name] = numbered(self._written[name])

    def require(self, *names: str) -> None:
        """Raises QueryBookError naming every one of `names` that is not in the book."""
        missing = sorted(set(names) - self._queries.keys())
        if missing:
            raise QueryBookError(f"{self._source} has no query {', '.join(missing)}")

    def bind(self, name: str, /, **arguments: Any) -> tuple[Any, ...]:
        """The query's text and its arguments in the driver's order: `connection.fetch(*book.bind("page", size=9))`.

        Raises TypeError when `arguments` are not exactly the query's parameters, QueryBookError for an unknown query.
        """
        query = self._query(name)
        if len(arguments) != len(query.parameters) or not arguments.keys() >= set(query.parameters):
            raise TypeError(
                f"{name} takes {', '.join(query.parameters) or 'nothing'}; given: {', '.join(arguments) or 'nothing'}"
            )
        return (query.sql, *(arguments[parameter] for parameter in query.parameters))

    def parameters(self, name: str) -> tuple[str, ...]:
        """The names of a query's parameters, in the driver's order. Raises QueryBookError for an unknown query."""
        return self._query(name).parameters

    def written(self, name: str) -> str:
        """A block as the file has it, parameters by name: a piece of a larger query. Raises QueryBookError."""
        self._query(name)
        return self._written[name]

    def __getitem__(self, name: str) -> str:
        """The query's text. Raises QueryBookError when there is none of that name."""
        return self._query(name).sql

    def _query(self, name: str) -> Numbered:
        try:
            return self._queries[name]
        except KeyError:
            raise QueryBookError(f"{self._source} has no query {name}") from None

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the files."""
        return iter(self._queries)

    def __len__(self) -> int:
        """How many queries there are."""
        return len(self._queries)


def _files(package: str, path: str) -> list[tuple[str, Traversable]]:
    """The files of a book with the names that errors give them, in the order of the names."""
    source = f"{package}/{path}"
    try:
        found = resources.files(package).joinpath(path)
    except ModuleNotFoundError as error:
        raise QueryBookError(f"{source} does not exist") from error
    if found.is_file():
        return [(source, found)]
    if not found.is_dir():
        raise QueryBookError(f"{source} does not exist")
    names = sorted(file.name for file in found.iterdir() if file.name.endswith(".sql"))
    return [(f"{source}/{name}", found.joinpath(name)) for name in names]


def _blocks(source: str, text: str) -> Iterator[tuple[str, str]]:
    parts = _NAME.split(text)
    _no_sql_before_first_name(source, parts[0])
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if not _NAME_FORM.fullmatch(name):
            raise QueryBookError(f"{source}: {name!r} is no name of a query")
        if not _has_sql(body):
            raise QueryBookError(f"{source}: the query {name} is empty")
        yield name, body.strip()


def _no_sql_before_first_name(source: str, head: str) -> None:
    if _has_sql(head):
        raise QueryBookError(f"{source} has SQL before its first '-- name:' line")


def _has_sql(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in text.splitlines())
