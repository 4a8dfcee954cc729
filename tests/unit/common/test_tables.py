"""Tables as spreadsheets write them."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.tables import cell_text, is_mangled, lines_of, text_of

TEXT = "會員編號,姓名\nM1,陳怡君\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp950"),
        TEXT.encode("big5hkscs"),
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "Big5 of Taiwan", "Big5 of Hong Kong", "UTF-16 LE", "UTF-16 BE"],
)
def test_a_text_is_read_in_every_encoding_that_spreadsheets_save(content: bytes) -> None:
    assert text_of(content) == TEXT


def test_a_character_of_hong_kong_is_read() -> None:
    assert text_of("姓名\n陳啲\n".encode("big5hkscs")) == "姓名\n陳啲\n"


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]))
def test_whatever_the_bytes_are_they_are_read_or_refused_as_a_table(content: bytes, mark: bytes) -> None:
    text = text_of(mark + content)
    try:
        numbers = [line.number for line in lines_of(text)]
    except csv.Error:
        return
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_separated_as_the_heading_is(separator: str) -> None:
    text = (
        separator.join(('"a,;\t,;\t,;\tb"', "c", "d"))
        + "\n"
        + separator.join(("1", '"2,;\t"', "3,5;6\t7"[:1]))
    )
    assert [line.cells for line in lines_of(text)] == [["a,;\t,;\t,;\tb", "c", "d"], ["1", "2,;\t", "3"]]


def test_a_heading_of_one_column_is_a_table() -> None:
    assert [line.cells for line in lines_of("Phone\r\n0912345678\r\n")] == [["Phone"], ["0912345678"]]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('="0912345678"', "0912345678"),
        ('="say ""hi"""', 'say "hi"'),
        ("'+886912345678", "+886912345678"),
        ("'-20", "-20"),
        ("  M-1\u00a0", "M-1"),
        ("'t Hooft", "'t Hooft"),
        ("=1+1", "=1+1"),
        ("", ""),
    ],
)
def test_a_cell_means_what_was_typed(cell: str, text: str) -> None:
    assert cell_text(cell) == text


@pytest.mark.parametrize(
    ("text", "mangled"),
    [
        ("8.86912E+11", True),
        ("8,86912E+11", True),
        ("8.5e+10", True),
        ("9E+09", True),
        ("886912345678", False),
        ("E+11", False),
        ("M8.5E+10", False),
        ("8.5E10", False),
    ],
)
def test_a_number_that_was_cut_is_known(text: str, mangled: bool) -> None:
    assert is_mangled(text) == mangled
