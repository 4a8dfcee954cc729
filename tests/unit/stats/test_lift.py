"""The difference that a split made, with its interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stats.domain.lift import Group, Lift, difference


@pytest.mark.rule("J-37d")
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # the examples of Newcombe's paper, method 10
        (Group(70, 56), Group(80, 48), (0.2, 0.0524, 0.3339)),
        (Group(10, 9), Group(10, 3), (0.6, 0.1705, 0.8090)),
        (Group(7, 6), Group(7, 2), (0.5714, 0.0582, 0.8062)),
        (Group(56, 5), Group(29, 0), (0.0893, -0.0381, 0.1926)),
        (Group(10, 0), Group(10, 0), (0.0, -0.2775, 0.2775)),
        (Group(10, 10), Group(10, 0), (1.0, 0.6075, 1.0)),
    ],
)
def test_the_interval_is_that_of_the_literature(
    one: Group, other: Group, expected: tuple[float, float, float]
) -> None:
    found = difference(one, other)
    assert tuple(found) == pytest.approx(expected, abs=0.00006)


@pytest.mark.rule("J-37d", "T-01i")
@pytest.mark.parametrize(("treated", "holdout"), [(Group(), Group(5, 1)), (Group(5, 1), Group())])
def test_a_rate_over_nobody_is_no_difference(treated: Group, holdout: Group) -> None:
    assert Lift("divide", treated, holdout).difference is None


GROUPS = st.integers(1, 10_000).flatmap(lambda n: st.builds(Group, st.just(n), st.integers(0, n)))


@given(GROUPS, GROUPS)
def test_the_difference_lies_in_its_interval_and_turns_with_the_groups(one: Group, other: Group) -> None:
    there, back = difference(one, other), difference(other, one)
    assert -1 - 1e-9 <= there.low <= there.value + 1e-12
    assert there.value - 1e-12 <= there.high <= 1 + 1e-9
    assert (there.value, there.low) == pytest.approx((-back.value, -back.high))
