"""Dates, numbers and amounts as people write them, in the team's zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.common.v1.money_pb2 import Money

NOTHING: Final = "–"
MICROS: Final = 1_000_000
_FIELD: Final = "%Y-%m-%dT%H:%M"


def zone_of(name: str) -> ZoneInfo:
    """The zone of a team; UTC where the name is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


class Formats:
    """For one language and one zone."""

    def __init__(self, locale: Locale, zone: ZoneInfo) -> None:
        """As the visitor reads, and as the team lives."""
        self._locale = locale
        self.zone: Final = zone

    def moment(self, at: Timestamp | None) -> str:
        """A day and a minute of the team's zone; a dash for none."""
        if at is None or not (at.seconds or at.nanos):
            return NOTHING
        return str(format_datetime(self._local(at), self._pattern("y/MM/dd HH:mm:ss"), locale=self._locale))

    def day(self, at: Timestamp | None) -> str:
        """A day of the team's zone; a dash for none."""
        if at is None or not (at.seconds or at.nanos):
            return NOTHING
        return str(format_date(self._local(at).date(), self._pattern("y/MM/dd"), locale=self._locale))

    def number(self, value: float | None) -> str:
        """With the marks of thousands; a dash for none."""
        return NOTHING if value is None else str(format_decimal(value, locale=self._locale))

    def percent(self, value: float | None) -> str:
        """Of a share, 0 to 1, with one decimal; a dash for none."""
        if value is None:
            return NOTHING
        return str(format_percent(value, "#,##0.0%", locale=self._locale))

    def money(self, amount: Money | None) -> str:
        """With its currency; a dash for none."""
        if amount is None or not amount.currency_code:
            return NOTHING
        said = str(format_currency(amount.amount_micros / MICROS, amount.currency_code, locale=self._locale))
        # Taiwan's own dollar is a mere $ there, which beside Hong Kong's and others' says too little.
        return said.replace("$", "NT$") if amount.currency_code == "TWD" and "NT$" not in said else said

    def field(self, at: Timestamp | None) -> str:
        """A moment as `<input type="datetime-local">` has it; empty for none."""
        return "" if at is None or not at.seconds else self._local(at).strftime(_FIELD)

    def read_field(self, text: str) -> Timestamp | None:
        """What such an input sent; None for nothing. Raises ValueError for what is no moment."""
        if not text.strip():
            return None
        at = Timestamp()
        at.FromDatetime(datetime.fromisoformat(text.strip()).replace(tzinfo=self.zone))
        return at

    def _pattern(self, chinese: str) -> str:
        """Tables of Taiwan write 2026/11/30 19:00; the library spells it out, with a word for the time of day."""
        return chinese if self._locale.language == "zh" else "medium"

    def _local(self, at: Timestamp) -> datetime:
        return at.ToDatetime(tzinfo=self.zone)


def parts_of(span: Duration) -> tuple[int, int, int]:
    """Days, hours and minutes of a span."""
    whole = timedelta(seconds=span.seconds)
    hours, rest = divmod(whole.seconds, 3600)
    return whole.days, hours, rest // 60
