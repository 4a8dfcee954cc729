"""What an audience compares a member id, a phone or an e-mail address with, as people type it."""

from __future__ import annotations

import pytest

from libs.common.audience.expressions import BasicField, HasBasic, Negation, TextOperator, TextTest
from libs.common.audience.reading import read_audience
from libs.common.audience.spellings import is_local, localized
from omnijourney.segment.v1 import audience_pb2 as pb

EQUALS, CONTAINS, STARTS_WITH = (
    pb.TEXT_OPERATOR_EQUALS,
    pb.TEXT_OPERATOR_CONTAINS,
    pb.TEXT_OPERATOR_STARTS_WITH,
)
MEMBER_ID, PHONE, EMAIL = pb.BASIC_FIELD_MEMBER_ID, pb.BASIC_FIELD_PHONE, pb.BASIC_FIELD_EMAIL
NUMBER = "+886912345678"


def compared(
    field: pb.BasicField.ValueType, operator: pb.TextOperator.ValueType, text: str, country: str = ""
) -> str:
    """What customers are compared with."""
    test = pb.TextTest(operator=operator, values=[text])
    reading = read_audience(pb.Audience(basic=pb.BasicPredicate(field=field, text=test)))
    assert not reading.faults
    read = localized(reading.expression, country)
    assert isinstance(read, HasBasic)
    assert isinstance(read.test, TextTest)
    return read.test.values[0]


@pytest.mark.rule("S-01c", "S-02")
@pytest.mark.parametrize(
    "text",
    ["0912345678", "0912-345-678", "(0912) 345 678", "912345678", "886912345678", "00886 912 345 678",
     "+886 912 345 678", "\u202a+886912345678\u202c", "０９１２３４５６７８"],
)  # fmt: skip
def test_a_phone_is_compared_as_it_is_kept_however_it_is_typed(text: str) -> None:
    assert compared(PHONE, EQUALS, text, "TW") == NUMBER


@pytest.mark.parametrize(
    ("text", "country", "read"),
    [
        ("0912", "TW", "+886912"),
        ("0912-34", "TW", "+88691234"),
        ("912", "TW", "+886912"),
        ("886912", "TW", "+886912"),
        ("00886 912", "TW", "+886912"),
        ("+886 912", "TW", "+886912"),
        ("9123", "HK", "+8529123"),
        ("0912", "", "0912"),
    ],
)
def test_the_beginning_of_a_phone_is_read_by_the_teams_country(text: str, country: str, read: str) -> None:
    assert compared(PHONE, STARTS_WITH, text, country) == read


@pytest.mark.parametrize(
    ("text", "part"), [("0912-345-678", "912345678"), ("345 678", "345678"), ("0912", "0912")]
)
def test_a_part_of_a_phone_is_looked_for_without_what_stands_between_digits(text: str, part: str) -> None:
    assert compared(PHONE, CONTAINS, text, "TW") == part
    assert part in "0912" + NUMBER


@pytest.mark.parametrize(
    ("field", "operator", "text", "read"),
    [
        (MEMBER_ID, EQUALS, " M\u200b1 ", "m1"),
        (MEMBER_ID, STARTS_WITH, "M\u200b1", "m1"),
        (EMAIL, EQUALS, "mailto:Ann@Example.com", "ann@example.com"),
        (EMAIL, EQUALS, " Ann＠Example．com;", "ann@example.com"),
        (EMAIL, CONTAINS, "@Example\ufeff", "@example"),
    ],
)
def test_other_basic_texts_are_compared_as_they_are_kept(
    field: pb.BasicField.ValueType, operator: pb.TextOperator.ValueType, text: str, read: str
) -> None:
    assert compared(field, operator, text) == read


@pytest.mark.parametrize("text", ["\u200b", " \u2060", ""])
def test_a_value_of_which_nothing_is_seen_is_a_fault(text: str) -> None:
    test = pb.TextTest(operator=EQUALS, values=[text])
    predicate = pb.BasicPredicate(field=MEMBER_ID, text=test)
    [fault] = read_audience(pb.Audience(basic=predicate)).faults
    assert fault.path == "basic.text.values[0]"


def test_only_what_a_country_has_to_read_waits_for_one() -> None:
    local = HasBasic(BasicField.PHONE, TextTest(TextOperator.NOT_EQUALS, ("0912345678", NUMBER)))
    assert is_local(local)
    assert not is_local(HasBasic(BasicField.PHONE, TextTest(TextOperator.EQUALS, (NUMBER,))))
    assert not is_local(HasBasic(BasicField.PHONE, TextTest(TextOperator.CONTAINS, ("0912",))))
    assert not is_local(HasBasic(BasicField.EMAIL, TextTest(TextOperator.EQUALS, ("0912345678",))))
    within = localized(Negation(local), "TW")
    assert within == Negation(HasBasic(BasicField.PHONE, TextTest(TextOperator.NOT_EQUALS, (NUMBER, NUMBER))))
    assert localized(local, "") is local
