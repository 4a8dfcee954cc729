"""Files of point changes: what a cell asks, what a file must look like."""

from __future__ import annotations

import pytest

from libs.common.errors import InvalidArgument
from services.points.domain.imports import Fault, Hints, Line, parse_points, read_file, sample


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("50", 50),
        ("+50", 50),
        ("-50", -50),
        (" 7 ", 7),
        ("007", 7),
        ("0", 0),
        ("-0", 0),
        ("", 0),
        ("  ", 0),
        ("\u200b", 0),
        ("\u200b7\ufeff", 7),
        ("1000000000000", 10**12),
        ("1000000000001", Fault.OUT_OF_RANGE),
        ("-1000000000001", Fault.OUT_OF_RANGE),
        ("10.5", Fault.NOT_A_NUMBER),
        ("10.0", Fault.NOT_A_NUMBER),
        ("1,000", Fault.NOT_A_NUMBER),
        ("1e3", Fault.NOT_A_NUMBER),
        ("５０", Fault.NOT_A_NUMBER),
        ("٥٠", Fault.NOT_A_NUMBER),
        ("−5", Fault.NOT_A_NUMBER),
        ("--5", Fault.NOT_A_NUMBER),
        ("+", Fault.NOT_A_NUMBER),
        ("0x10", Fault.NOT_A_NUMBER),
        ("1_000", Fault.NOT_A_NUMBER),
        ("9" * 20, Fault.OUT_OF_RANGE),
        ("-" + "9" * 99, Fault.OUT_OF_RANGE),
    ],
)
def test_a_cell_asks_for_whole_points_in_plain_digits(text: str, points: object) -> None:
    assert parse_points(text) == points


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "heading", ["Point Balance", "POINT BALANCE", " point balance ", "Ｐｏｉｎｔ Balance"]
)
def test_the_heading_is_found_in_any_letter_case_behind_a_byte_order_mark(mark: str, heading: str) -> None:
    file = f"{mark}Name,{heading},member id\r\nAnn,5,M1\r\n".encode()
    assert read_file(file) == [Line(2, Hints(member_id="M1"), "5")]


def test_lines_are_numbered_as_in_the_file() -> None:
    file = 'Member ID,Note,Point Balance\nM1,"two\nlines",1\n\n,,\nM2,,2\nM3,3\nM4,,4,\nM5,,5,x\nM6\n'
    found = [
        (line.row_number, line.hints.member_id, line.points_text, line.fault)
        for line in read_file(file.encode())
    ]
    assert found == [
        (2, "M1", "1", ""),
        (6, "M2", "2", ""),
        (7, "", "", "MALFORMED"),
        (8, "M4", "4", ""),
        (9, "", "", "MALFORMED"),
        (10, "M6", "", ""),
    ]


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    "cell",
    [
        b"a\0b",
        b"\xed\xa0\x80",  # a lone surrogate, as some programs write half of an emoji
        b"\xff",
        b"x" * 1_000_000,
        b'"never closed',
    ],
    ids=["U+0000", "a lone surrogate", "no text", "a huge cell", "a quote that is left open"],
)
@pytest.mark.parametrize("column", ["member", "points"])
def test_a_cell_that_cannot_be_read_is_the_fault_of_its_line(cell: bytes, column: str) -> None:
    bad = cell + b",5" if column == "member" else b"M2," + cell
    lines = read_file(b"Member ID,Point Balance\nM1,1\n" + bad + b"\nM3,3\n")
    found = [(line.hints.member_id, line.points_text, line.fault) for line in lines]
    faults = {fault for _, _, fault in found}
    assert (found[0], found[-1], faults) == (("M1", "1", ""), ("M3", "3", ""), {"", "MALFORMED"})
    assert len(found) == 3
    assert "\0" not in "".join(found[1])


def test_a_cell_that_nobody_asks_for_may_hold_anything() -> None:
    (line,) = read_file(b"Member ID,Name,Point Balance\nM1,\xff\0,1\n")
    assert (line.hints.member_id, line.points_text, line.fault) == ("M1", "1", "")


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (b"", "is empty"),
        (b"\n,\n", "is empty"),
        (b"Member ID,Points\n", "has no column Point Balance"),
        (b"Name,Point Balance\n", "has none of the columns Member ID, Email, Phone"),
        (b"Email,Point Balance,point balance\n", "has the column Point Balance more than once"),
        (b"Email,Point Balance\n\xff,1\n", "must be UTF-8, UTF-16 or Big5; byte 20 is not"),
        (b"Email,Point Balance\n\x00,1\n", "must not hold the character U+0000"),
        (b'Email,"Point Balance\n"a"b,1\n', "has a heading that is too long, or whose quotes are not closed"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(file: bytes, fault: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_file(file)
    assert [(violation.field, violation.description) for violation in caught.value.violations] == [
        ("csv", fault)
    ]


@pytest.mark.rule("P-10d")
def test_marks_that_nobody_sees_make_no_other_column_or_person() -> None:
    heading = "\ufeff\u200bMember\u00a0ID,Email\u2060,Point\u00a0Balance\u200b\n"
    file = heading + " M\u200b-1\u202c,ann@\u2060x.tw,\u200b50\u00a0\n"
    (line,) = read_file(file.encode())
    assert (line.hints, line.points_text, line.fault) == (Hints("M-1", "ann@x.tw"), "50", "")


def test_the_sample_is_a_good_file() -> None:
    lines = read_file("\n".join(",".join(cells) for cells in sample()).encode())
    assert [(line.fault, parse_points(line.points_text)) for line in lines] == [("", 50), ("", -20), ("", 0)]


@pytest.mark.rule("P-10d")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp950", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_file_is_read_as_spreadsheets_of_the_country_write_it(
    encoding: str, separator: str, ending: str
) -> None:
    table = [
        ["會員編號", "電子郵件", "手機", "姓名", "點數餘額"],
        ["會員一", "", "", "陳怡君", "50"],
        ["", "", '="0912345678"', "", "-20"],
        ["", "", "'+886912345678", "林", "'-5"],
        ["M-2", "", "8.86912E+11", "", "5"],
        ["", "", "8.86912E+11", "", "5"],
        ["M-3", "", "", "王"],
    ]
    file = "".join(separator.join(cells) + ending for cells in table).encode(encoding)
    found = [(line.hints, line.points_text, line.fault) for line in read_file(file)]
    assert found == [
        (Hints(member_id="會員一"), "50", ""),
        (Hints(phone="0912345678"), "-20", ""),
        (Hints(phone="+886912345678"), "-5", ""),
        (Hints(member_id="M-2"), "5", ""),
        (Hints(phone="8.86912E+11"), "5", "MANGLED_NUMBER"),
        (Hints(member_id="M-3"), "", ""),
    ]


def test_a_column_is_named_once_in_whatever_language() -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_file("手機,Phone,點數\n0912345678,,5\n".encode())
    assert [each.description for each in caught.value.violations] == ["has the column Phone more than once"]
