"""Page tokens."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from libs.common import paging
from libs.common.errors import InvalidArgument
from libs.common.paging import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    fitting,
    page_key,
    page_of,
    page_size,
    page_token,
)

TEAM = UUID(int=7)
KEY = (datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), UUID(int=9))
FORM: type[tuple[datetime, UUID]] = tuple[datetime, UUID]


def test_a_token_gives_its_key_back_to_its_own_listing() -> None:
    token = page_token(KEY, "ListEntries", TEAM, "WEB_ORDER")
    assert page_key(token, FORM, "ListEntries", TEAM, "WEB_ORDER") == KEY
    assert page_key("", FORM, "ListEntries", TEAM, "WEB_ORDER") is None


@pytest.mark.parametrize(
    "arguments",
    [("ListEntries", UUID(int=8), "WEB_ORDER"), ("ListEntries", TEAM), ("Other", TEAM, "WEB_ORDER")],
)
def test_a_token_is_refused_by_another_listing(arguments: tuple[object, ...]) -> None:
    token = page_token(KEY, "ListEntries", TEAM, "WEB_ORDER")
    with pytest.raises(InvalidArgument) as caught:
        page_key(token, FORM, *arguments)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"
    assert [violation.field for violation in caught.value.violations] == ["page_token"]


@given(st.text(max_size=200))
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    if text:
        with pytest.raises(InvalidArgument):
            page_key(text, FORM, TEAM)


def test_a_key_of_another_form_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        page_key(page_token(5, TEAM), FORM, TEAM)


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (1 << 63, int),
        ("a\0", str),
        ((datetime(2026, 1, 1), "shop"), tuple[datetime, str]),  # noqa: DTZ001 - what is refused
        ((datetime(2026, 1, 1, tzinfo=UTC), 1 << 63), tuple[datetime, int]),
    ],
)
def test_a_forged_key_that_no_row_can_have_is_refused(key: object, form: type[object]) -> None:
    with pytest.raises(InvalidArgument):
        page_key(page_token(key, "team"), form, "team")


def test_page_sizes_have_a_default_and_an_end() -> None:
    assert [page_size(0), page_size(7), page_size(10**6)] == [PAGE_SIZE_DEFAULT, 7, PAGE_SIZE_MAX]
    with pytest.raises(InvalidArgument):
        page_size(-1)


def test_one_row_more_than_a_page_shows_gives_the_token_of_the_next() -> None:
    page = page_of([10, 20, 30], 2, lambda row: row, "numbers", TEAM)
    assert page.rows == [10, 20]
    assert page_key(page.next_token, int, "numbers", TEAM) == 20


@pytest.mark.parametrize("rows", [[], [10], [10, 20]])
def test_a_page_that_shows_all_rows_is_the_last(rows: list[int]) -> None:
    assert page_of(rows, 2, lambda row: row, "numbers", TEAM) == (rows, "")


def test_a_page_has_as_many_messages_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 100)
    rows = list(range(5))
    messages = [wrappers_pb2.StringValue(value="x" * size) for size in (40, 40, 40, 400, 1)]
    shown: list[int] = []
    after: int | None = -1
    while after is not None:
        page = page_of([row for row in rows if row > after], 10, lambda row: row, "list")
        some, token = fitting(page, [messages[row] for row in page.rows], lambda row: row, "list")
        assert len(some) in {1, 2}
        shown += page.rows[: len(some)]
        after = page_key(token, int, "list")
    assert shown == rows
