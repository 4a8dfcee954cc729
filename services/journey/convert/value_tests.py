"""Contract to domain and back: typed conditions on the value of an attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.common.audience.expressions import AttributeType
from libs.common.audience.reading import read_audience
from omnijourney.journey.v1 import trigger_pb2
from omnijourney.segment.v1 import audience_pb2
from services.journey.domain.model import ValueTest

_KINDS: Final = {
    "text": AttributeType.TEXT,
    "number": AttributeType.NUMBER,
    "date": AttributeType.DATE,
    "boolean": AttributeType.BOOLEAN,
}


def value_test_from(
    sent: trigger_pb2.AttributeChanged, path: str, gap: Callable[[str, str], None]
) -> ValueTest | None:
    """The test of the condition at `path`; None without one, and where it has a fault, which `gap` is given."""
    if not sent.HasField("value"):
        return None
    value = sent.value
    name = value.WhichOneof("test")
    if name is None or value.any_of:
        if (name is None) == (not value.any_of):
            gap(path if name else f"{path}.any_of", "needs 1 to 100 values, or one test")
        return None
    faults = _faults(value, name)
    for field, message in faults:
        gap(f"{path}.{field}", message)
    return None if faults else _test_of(value, name)


def _faults(value: trigger_pb2.ValueCondition, name: str) -> list[tuple[str, str]]:
    """What an audience with the same test would have."""
    predicate = audience_pb2.AttributePredicate(key="x", **{name: getattr(value, name)})
    reading = read_audience(audience_pb2.Audience(attribute=predicate))
    return [(fault.path.removeprefix("attribute."), fault.message) for fault in reading.faults]


def _test_of(value: trigger_pb2.ValueCondition, name: str) -> ValueTest:
    kind = _KINDS[name]
    match name:
        case "text":
            return ValueTest(kind, value.text.operator, tuple(value.text.values))
        case "boolean":
            return ValueTest(kind, 0, ("true" if value.boolean.value else "false",))
        case _:
            compared = value.number if name == "number" else value.date
            return ValueTest(kind, compared.operator, (compared.value,), compared.upper)


def add_value_test(message: trigger_pb2.ValueCondition, test: ValueTest) -> None:
    """Writes a test into the contract's condition."""
    match test.kind:
        case AttributeType.TEXT:
            message.text.operator = audience_pb2.TextOperator.ValueType(test.operator)
            message.text.values.extend(test.values)
        case AttributeType.BOOLEAN:
            message.boolean.SetInParent()
            message.boolean.value = test.values == ("true",)
        case kind:
            compared = message.number if kind is AttributeType.NUMBER else message.date
            compared.operator = audience_pb2.CompareOperator.ValueType(test.operator)
            compared.value, compared.upper = test.values[0], test.upper
