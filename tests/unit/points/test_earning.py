"""What an amount earns."""

from __future__ import annotations

import pytest

from services.points.domain.earning import AMOUNT_MICROS_MAX, MICROS, Formula, earned, no_longer_earned


def formula(amount: float, points: float) -> Formula:
    return Formula(round(amount * MICROS), round(points * MICROS))


@pytest.mark.rule("P-02")
@pytest.mark.parametrize(
    ("amount_micros", "rule", "points"),
    [
        (100_000_000, formula(100, 1), 1),
        (150_000_000, formula(100, 1), 2),  # 1.5, the seed's own example
        (149_999_999, formula(100, 1), 1),
        (50_000_000, formula(100, 1), 1),  # 0.5
        (49_999_999, formula(100, 1), 0),
        (250_000_000, formula(100, 1), 3),  # half up, not to even
        (100_000_000, formula(100, 2), 2),
        (25_000_000, formula(100, 2), 1),
        (1_005_000, formula(0.01, 10), 1_005),  # binary floats would say 1004.99…
        (3_000_000, formula(12.5, 2.5), 1),  # 0.6
        (1, formula(0.000001, 1), 1),
        (0, formula(10, 1), 0),
        (-1, formula(10, 1), 0),
        (-150_000_000, formula(100, 1), 0),
        (AMOUNT_MICROS_MAX, formula(1, 1), 10**12),
    ],
)
def test_half_up_and_exact(amount_micros: int, rule: Formula, points: int) -> None:
    assert earned(amount_micros, rule) == points


@pytest.mark.rule("P-02")
@pytest.mark.parametrize(
    ("amount_micros", "digits", "points"),
    [(1_500_000_000, 0, 150), (15_990_000, 2, 2), (15_000_000, 2, 2), (12_345_678, 6, 1), (5_005_000, 3, 1)],
    ids=["yen", "dollars", "half", "six digits", "dinars"],
)
def test_amounts_count_as_they_come_whatever_their_digits(
    amount_micros: int, digits: int, points: int
) -> None:
    assert earned(amount_micros, formula(10, 1)) == points


@pytest.mark.rule("P-06b")
def test_refunds_of_an_order_are_differences_not_roundings() -> None:
    rule, remaining, taken = formula(10, 1), 25 * MICROS, []
    for _ in range(5):
        taken.append(no_longer_earned(remaining, 5 * MICROS, rule))
        remaining -= 5 * MICROS
    assert taken == [1, 0, 1, 0, 1]
    assert sum(taken) == earned(25 * MICROS, rule) == 3
