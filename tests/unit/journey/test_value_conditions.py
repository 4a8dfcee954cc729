"""Conditions on the new value of an attribute, compared by its type."""

from __future__ import annotations

import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_pb2, trigger_pb2
from omnijourney.segment.v1 import audience_pb2 as a
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import model as d
from services.journey.domain.values import meets

TEXT, NUMBER, DATE, BOOLEAN = AttributeType


def trigger_of(**value: object) -> d.AttributeTrigger:
    condition = trigger_pb2.ValueCondition(**value)  # type: ignore[arg-type]
    changed = trigger_pb2.AttributeChanged(keys=["k"], value=condition)
    sent = journey_pb2.Definition(name="J", trigger=trigger_pb2.Trigger(attribute_changed=changed))
    definition = definition_from(sent, FieldCheck())
    assert definition.draft is None
    assert definition_message(definition) == sent
    assert isinstance(definition.trigger, d.AttributeTrigger)
    return definition.trigger


def number(operator: int, value: str, upper: str = "") -> a.NumberTest:
    return a.NumberTest(operator=a.CompareOperator.ValueType(operator), value=value, upper=upper)


@pytest.mark.parametrize(
    ("written", "kind", "value", "met"),
    [
        ("10000.0", NUMBER, "10000", True),
        ("010000", NUMBER, "10000", True),
        ("1e4", NUMBER, "10000", False),
        ("ＧＯＬＤ", TEXT, "Gold", True),
        ("true", BOOLEAN, "true", True),
        ("2026-03-01", DATE, "2026-03-01", True),
        ("2026-3-1", DATE, "2026-03-01", False),
    ],
)
def test_one_of_several_values_is_compared_as_a_value_of_the_type(
    written: str, kind: AttributeType, value: str, met: bool
) -> None:
    assert meets(trigger_of(any_of=["other", written]), kind, value) is met


@pytest.mark.parametrize(
    ("test", "kind", "met", "unmet"),
    [
        (
            {"number": number(a.COMPARE_OPERATOR_GREATER_OR_EQUAL, "10000")},
            NUMBER,
            ["10000", "10000.01"],
            ["9999.99", "-1"],
        ),
        ({"number": number(a.COMPARE_OPERATOR_BETWEEN, "1.50", "9")}, NUMBER, ["1.5", "9"], ["1.49", "9.01"]),
        (
            {"text": a.TextTest(operator=a.TEXT_OPERATOR_STARTS_WITH, values=["Gold"])},
            TEXT,
            ["GOLDEN", "ｇｏｌｄ"],
            ["old gold"],
        ),
        (
            {"date": a.DateTest(operator=a.COMPARE_OPERATOR_LESS, value="2026-03-01")},
            DATE,
            ["2026-02-28"],
            ["2026-03-01"],
        ),
        ({"boolean": a.BooleanTest(value=False)}, BOOLEAN, ["false"], ["true"]),
    ],
)
def test_a_typed_test_is_the_one_of_audiences(
    test: dict[str, object], kind: AttributeType, met: list[str], unmet: list[str]
) -> None:
    trigger = trigger_of(**test)
    assert all(meets(trigger, kind, value) for value in met)
    assert not any(meets(trigger, kind, value) for value in unmet)
    other = TEXT if kind is not TEXT else NUMBER
    assert not meets(trigger, other, met[0]), "the attribute is of another type now"


@pytest.mark.parametrize(
    ("value", "gap"),
    [
        ({"number": number(a.COMPARE_OPERATOR_EQUALS, "much")}, "number.value"),
        ({"number": number(a.COMPARE_OPERATOR_BETWEEN, "9", "1")}, "number.upper"),
        ({"number": number(0, "1")}, "number.operator"),
        ({"text": a.TextTest(operator=a.TEXT_OPERATOR_EQUALS)}, "text.values"),
        ({"date": a.DateTest(operator=a.COMPARE_OPERATOR_EQUALS, value="tomorrow")}, "date.value"),
        ({}, "any_of"),
    ],
)
def test_a_test_that_says_nothing_is_told_with_its_path(value: dict[str, object], gap: str) -> None:
    condition = trigger_pb2.ValueCondition(**value)  # type: ignore[arg-type]
    changed = trigger_pb2.AttributeChanged(keys=["k"], value=condition)
    sent = journey_pb2.Definition(name="J", trigger=trigger_pb2.Trigger(attribute_changed=changed))
    draft = definition_from(sent, FieldCheck()).draft
    assert draft is not None
    assert [field for field, _ in draft.gaps] == [f"trigger.attribute_changed.value.{gap}"]


def test_values_and_a_test_together_are_one_too_many() -> None:
    condition = trigger_pb2.ValueCondition(any_of=["1"], number=number(a.COMPARE_OPERATOR_EQUALS, "1"))
    changed = trigger_pb2.AttributeChanged(keys=["k"], value=condition)
    sent = journey_pb2.Definition(name="J", trigger=trigger_pb2.Trigger(attribute_changed=changed))
    draft = definition_from(sent, FieldCheck()).draft
    assert draft is not None
    assert [field for field, _ in draft.gaps] == ["trigger.attribute_changed.value"]
