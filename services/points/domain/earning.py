"""What an amount earns, in exact integers (P-01, P-02)."""

from __future__ import annotations

import msgspec

MICROS = 1_000_000
"""Parts of one: amounts and the formula's two numbers are whole millionths."""

AMOUNT_MICROS_MAX = 10**18
"""Largest amount, 10^12 major units: far above any order, and 2 * a * p stays cheap to multiply."""


class Formula(msgspec.Struct, frozen=True):
    """ "An amount of `amount_micros` earns `points_micros`", both in millionths and above 0."""

    amount_micros: int
    points_micros: int


def earned(amount_micros: int, formula: Formula) -> int:
    """Whole points that an amount earns: amount / A * p, rounded half up, 0 for an amount of 0 or less.

    Only non-negative numbers are ever rounded, so that "half up" has one meaning; refunds are differences of this
    function, never its value for a negative amount.
    """
    if amount_micros <= 0:
        return 0
    numerator = amount_micros * formula.points_micros
    denominator = formula.amount_micros * MICROS
    return (2 * numerator + denominator) // (2 * denominator)


def no_longer_earned(before_micros: int, refund_micros: int, formula: Formula) -> int:
    """Points that an amount earns less once a part of it is given back.

    Summed over any split and order of refunds these differences telescope, so that the sum is exact and never more
    than the whole amount earned (P-06).
    """
    return earned(before_micros, formula) - earned(before_micros - refund_micros, formula)
