"""Does an attribute's new value meet the condition of a trigger? Compared by type, as audiences compare."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from libs.common.audience import expressions as e
from libs.common.audience.evaluation import meets_value
from libs.common.audience.values import ValueFault, canonical
from libs.common.kept_by_size import characters, kept_by_size
from libs.common.text import fold
from services.journey.domain.model import AttributeTrigger, ValueTest


def meets(trigger: AttributeTrigger, kind: int, value: str) -> bool:
    """True if the canonical text `value` of an attribute of type `kind` meets the trigger's condition."""
    if trigger.test is not None:
        if trigger.test.kind != kind:
            return False
        return meets_value(
            expression_of(trigger.test), fold(value) if kind == e.AttributeType.TEXT else value
        )
    if not trigger.any_of:
        return True
    return (fold(value) if kind == e.AttributeType.TEXT else value) in _any_of((trigger.any_of, kind))


@kept_by_size(lambda asked: characters(asked[0]), small_kept=1_024)
def _any_of(asked: tuple[tuple[str, ...], int]) -> frozenset[str]:
    """The values (texts, type) as they are compared; what is no value of the type is none."""
    texts, kind = asked
    found: set[str] = set()
    for text in texts:
        if kind == e.AttributeType.TEXT:
            found.add(fold(text))
            continue
        try:
            found.add(canonical(e.AttributeType(kind), text))
        except ValueFault:
            continue
    return frozenset(found)


@kept_by_size(lambda test: characters(test.values), small_kept=1_024)
def expression_of(test: ValueTest) -> e.AttributeTest:
    """The test as audiences have it."""
    value, upper = test.values[0] if test.values else "", test.upper
    match test.kind:
        case e.AttributeType.TEXT:
            return e.TextTest(e.TextOperator(test.operator), tuple(map(fold, test.values)))
        case e.AttributeType.NUMBER:
            operator = e.CompareOperator(test.operator)
            return e.NumberTest(operator, Decimal(value), Decimal(upper) if upper else None)
        case e.AttributeType.DATE:
            operator = e.CompareOperator(test.operator)
            return e.DateTest(
                operator, date.fromisoformat(value), date.fromisoformat(upper) if upper else None
            )
        case e.AttributeType.BOOLEAN:
            return e.BooleanTest(value == "true")
