"""Phones as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.phones import (
    COUNTRIES,
    E164,
    country_of_zone,
    phone_of_whatsapp,
    read_phone,
    whatsapp_id,
)
from libs.common.text import trimmed


@pytest.mark.parametrize(
    ("country", "written", "kept"),
    [
        ("TW", "0912-345-678", "+886912345678"),
        ("TW", "0912 345 678", "+886912345678"),
        ("TW", "(02) 2345-6789", "+886223456789"),
        ("TW", "912345678", "+886912345678"),
        ("TW", "+886 912 345 679", "+886912345679"),
        ("TW", "+886 (0) 912-345-678", "+886912345678"),
        ("TW", "+8860912345678", "+886912345678"),
        ("TW", "00886912345678", "+886912345678"),
        ("TW", "002 886 912 345 678", "+886912345678"),
        ("TW", "886912345678", "+886912345678"),
        ("TW", "\uff10\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "+886912345678"),
        ("TW", "\u202a+886\u2011912\u2011345\u2011678\u202c", "+886912345678"),
        ("TW", "'+85291234567", "+85291234567"),
        ("TW", " tel:+886-912-345-678 ", "+886912345678"),
        ("TW", "+447700900123", "+447700900123"),
        ("HK", "9123 4567", "+85291234567"),
        ("HK", "886912345678", "+886912345678"),
        ("JP", "090-1234-5678", "+819012345678"),
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "011886912345678", "+886912345678"),
        ("", "+886 912 345 678", "+886912345678"),
        ("", "00886912345678", "+886912345678"),
        ("IT", "+390612345678", "+390612345678"),
        ("MX", "55 1234 5678", "+525512345678"),
        ("TW", "+521 55 1234 5678", "+525512345678"),
        ("TW", "5215512345678", "+525512345678"),
        ("BR", "(11) 98765-4321", "+5511987654321"),
        ("TW", "+551187654321", "+5511987654321"),
        ("TW", "551187654321", "+5511987654321"),
        ("TW", "+551132654321", "+551132654321"),
        ("AR", "011 15-2345-6789", "+5491123456789"),
        ("TW", "+54 11 15 2345-6789", "+5491123456789"),
        ("TW", "+54111523456789", "+5491123456789"),
        ("TW", "0912345678.0", "+886912345678"),
        ("TW", "886912345678.00", "+886912345678"),
        ("TW", "Tel: 0912-345-678", "+886912345678"),
        ("TW", "WhatsApp:+886912345678", "+886912345678"),
        ("TW", "0912\u2027345\u00b7678", "+886912345678"),
        ("TW", "0912_345_678", "+886912345678"),
        ("TW", "\u20190912345678", "+886912345678"),
        ("TW", '"0912345678"', "+886912345678"),
        ("EG", "\u0660\u0661\u0660\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "+201001234567"),
        ("BR", "(11) 8765-4321", "+5511987654321"),
        ("BR", "(11) 3265-4321", "+551132654321"),
        ("MX", "044 55 1234 5678", "+525512345678"),
        ("MX", "01 (55) 1234-5678", "+525512345678"),
        ("TW", "+541143211234", "+541143211234"),
    ],
)
def test_a_number_is_read_as_people_of_the_country_write_it(country: str, written: str, kept: str) -> None:
    assert read_phone(written, country) == kept
    assert read_phone(kept, country) == kept


@pytest.mark.rule("P-03b")
@pytest.mark.parametrize(
    ("external_id", "phone"),
    [
        ("886912345678", "+886912345678"),
        ("5215512345678", "+525512345678"),
        ("551187654321", "+5511987654321"),
        ("5491123456789", "+5491123456789"),
        ("12", None),
        ("TW.1234567890123456789", None),
    ],
)
def test_who_is_known_on_whatsapp_by_a_number_has_it_as_phone(external_id: str, phone: str | None) -> None:
    assert phone_of_whatsapp(external_id) == phone


@pytest.mark.parametrize(
    "written",
    ["", " ", "12345", "x0912345678", "0912345678 or 0912345679", "8.5E+10", "+", "++886912345678", "+999123456789",
     "0" * 65, "call me", "0912345678\x00", "+0912345678", "0912345678.5",
     "0912345678/0987654321", "\u0661\u0662\u0663"],
)  # fmt: skip
def test_what_nobody_can_read_is_no_number(written: str) -> None:
    assert read_phone(written, "TW") is None


@pytest.mark.parametrize(
    ("written", "country", "kept"),
    [
        ("886912345678", "", "886912345678"),
        ("+886912345678", "", "886912345678"),
        ("00886912345678", "", "886912345678"),
        ("0912345678", "TW", "886912345678"),
        ("０９１２３４５６７８", "TW", "886912345678"),
        ("８８６９１２３４５６７８", "", "886912345678"),
        ("5215512345678", "MX", "5215512345678"),
        ("US.13491208655302741918", "TW", "US.13491208655302741918"),
        ("whatsapp:+886912345678", "", "886912345678"),
        ("886912345678@c.us", "", "886912345678"),
        ("+886 912 345 678@s.whatsapp.net", "", "886912345678"),
        ("0912345678", "", None),
        ("012", "TW", None),
    ],
)
def test_a_number_on_whatsapp_has_one_spelling(written: str, country: str, kept: str | None) -> None:
    assert whatsapp_id(written, country) == kept


def test_without_a_country_local_numbers_cannot_be_read() -> None:
    assert read_phone("0912345678", "") is None


def test_countries_are_those_of_the_zones() -> None:
    zones = ("Asia/Taipei", "Asia/Hong_Kong", "Europe/London", "UTC", "Nowhere/None")
    assert [country_of_zone(zone) for zone in zones] == ["TW", "HK", "GB", "", ""]


@given(
    st.text(max_size=70) | st.text("0123456789 +-()./", max_size=20),
    st.sampled_from(["", *sorted(COUNTRIES)]),
)
def test_any_text_is_a_number_that_stays_or_none(text: str, country: str) -> None:
    kept = read_phone(text, country)
    # Some keep a zero behind the calling code, as those of Italy's cities do.
    assert kept is None or (E164.fullmatch(kept) and read_phone(kept, "") == kept)


@given(st.text(max_size=20))
def test_trimming_takes_only_what_nobody_sees(text: str) -> None:
    found = trimmed(text)
    assert found in text
    assert trimmed(found) == found
    assert trimmed(f"\u200b {found}\u00a0\ufeff") == found
