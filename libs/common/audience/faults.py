"""What is wrong with an audience: attributes that cannot be asked for, modules that the team lacks."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.audience.expressions import (
    AttributeType,
    BooleanTest,
    DateTest,
    Expression,
    HasAttribute,
    HasPoints,
    NumberTest,
    TextTest,
    predicates,
)


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with an audience."""

    path: str
    reason: str
    """Name of an `ErrorReason`."""
    message: str


_TYPE_OF_TEST: Final[dict[type, AttributeType]] = {
    TextTest: AttributeType.TEXT,
    NumberTest: AttributeType.NUMBER,
    DateTest: AttributeType.DATE,
    BooleanTest: AttributeType.BOOLEAN,
}


def attribute_faults(expression: Expression, usable: dict[str, AttributeType]) -> list[Fault]:
    """Attributes that the audience names and that are missing, archived or of another type.

    `usable` are the team's active attributes with their types.
    """
    faults: list[Fault] = []
    for item in predicates(expression):
        if not isinstance(item, HasAttribute):
            continue
        wanted = _TYPE_OF_TEST.get(type(item.test))
        if item.key not in usable:
            message = f"the attribute {item.key} is missing or archived"
            faults.append(Fault(f"{item.path}.key", "ATTRIBUTE_UNAVAILABLE", message))
        elif wanted is not None and usable[item.key] != wanted:
            message = f"the attribute {item.key} has the type {usable[item.key].name}"
            faults.append(Fault(item.path, "ATTRIBUTE_UNAVAILABLE", message))
    return faults


def module_faults(expression: Expression, *, has_points: bool) -> list[Fault]:
    """Predicates on points of a team without the module."""
    if has_points:
        return []
    message = "the team lacks the module POINTS"
    return [
        Fault(item.path, "MODULE_MISSING", message)
        for item in predicates(expression)
        if isinstance(item, HasPoints)
    ]
