"""Files of contacts: what columns are, and what lines say."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.csv_text import csv_lines
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.ids import new_id
from libs.common.tables import Line, read_table
from services.segment.domain.contact_files import (
    ContactLine,
    FileTerms,
    attribute_text,
    columns_fault,
    columns_of,
    read_line,
    sample,
)
from services.segment.domain.edits import Profile
from services.segment.domain.model import Attribute, IdentityKey

TEAM, ACCOUNT, NOW = new_id(), UUID(int=7), datetime(2026, 1, 1, tzinfo=UTC)
LINE_CHANNEL, WHATSAPP = 1, 2
CITY = Attribute(TEAM, "city", "城市", AttributeType.TEXT, False, 1, NOW, NOW)
OLD = Attribute(TEAM, "old", "Old", AttributeType.TEXT, True, 1, NOW, NOW)

USER = Attribute(TEAM, "user_id", "", AttributeType.TEXT, False, 1, NOW, NOW)


def fields_of(heading: str, given: dict[str, str] | None = None, channel: int = 0) -> list[str]:
    columns = columns_of(Line(1, heading.split(",")), [CITY, OLD, USER], given or {})
    if fault := columns_fault(columns, channel):
        raise InvalidArgument.of(FieldViolation("csv", fault))
    return [column.field for column in columns]


def read(file: str | bytes, channel: int = 0) -> list[ContactLine]:
    heading, *lines = read_table(file.encode() if isinstance(file, str) else file)
    columns = columns_of(heading, [CITY], {})
    terms = FileTerms("TW", channel, ACCOUNT if channel else None, columns, {"city": AttributeType.TEXT})
    return [read_line(line, terms) for line in lines]


@pytest.mark.rule("S-06e")
@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        (
            "Member ID,NAME,phone,E-Mail,Tags,City",
            ["member_id", "name", "phone", "email", "tags", "attributes.city"],
        ),
        (
            "會員編號,姓名,手機號碼,電子郵件,標籤,城市",
            ["member_id", "name", "phone", "email", "tags", "attributes.city"],
        ),
        ("ＰＨＯＮＥ,備註,attributes.city,Old", ["phone", "", "attributes.city", ""]),
        ("member_id,full name,phone_number,e_mail,tags", ["member_id", "name", "phone", "email", "tags"]),
        (
            "＊會員ID,客戶姓名,行動電話,E-mail Address,CITY:",
            ["member_id", "name", "phone", "email", "attributes.city"],
        ),
        ("memberID,user_id,*,", ["member_id", "attributes.user_id", "", ""]),
    ],
)
def test_headings_in_both_languages_say_what_columns_are(heading: str, fields: list[str]) -> None:
    assert fields_of(heading) == fields


@pytest.mark.rule("S-06e")
def test_a_mapping_wins_over_headings() -> None:
    assert fields_of("Phone,Mobile", {"mobile": ""}) == ["phone", ""]
    assert fields_of("手機2,Phone", {"手機2": "phone", "PHONE": ""}) == ["phone", ""]


@pytest.mark.parametrize(
    ("heading", "given", "channel", "fault"),
    [
        ("Phone,Mobile", {}, 0, "more than one column for phone"),
        ("Name,City", {}, 0, "no column that says whom"),
        ("Phone,x", {"x": "attributes.old"}, 0, "'attributes.old' is no field"),
        ("Phone", {"y": "name"}, 0, "no column 'y'"),
        ("Phone,Point Balance", {}, LINE_CHANNEL, "for contacts of WhatsApp only"),
        ("LINE User ID", {}, 0, "of which channel and account"),
        (",".join(["Phone", *map(str, range(200))]), {}, 0, "at most 200 columns"),
    ],
)
def test_a_heading_that_cannot_be_understood_is_refused(
    heading: str, given: dict[str, str], channel: int, fault: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        fields_of(heading, given, channel)
    assert fault in refused.value.violations[0].description


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(range(256)),
        gzip.compress(b"Phone\n0912345678\n" * 9),
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(64),
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        bytes(100),
    ],
    ids=["xlsx", "gz", "xls", "png", "zeros"],
)
def test_what_is_no_text_is_refused_with_the_remedy(content: bytes) -> None:
    with pytest.raises(InvalidArgument) as refused:
        columns_of(next(iter(read_table(content))), (), {})
    assert "save it as CSV" in refused.value.violations[0].description


@pytest.mark.rule("S-06d")
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp950"])
@pytest.mark.parametrize(
    "phone",
    [
        "0912345678",
        "886912345678",
        "+886912345678",
        "912345678",
        '="0912345678"',
        "'+886912345678",
        "0912-345-678",
    ],
)
def test_phones_are_read_as_spreadsheets_leave_them(phone: str, encoding: str, separator: str) -> None:
    (line,) = read(f"姓名{separator}電話\n陳怡君{separator}{phone}\n".encode(encoding))
    assert (line.profile.name, line.profile.phone, line.fault) == ("陳怡君", "+886912345678", "")


@pytest.mark.rule("S-06d")
@pytest.mark.parametrize("column", ["Phone", "Member ID", "City"])
def test_a_number_that_a_spreadsheet_has_cut_is_told_as_such(column: str) -> None:
    (line,) = read(f"Email,{column}\na@x.tw,8.86912E+11\n")
    assert "a spreadsheet has cut the number 8.86912E+11" in line.fault


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("M1,12,,,", "phone: is no phone number"),
        ("M1,,nobody,,", "email: is malformed"),
        ("M1,,,,,x", "more cells than the heading"),
        (f"{'x' * 201},,,,", "member_id: is too long"),
        (f"M1,,,{'x' * 101},", "tags: is too long"),
        (f"M1,,,{';'.join(map(str, range(501)))},", "tags: at most 500"),
        (",,,vip,", "the line names nobody"),
        ("M\0,,,,", "cannot be read as text"),
    ],
)
def test_what_cannot_be_used_is_the_fault_of_its_line(row: str, fault: str) -> None:
    bad, good = read(f"Member ID,Phone,Email,Tags,City\n{row}\nM2\n")
    assert fault in bad.fault
    assert (good.profile, good.fault) == (Profile(member_id="M2"), "")


@pytest.mark.rule("P-10a")
def test_points_are_of_whatsapp_contacts() -> None:
    rows = "0912345678,-50\n0912345678,\n,5\n0912345678,1.5\n"
    rows += "".join(
        f"0912345678,{sign}{'9' * digits}\n" for sign, digits in (("", 20), ("-", 20), ("", 5_000))
    )
    lines = read(f"Phone,Point Balance\n{rows}", WHATSAPP)
    assert [line.points for line in lines] == [-50, *[0] * 6]
    assert ["more points than one change" in line.fault for line in lines[4:]] == [True] * 3
    assert lines[0].profile.identities == (IdentityKey(WHATSAPP, ACCOUNT, "886912345678"),)
    assert "names no WhatsApp contact" in lines[2].fault
    assert "must be a whole number" in lines[3].fault


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2024/3/1", AttributeType.DATE, "2024-03-01"),
        ("TRUE", AttributeType.BOOLEAN, "true"),
        ("否", AttributeType.BOOLEAN, "false"),
        ("1", AttributeType.TEXT, "1"),
        ("maybe", AttributeType.BOOLEAN, "maybe"),
    ],
)
def test_values_are_read_as_spreadsheets_write_them(text: str, kind: AttributeType, value: str) -> None:
    assert attribute_text(text, kind) == value


@pytest.mark.rule("P-10c")
@pytest.mark.parametrize("channel", [0, LINE_CHANNEL, WHATSAPP, 3, 4])
def test_every_sample_is_a_good_file_of_its_channel(channel: int) -> None:
    lines = read(csv_lines(sample(channel, with_points=True)), channel)
    assert [line.fault for line in lines] == ["", ""]
    assert [len(line.profile.tags) for line in lines] == [2, 0]
    assert [line.points for line in lines] == ([50, -20] if channel == WHATSAPP else [0, 0])
    contacts = [key.channel for line in lines for key in line.profile.identities]
    assert contacts == {0: [], WHATSAPP: [WHATSAPP] * 2}.get(channel, [channel])
