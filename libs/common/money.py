"""Amounts of money: whole micros (millionths of the currency's major unit) inside, decimal text at the edges.

Never a float: 0.1 has no float, and an amount that is off by one part in 10^16 earns another number of points.
"""

import re
from collections.abc import Collection
from decimal import Decimal
from functools import lru_cache
from typing import Final

MICROS_PER_UNIT: Final = 1_000_000
MICROS_MAX: Final = (1 << 63) - 1
"""Amounts are stored as 64-bit integers: about 9.2 * 10^12 units either way."""
AMOUNT_MICROS_MAX: Final = 10**18
"""Of one order, line or refund: 10^12 units, far above any, far below what 64 bits overflow at when summed."""

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,6}))?", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)


class MoneyError(ValueError):
    """A text or number that is no amount; the message says why and is fit for a caller's eyes."""


def parse_micros(text: str) -> int:
    """Micros of a plain decimal such as "12.34" or "-5".

    At most 13 digits before and 6 after the point; no exponent, sign "+", blank, separator or bare point.
    Raises MoneyError.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MoneyError("must be a decimal number such as 12.34, with at most 6 digits after the point")
    sign, whole, fraction = match.groups(default="")
    micros = int(whole) * MICROS_PER_UNIT + int(fraction.ljust(6, "0"))
    return _in_range(-micros if sign else micros)


def micros_of(amount: Decimal) -> int:
    """Micros of an exact decimal. Raises MoneyError when it is not finite, finer than a micro or too large."""
    if not amount.is_finite():
        raise MoneyError("must be a finite number")
    numerator, denominator = amount.as_integer_ratio()
    micros, rest = divmod(numerator * MICROS_PER_UNIT, denominator)
    if rest:
        raise MoneyError("must have at most 6 digits after the point")
    return _in_range(micros)


def decimal_of(micros: int) -> Decimal:
    """The exact amount in major units."""
    return Decimal(micros).scaleb(-6)


def format_micros(micros: int, digits_min: int = 2) -> str:
    """Plain decimal text with at least `digits_min` (0 to 6) digits after the point: 12340000 -> "12.34"."""
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    digits = f"{fraction:06d}".rstrip("0").ljust(digits_min, "0")
    sign = "-" if micros < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def is_currency(code: str) -> bool:
    """Whether `code` has the form of an ISO 4217 code: three capitals."""
    return _CURRENCY.fullmatch(code) is not None


def _in_range(micros: int) -> int:
    if abs(micros) > MICROS_MAX:
        raise MoneyError("is too large an amount")
    return micros


def is_known_currency(code: str) -> bool:
    """Whether ISO 4217 has, or had, the code. For what people set: `NTD`, which they write for TWD, would be another
    currency than that of every order."""
    return is_currency(code) and code in _known_currencies()


@lru_cache(1)
def _known_currencies() -> Collection[str]:
    from babel.core import get_global  # noqa: PLC0415 - read only where currencies are set

    return frozenset(get_global("all_currencies"))
