"""Books of named queries."""

import pytest

from libs.common.db.queries import QueryBook, QueryBookError

TEXT = """-- A service's queries.

-- name: load_actors
-- $1 customers
SELECT 1;

-- name: store_actors
UPDATE actor SET a = 1
 WHERE b = 2
"""


def test_queries_are_found_by_name_and_carry_it() -> None:
    book = QueryBook("points/queries.sql", TEXT)
    assert list(book) == ["load_actors", "store_actors"]
    assert len(book) == 2
    assert book["store_actors"] == "/* store_actors */\nUPDATE actor SET a = 1\n WHERE b = 2"
    book.require("load_actors", "store_actors")


def test_unknown_names_are_told_with_the_file() -> None:
    book = QueryBook("points/queries.sql", TEXT)
    with pytest.raises(QueryBookError, match=r"points/queries\.sql has no query forget"):
        book["forget"]
    with pytest.raises(QueryBookError, match="has no query a, b"):
        book.require("b", "load_actors", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1\n-- name: a\nSELECT 2", "before its first"),
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "twice"),
        ("-- name: a\n-- only a comment\n-- name: b\nSELECT 1", "the query a is empty"),
        ("-- name: Load-Actors\nSELECT 1", "no name"),
    ],
)
def test_faulty_books_are_refused_when_read(text: str, message: str) -> None:
    with pytest.raises(QueryBookError, match=message):
        QueryBook("book", text)


def test_a_missing_book_is_told() -> None:
    with pytest.raises(QueryBookError, match=r"libs\.common/sql/queries\.sql does not exist"):
        QueryBook.load("libs.common")
    with pytest.raises(QueryBookError, match="does not exist"):
        QueryBook.load("libs.no_such_package")
