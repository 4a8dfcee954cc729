"""What forms send, as values: a text that is none becomes a fault at its field."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from google.protobuf.duration_pb2 import Duration
from multidict import MultiDictProxy

from libs.console.faults import Faults
from libs.console.formats import MICROS
from libs.console.languages import noted
from omnijourney.common.v1.money_pb2 import Money

NO_NUMBER = noted("Enter a whole number.")
NO_AMOUNT = noted("Enter an amount, for example 1000 or 99.50.")
_MICROS_MAX = 10**18
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
"""An amount as pages write it and as people copy it from one."""


class Reader:
    """Reads the fields of one form, and keeps what is wrong with them."""

    def __init__(self, form: MultiDictProxy[str], say: Callable[[str], str]) -> None:
        """`say` gives a sentence in the visitor's language."""
        self._form = form
        self.say = say
        self.faults = Faults()

    @property
    def fields(self) -> MultiDictProxy[str]:
        """All of them as they were sent."""
        return self._form

    def text(self, name: str) -> str:
        """Without blanks around it; empty for none."""
        return str(self._form.get(name, "")).strip()

    def texts(self, name: str) -> list[str]:
        """One a line, or between commas, in order and without what is empty."""
        parts = re.split(r"[\n,，、]", str(self._form.get(name, "")))
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def all(self, name: str) -> list[str]:
        """The values of fields of one name."""
        return [str(value) for value in self._form.getall(name, [])]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self._form.get(name))

    def number(self, name: str, otherwise: int = 0) -> int:
        """A whole number from 0 on; `otherwise` for none."""
        text = self.text(name)
        if not text:
            return otherwise
        if not (text.isascii() and text.isdecimal() and len(text) <= 12):
            self.faults.add(name, self.say(NO_NUMBER))
            return otherwise
        return int(text)

    def money(self, name: str, currency: str) -> Money | None:
        """An amount; None for none."""
        text = self.text(name)
        if not text:
            return None
        try:
            micros = int(Decimal(text.replace(",", "") if _GROUPED.fullmatch(text) else text) * MICROS)
        except (InvalidOperation, ValueError, OverflowError):
            micros = -1
        if not 0 <= micros <= _MICROS_MAX:
            self.faults.add(name, self.say(NO_AMOUNT))
            return None
        return Money(currency_code=currency, amount_micros=micros)

    def span(self, name: str) -> Duration:
        """Of the fields `<name>_days`, `_hours` and `_minutes`."""
        days, hours, minutes = (self.number(f"{name}_{unit}") for unit in ("days", "hours", "minutes"))
        found = Duration()
        found.FromTimedelta(
            timedelta(days=min(days, 100_000), hours=min(hours, 100_000), minutes=min(minutes, 10**7))
        )
        return found
