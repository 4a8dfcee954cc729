"""Tables as spreadsheets write them."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.tables import (
    BREAKS_MAX,
    LINE_LENGTH_MAX,
    Encoding,
    EncodingFinder,
    Line,
    TableReader,
    cell_text,
    is_mangled,
    read_table,
)

TEXT = "會員編號,姓名\nM1,陳怡君\n"
ENCODED = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "Big5 of Taiwan": lambda text: text.encode("cp950"),
    "Big5 of Hong Kong": lambda text: text.encode("big5hkscs"),
    "UTF-16 LE": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 LE without mark": lambda text: text.encode("utf-16-le"),
    "UTF-16 BE without mark": lambda text: text.encode("utf-16-be"),
}


def cells_of(content: bytes) -> list[list[str]]:
    return [line.cells for line in read_table(content)]


@pytest.mark.rule("S-06d", "P-10d")
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ENCODED)
def test_a_table_is_read_in_every_encoding_and_separator_that_spreadsheets_save(
    encoding: str, separator: str
) -> None:
    text = TEXT.replace(",", separator)
    assert cells_of(ENCODED[encoding](text)) == [["會員編號", "姓名"], ["M1", "陳怡君"]]


def test_a_character_of_hong_kong_is_read() -> None:
    assert cells_of("姓名\n陳啲\n".encode("big5hkscs")) == [["姓名"], ["陳啲"]]


def in_parts(content: bytes, borders: list[int]) -> list[Line]:
    """The lines of a file that comes in parts with these borders, read anew from the middle after each part."""
    ends = sorted({*(border % (len(content) + 1) for border in borders), 0, len(content)})
    parts = [content[start:end] for start, end in pairwise(ends)]
    finder = EncodingFinder()
    for part in parts:
        finder.feed(part)
    encoding = finder.found(whole=True)
    lines: list[Line] = []
    reader = TableReader(encoding)
    for index, part in enumerate(parts):
        skip = encoding.mark_length if index == 0 else 0
        if skip > len(part):
            return list(read_table(content))  # a part that is smaller than the mark
        found = list(reader.feed(part[skip:]))
        lines += found
        if found:
            at = found[-1].end_byte
            reader = TableReader(encoding, separator=reader.separator, byte=at, number=found[-1].next_number)
            lines += reader.feed(content[at : ends[index + 1]])
    return lines + list(reader.end())


CELLS = st.text(st.sampled_from('ab陳啲😀",;\t\r\n\0é '), max_size=8)
FILES = st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=8)


@pytest.mark.rule("S-06d")
@given(FILES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]), st.lists(st.integers(0, 10**6)))
def test_parts_at_any_border_give_the_same_lines(
    rows: list[list[str]], name: str, borders: list[int]
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    content = (b"\xfe\xff" if name == "utf-16-be" else b"") + out.getvalue().encode(name)
    lines = in_parts(content, borders)
    assert lines == list(read_table(content))
    assert [line.cells for line in lines] == [
        row for row in [["a", "b", "c"], *rows] if any(cell.strip() for cell in row)
    ]


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", "陳".encode("cp950")]),
    st.lists(st.integers(0, 200), max_size=4),
)
@example(b"\r", b"", [])
@example(b'"a\nb', b"", [2])
def test_whatever_the_bytes_are_they_are_lines(content: bytes, mark: bytes, borders: list[int]) -> None:
    lines = list(read_table(mark + content))
    numbers = [line.number for line in lines]
    assert numbers == sorted(set(numbers))
    assert all(line.end_byte <= len(mark + content) for line in lines)
    assert in_parts(mark + content, borders) == lines


def test_a_quote_that_is_never_closed_is_the_fault_of_its_line() -> None:
    lines = list(read_table(b'a,b\n1,"never\n2,"x"\n3,y\n'))
    assert [(line.number, line.broken, line.cells) for line in lines] == [
        (1, False, ["a", "b"]),
        (2, True, ['1,"never']),
        (3, False, ["2", "x"]),
        (4, False, ["3", "y"]),
    ]


@pytest.mark.parametrize(
    "middle",
    [
        b"x" * (LINE_LENGTH_MAX + 1) + b"\n",
        b'"' + b"x" * (LINE_LENGTH_MAX + 1) + b'"\n',
        b'"y\n' * 1,
        b'"' + b"\n" * (BREAKS_MAX + 1) + b'z"\n',
    ],
    ids=["no quote", "quoted", "left open", "too many breaks"],
)
def test_what_is_wider_than_a_line_may_be_spoils_no_other(middle: bytes) -> None:
    content = b"a,b\n" + middle + b"1,2\n"
    assert [line.cells for line in read_table(content) if not line.broken][-1] == ["1", "2"]
    broken = [line.number for line in read_table(content) if line.broken]
    assert broken[0] == 2
    assert in_parts(content, list(range(0, len(content), 40_000))) == list(read_table(content))


def test_what_is_kept_of_a_line_without_end_is_bounded() -> None:
    reader = TableReader(Encoding("utf-8"))
    for _ in range(50):
        assert not list(reader.feed(b"x" * LINE_LENGTH_MAX))
        assert len(reader._rest) <= 2 * LINE_LENGTH_MAX
    (line,) = reader.end()
    assert (line.broken, line.end_byte) == (True, 50 * LINE_LENGTH_MAX)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_separated_as_the_heading_is(separator: str) -> None:
    text = (
        separator.join(('"a,;\t,;\t,;\tb"', "c", "d"))
        + "\n"
        + separator.join(("1", '"2,;\t"', "3,5;6\t7"[:1]))
    )
    assert cells_of(text.encode()) == [["a,;\t,;\t,;\tb", "c", "d"], ["1", "2,;\t", "3"]]


@pytest.mark.parametrize("said", ["sep=;", "SEP=;", '"sep=;"'])
def test_a_first_line_that_is_for_the_spreadsheet_alone_says_the_separator(said: str) -> None:
    content = f"{said}\r\na,b;c\r\n1;2\r\n".encode()
    assert [(line.number, line.cells) for line in read_table(content)] == [(2, ["a,b", "c"]), (3, ["1", "2"])]
    assert in_parts(content, list(range(0, len(content), 3))) == list(read_table(content))


def test_a_zero_in_a_text_is_no_sign_of_utf_16() -> None:
    assert cells_of(b"a,b\n1\0,2\n3,4\n") == [["a", "b"], ["1\0", "2"], ["3", "4"]]


def test_a_heading_of_one_column_is_a_table() -> None:
    assert cells_of(b"Phone\r\n0912345678\r\n") == [["Phone"], ["0912345678"]]


def test_lines_end_as_on_an_old_macintosh_too() -> None:
    assert [(line.number, line.cells) for line in read_table(b"a,b\r1,2\r\r3,4")] == [
        (1, ["a", "b"]),
        (2, ["1", "2"]),
        (4, ["3", "4"]),
    ]


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
