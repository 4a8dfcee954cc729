"""Texts of values as people write them in audiences and attributes, by type."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final

NUMBER_DIGITS_MAX: Final = 30
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
"""Form of an attribute's key."""


class ValueFault(ValueError):
    """A text that is no value of the type; the message is fit for a caller's eyes."""


def parse_number(text: str) -> Decimal:
    """A plain decimal, at most 30 digits in all. Raises ValueFault."""
    digits = sum(character.isdigit() for character in text)
    if _NUMBER.fullmatch(text) is None or digits > NUMBER_DIGITS_MAX:
        raise ValueFault("must be a decimal number such as 12.5, of at most 30 digits")
    return Decimal(text)


def parse_date(text: str) -> date:
    """A calendar day `YYYY-MM-DD`. Raises ValueFault."""
    try:
        if _DATE.fullmatch(text) is not None:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueFault("must be a day such as 2026-01-31")
