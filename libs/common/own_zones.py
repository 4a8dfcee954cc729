"""By whose clock a person lives: an IANA time zone as somebody wrote it, or that of their phone's country."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from libs.common.text import fold, trimmed

_KEPT_MAX: Final = 65_536
_MONTHS: Final = range(1, 13)


def zone_named(text: str) -> str:
    """The IANA time zone of this name, in whatever letter case and width; empty if there is none."""
    return _names().get(fold(trimmed(text)), "")


def zone_of_phone(phone: str, at: datetime) -> str:
    """The zone that an E.164 number tells; empty where its country has several clocks and it does not say which.

    Zones whose clocks agree in the year of `at` (London, Jersey) are one clock.
    """
    return _zone_of_phone(phone, at.year) if phone else ""


@lru_cache(_KEPT_MAX)
def _zone_of_phone(phone: str, year: int) -> str:
    try:
        found = time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ""
    zones = [name for text in found if (name := zone_named(text))]
    clocks = {_clock(zone, year) for zone in zones}
    return min(zones) if len(clocks) == 1 else ""


@lru_cache(4_096)
def _clock(zone: str, year: int) -> tuple[timedelta | None, ...]:
    """The offsets of a zone through a year: what tells its clock from others."""
    clock = ZoneInfo(zone)
    return tuple(datetime(year, month, 1, 12, tzinfo=clock).utcoffset() for month in _MONTHS)


@lru_cache(1)
def _names() -> dict[str, str]:
    listed = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    return {fold(name): name for name in listed}
