"""What must hold of any audience and any customer."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    BasicField,
    Expression,
    HasAttribute,
    HasBasic,
    HasTags,
    HasTime,
    Negation,
    Never,
    Subject,
    TagOperator,
    TextOperator,
    TextTest,
)
from libs.common.text import fold
from tests.property.segment.audiences import NOW, ZONES, expressions, predicates, subjects, texts

zones = st.sampled_from(ZONES)
NOBODY = Subject(basics={}, times={})


@pytest.mark.rule("X-06")
@given(predicates, zones)
def test_a_predicate_on_a_missing_value_is_false_and_its_negation_true(
    predicate: Expression, zone: str
) -> None:
    """For those that ask about a value: tags, bindings and points are sets and figures that are never missing."""
    assume(isinstance(predicate, HasAttribute | HasBasic | HasTime))
    assume(not (isinstance(predicate, HasTime) and isinstance(predicate.test, Never)))
    assert not evaluate(predicate, NOBODY, NOW, zone)
    assert evaluate(Negation(predicate), NOBODY, NOW, zone)


@pytest.mark.rule("X-06")
@given(texts, texts, st.sampled_from(TextOperator))
def test_text_is_compared_folded(value: str, text: str, operator: TextOperator) -> None:
    subject = Subject(basics={BasicField.EMAIL: fold(text)}, times={})
    test = HasBasic(BasicField.EMAIL, TextTest(operator, (fold(value),)))
    left, right = fold(value), fold(text)
    expected = {
        TextOperator.EQUALS: left == right,
        TextOperator.NOT_EQUALS: left != right,
        TextOperator.CONTAINS: left in right,
        TextOperator.NOT_CONTAINS: left not in right,
        TextOperator.STARTS_WITH: right.startswith(left),
    }
    assert evaluate(test, subject, NOW, "UTC") == expected[operator]


@given(expressions, subjects, zones)
def test_a_negation_is_the_opposite(expression: Expression, subject: Subject, zone: str) -> None:
    assert evaluate(Negation(expression), subject, NOW, zone) != evaluate(expression, subject, NOW, zone)


@given(st.lists(expressions, min_size=1, max_size=3), subjects, zones)
def test_and_and_or_are_duals(items: list[Expression], subject: Subject, zone: str) -> None:
    turned = AnyOf(tuple(Negation(item) for item in items))
    both = evaluate(AllOf(tuple(items)), subject, NOW, zone), evaluate(turned, subject, NOW, zone)
    assert both[0] != both[1]


@given(st.frozensets(texts.map(fold), min_size=1, max_size=3), subjects)
def test_none_of_is_not_any_of(tags: frozenset[str], subject: Subject) -> None:
    any_of, none_of = HasTags(TagOperator.ANY_OF, tags), HasTags(TagOperator.NONE_OF, tags)
    assert evaluate(any_of, subject, NOW, "UTC") != evaluate(none_of, subject, NOW, "UTC")
