"""By whose clock a person lives."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from libs.common.own_zones import zone_named, zone_of_phone

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def test_every_zone_is_known_by_its_name_in_any_letter_case() -> None:
    names = available_timezones() - {"localtime", "Factory"}
    assert {name for name in names if zone_named(f" {name.upper()} ") != name} == set()


@pytest.mark.parametrize("text", ["", "Taipei", "GMT+8 ", "Asia/Taipei/x", "../etc/passwd", "\0", "+08:00"])
def test_what_names_no_zone_is_none(text: str) -> None:
    assert zone_named(text) == ""


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        ("+886912345678", "Asia/Taipei"),
        ("+85291234567", "Asia/Hong_Kong"),
        ("+819012345678", "Asia/Tokyo"),
        ("+12125550123", "America/New_York"),
        ("+14155552671", "America/Los_Angeles"),
        ("+61412345678", ""),
        ("+79161234567", ""),
        ("+80012345678", ""),
        ("+99999999", ""),
        ("", ""),
        ("0912345678", ""),
    ],
)
def test_a_phone_tells_the_zone_where_its_country_has_one_clock_or_its_number_says_which(
    phone: str, zone: str
) -> None:
    assert zone_of_phone(phone, NOW) == zone


def test_several_zones_with_one_clock_are_one() -> None:
    found = zone_of_phone("+447911123456", NOW)
    for month in range(1, 13):
        at = datetime(2026, month, 15, 12, tzinfo=UTC)
        assert (
            at.astimezone(ZoneInfo(found)).utcoffset() == at.astimezone(ZoneInfo("Europe/London")).utcoffset()
        )
