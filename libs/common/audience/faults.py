"""What is wrong with an audience: attributes that cannot be asked for, modules that the team lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    AttributeType,
    BooleanTest,
    DateTest,
    Expression,
    HasAttribute,
    HasPoints,
    InAudience,
    Negation,
    NumberTest,
    TextTest,
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


def placed_predicates(expression: Expression, outer: str = "") -> Iterator[tuple[str, Expression]]:
    """As `predicates`; each with the path of the predicate that names the saved audience in which it stands, empty for
    one that stands in the audience itself."""
    match expression:
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from placed_predicates(item, outer)
        case Negation(item):
            yield from placed_predicates(item, outer)
        case InAudience(inner=inner, path=path) if inner is not None:
            yield from placed_predicates(inner, outer or path)
        case _:
            yield outer, expression


def attribute_faults(expression: Expression, usable: dict[str, AttributeType]) -> list[Fault]:
    """Attributes that the audience names and that are missing, archived or of another type.

    `usable` are the team's active attributes with their types.
    """
    faults: list[Fault] = []
    for outer, item in placed_predicates(expression):
        if not isinstance(item, HasAttribute):
            continue
        wanted = _TYPE_OF_TEST.get(type(item.test))
        if item.key not in usable:
            message = f"the attribute {item.key} is missing or archived"
            faults.append(Fault(outer or f"{item.path}.key", "ATTRIBUTE_UNAVAILABLE", message))
        elif wanted is not None and usable[item.key] != wanted:
            message = f"the attribute {item.key} has the type {usable[item.key].name}"
            faults.append(Fault(outer or item.path, "ATTRIBUTE_UNAVAILABLE", message))
    return faults


def module_faults(expression: Expression, *, has_points: bool) -> list[Fault]:
    """Predicates on points of a team without the module."""
    if has_points:
        return []
    message = "the team lacks the module POINTS"
    return [
        Fault(outer or item.path, "MODULE_MISSING", message)
        for outer, item in placed_predicates(expression)
        if isinstance(item, HasPoints)
    ]
