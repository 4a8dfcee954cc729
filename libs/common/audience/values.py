"""Texts of values as people write them in audiences and attributes, by type."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final

from libs.common.audience.expressions import AttributeType

NUMBER_DIGITS_MAX: Final = 30
TEXT_LENGTH_MAX: Final = 2_000
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
"""Form of an attribute's key."""


class ValueFault(ValueError):
    """A text that is no value of the type; the message is fit for a caller's eyes."""


def parse_number(text: str) -> Decimal:
    """A plain decimal, at most 30 digits in all. Raises ValueFault."""
    # A short one has no more digits than it may: they are counted in long ones alone.
    if _NUMBER.fullmatch(text) is None or (
        len(text) > NUMBER_DIGITS_MAX and sum(map(str.isdigit, text)) > NUMBER_DIGITS_MAX
    ):
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


def canonical(kind: AttributeType, text: str) -> str:
    """The one text of a value of the type. Raises ValueFault."""
    match kind:
        case AttributeType.TEXT:
            if not 0 < len(text) <= TEXT_LENGTH_MAX:
                raise ValueFault("must have 1 to 2,000 characters")
            return text
        case AttributeType.NUMBER:
            return _canonical_number(parse_number(text))
        case AttributeType.DATE:
            return parse_date(text).isoformat()
        case AttributeType.BOOLEAN:
            if text not in {"true", "false"}:
                raise ValueFault("must be true or false")
            return text


def _canonical_number(number: Decimal) -> str:
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    digits = (whole.lstrip("0") or "0") + point + fraction
    return digits if digits == "0" else sign + digits
