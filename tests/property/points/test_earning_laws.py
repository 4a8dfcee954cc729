"""Laws of earning, over all amounts and formulas."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.points.domain.earning import AMOUNT_MICROS_MAX, MICROS, Formula, earned, no_longer_earned

micros = st.integers(min_value=1, max_value=AMOUNT_MICROS_MAX)
formulas = st.builds(Formula, micros, micros)


@pytest.mark.rule("P-02")
@given(micros, formulas)
def test_is_the_nearest_whole_point_and_halves_go_up(amount: int, formula: Formula) -> None:
    exact = Fraction(amount, formula.amount_micros) * Fraction(formula.points_micros, MICROS)
    points = earned(amount, formula)
    assert Fraction(-1, 2) < points - exact <= Fraction(1, 2)


@pytest.mark.rule("P-02")
@given(st.integers(max_value=0), formulas)
def test_nothing_and_less_earn_nothing(amount: int, formula: Formula) -> None:
    assert earned(amount, formula) == 0


@given(micros, micros, formulas)
def test_more_never_earns_less(one: int, other: int, formula: Formula) -> None:
    assert earned(min(one, other), formula) <= earned(max(one, other), formula)


@pytest.mark.rule("P-06b")
@given(micros, st.lists(st.integers(0, AMOUNT_MICROS_MAX), max_size=8), formulas)
def test_any_split_of_refunds_takes_back_exactly_what_the_rest_no_longer_earns(
    amount: int, refunds: list[int], formula: Formula
) -> None:
    remaining, taken = amount, 0
    for refund in refunds:
        part = no_longer_earned(remaining, refund, formula)
        assert part >= 0
        taken += part
        remaining -= refund
    assert taken == earned(amount, formula) - earned(remaining, formula)
    assert taken <= earned(amount, formula)
