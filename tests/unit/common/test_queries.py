"""Books of named queries."""

import pytest

from libs.common.db.queries import Numbered, QueryBook, QueryBookError, numbered

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
    with pytest.raises(QueryBookError, match=r"libs\.client/sql/queries does not exist"):
        QueryBook.load("libs.client")
    with pytest.raises(QueryBookError, match="does not exist"):
        QueryBook.load("libs.no_such_package")


def test_named_parameters_are_numbered_in_the_order_of_their_first_appearance() -> None:
    book = QueryBook(
        "book",
        "-- name: page\n-- :size rows\nSELECT * FROM t WHERE team = :team AND id > :after AND t2 = :team LIMIT :size",
    )
    assert book["page"].endswith("WHERE team = $1 AND id > $2 AND t2 = $1 LIMIT $3")
    assert book.parameters("page") == ("team", "after", "size")
    assert book.bind("page", size=9, after="b", team="a") == (book["page"], "a", "b", 9)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a::text, '{}'::uuid[]",
        "SELECT ':not', ':it''s :not' AS \":quoted\"",
        "SELECT a[1:n] -- and :not here\n",
        "SELECT 1 /* nor :here */",
    ],
)
def test_a_colon_that_opens_no_parameter_stays(text: str) -> None:
    assert numbered(text) == Numbered(text, ())


@pytest.mark.parametrize(
    "arguments", [{}, {"team": 1}, {"team": 1, "size": 2, "other": 3}, {"team": 1, "siez": 2}]
)
def test_arguments_that_are_not_the_parameters_are_refused(arguments: dict[str, int]) -> None:
    book = QueryBook("book", "-- name: page\nSELECT :team, :size")
    with pytest.raises(TypeError, match="page takes team, size; given: "):
        book.bind("page", **arguments)


def test_names_and_numbers_in_one_query_are_refused() -> None:
    with pytest.raises(QueryBookError, match="named or numbered, not both"):
        QueryBook("book", "-- name: page\nSELECT :team, $2")


def test_a_book_is_a_folder_of_files_or_one_file() -> None:
    folder = QueryBook.load("services.channel_gateway")
    file = QueryBook.load("services.channel_gateway", "sql/queries/money.sql")
    assert 0 < len(file) < len(folder)
    assert set(file) < set(folder)


def test_a_block_can_be_had_as_it_was_written() -> None:
    book = QueryBook("book", "-- name: piece\na = :value")
    assert book.written("piece") == "/* piece */\na = :value"


def test_a_parameter_may_be_called_name() -> None:
    book = QueryBook("book", "-- name: rename\nUPDATE t SET name = :name")
    assert book.bind("rename", name="new") == (book["rename"], "new")
