"""Saved audiences that audiences name: looked up, and held to the bounds of what they are together. Pure.

A saved audience is put in the place of the predicate that names it when somebody is judged, never when it is saved: so
a change of it holds at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from libs.common.audience.expressions import (
    DEPTH_MAX,
    PREDICATES_MAX,
    AllOf,
    AnyOf,
    Expression,
    InAudience,
    Negation,
    predicates,
)
from libs.common.audience.faults import Fault

_ENDLESS: Final = 1 << 30
"""Depth and predicates of what names itself."""


class Size(NamedTuple):
    """Of an audience with all that it names in the places of the predicates that name it."""

    depth: int
    predicates: int


def named_audiences(expression: Expression) -> set[str]:
    """The saved audiences that an audience names itself."""
    return {item.audience_id for item in predicates(expression) if isinstance(item, InAudience)}


def expanded(expression: Expression, saved: Mapping[str, Expression]) -> Expression:
    """The audience with those of `saved` in their places, and those that they name in turn. What is not there, or would
    be nested deeper than DEPTH_MAX, stays as it is: `membership_faults` says so."""
    return _expanded(expression, saved, 1)


def _expanded(expression: Expression, saved: Mapping[str, Expression], depth: int) -> Expression:
    match expression:
        case AllOf(items):
            return AllOf(tuple(_expanded(item, saved, depth + 1) for item in items))
        case AnyOf(items):
            return AnyOf(tuple(_expanded(item, saved, depth + 1) for item in items))
        case Negation(item):
            return Negation(_expanded(item, saved, depth + 1))
        case InAudience(audience_id=audience_id) if audience_id in saved and depth < DEPTH_MAX:
            inner = _expanded(saved[audience_id], saved, depth + 1)
            return msgspec.structs.replace(expression, inner=inner)
        case _:
            return expression


def membership_faults(expression: Expression) -> list[Fault]:
    """Saved audiences that an expanded audience names, itself or through others, and that are not there."""
    return [
        Fault(item.path if item is place else place.path, "RESOURCE_NOT_FOUND", _missing(item.audience_id))
        for place in _memberships(expression)
        for item in predicates(place)
        if isinstance(item, InAudience)
    ]


def _missing(audience_id: str) -> str:
    return f"there is no saved audience {audience_id}"


def _memberships(expression: Expression) -> Iterator[InAudience]:
    match expression:
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from _memberships(item)
        case Negation(item):
            yield from _memberships(item)
        case InAudience():
            yield expression
        case _:
            pass


def size_faults(expression: Expression, saved: Mapping[str, Expression]) -> list[Fault]:
    """What an audience that is to be saved, or to be used, is too large for with all that it names; and that it names
    itself, be it through others. `expression` is not expanded, `saved` are all that it reaches."""
    sizes: dict[str, Size] = {}
    faults: list[Fault] = []
    for place in _memberships(expression):
        if _size(place, saved, sizes, ()).depth >= _ENDLESS:
            message = "names a saved audience that names itself, be it through others"
            faults.append(Fault(f"{place.path}.saved_audience_id", "AUDIENCE_INVALID", message))
    if faults:
        return faults
    depth, count = _size(expression, saved, sizes, ())
    if depth > DEPTH_MAX:
        faults.append(_too_large(f"is nested {depth} deep with", DEPTH_MAX))
    if count > PREDICATES_MAX:
        faults.append(_too_large(f"has {count} predicates with those of", PREDICATES_MAX))
    return faults


def _too_large(what: str, most: int) -> Fault:
    message = f"{what} the saved audiences that it names; at most {most} are allowed"
    return Fault("", "AUDIENCE_INVALID", message)


def _size(
    expression: Expression, saved: Mapping[str, Expression], sizes: dict[str, Size], within: tuple[str, ...]
) -> Size:
    match expression:
        case AllOf(items) | AnyOf(items):
            found = [_size(item, saved, sizes, within) for item in items]
            deepest = max((each.depth for each in found), default=0)
            return Size(_bounded(deepest + 1), _bounded(sum(each.predicates for each in found)))
        case Negation(item):
            depth, count = _size(item, saved, sizes, within)
            return Size(_bounded(depth + 1), count)
        case InAudience(audience_id=audience_id) if audience_id in within:
            return Size(_ENDLESS, _ENDLESS)
        case InAudience(audience_id=audience_id) if audience_id in saved:
            if audience_id not in sizes:
                sizes[audience_id] = _size(saved[audience_id], saved, sizes, (*within, audience_id))
            depth, count = sizes[audience_id]
            return Size(_bounded(depth + 1), count)
        case _:
            return Size(1, 1)


def _bounded(number: int) -> int:
    return min(number, _ENDLESS)
