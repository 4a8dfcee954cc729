"""What is told of an audience agrees with how it is evaluated."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.audience.deciding import SEEN_LENGTH_MAX, decide
from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    Balance,
    BasicField,
    CompareOperator,
    Expression,
    Figure,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    IsSet,
    Negation,
    Subject,
    TagOperator,
)
from tests.property.segment.audiences import NOW, ZONES, expressions, predicates, subjects

VIP = HasTags(TagOperator.ANY_OF, frozenset({"vip", "gold"}))
RICH = HasPoints(Figure.BALANCE, CompareOperator.GREATER, 99)
SIZED = HasAttribute("size", IsSet())
MAILED = HasBasic(BasicField.EMAIL, IsSet())
MEI = Subject(
    basics={BasicField.EMAIL: "mei@example.com"}, times={}, tags=frozenset({"vip"}), points=Balance(30, 30)
)


@pytest.mark.rule("S-03b")
@given(expressions | predicates, subjects, st.sampled_from(ZONES))
@example(HasTags(TagOperator.ALL_OF, frozenset({"vip", "gold"})), MEI, "UTC")
@example(HasTags(TagOperator.NONE_OF, frozenset({"vip", "gold"})), MEI, "UTC")
def test_what_is_decided_is_what_is_evaluated_and_something_is_told(
    expression: Expression, subject: Subject, zone: str
) -> None:
    found = decide(expression, subject, NOW, zone)
    assert found.belongs == evaluate(expression, subject, NOW, zone)
    assert 0 < len(found.seen) <= SEEN_LENGTH_MAX


@pytest.mark.rule("J-41a")
@pytest.mark.parametrize(
    ("expression", "seen"),
    [
        (VIP, "tags: vip"),
        (AllOf((VIP, RICH, SIZED)), "all_of.items[1].points: 30"),
        (AllOf((VIP, MAILED)), "all_of.items[0].tags: vip; all_of.items[1].basic: EMAIL is set"),
        (AnyOf((RICH, VIP, MAILED)), "any_of.items[1].tags: vip"),
        (
            Negation(AnyOf((RICH, SIZED))),
            "negation.any_of.items[0].points: 30; negation.any_of.items[1].attribute: size is not set",
        ),
    ],
)
def test_the_predicates_that_decided_are_told_by_their_paths(expression: Expression, seen: str) -> None:
    assert decide(expression, MEI, NOW, "UTC").seen == seen
