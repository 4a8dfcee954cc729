"""What decided whether a customer is in an audience, told so that people can read it later. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from libs.common.audience.evaluation import predicate_of
from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    Expression,
    Figure,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    Negation,
    Subject,
)

SEEN_LENGTH_MAX: Final = 200
"""Characters of what was seen: it is kept with each decision."""
_PREDICATES_MAX: Final = 5
_NO_TAGS: Final = "none of them"
_KINDS: Final[dict[type, str]] = {
    HasTags: "tags",
    HasAttribute: "attribute",
    HasBasic: "basic",
    HasTime: "time",
    IsBound: "binding",
    HasPoints: "points",
}


class Decision(NamedTuple):
    """Whether the customer is in the audience, and what decided it: `path: value` of each predicate that did."""

    belongs: bool
    seen: str


Decider = Callable[[Subject], Decision]
"""Decides about customers, one after the other."""


def decide(expression: Expression, subject: Subject, now: datetime, zone: str) -> Decision:
    """What `evaluate` says, and why: of all that had to be true all, of what one was enough for the first."""
    return decider(expression, now, zone)(subject)


def decider(expression: Expression, now: datetime, zone: str) -> Decider:
    """`decide` for many customers: whatever does not depend on the customer is worked out once."""
    if type(expression) in _KINDS:  # one predicate alone, as most are: turns wait for this
        return _of_one(expression, now, zone)
    node = _node(expression, now, zone, "")

    def decided(subject: Subject) -> Decision:
        belongs, leaves = node(subject)
        parts = [f"{path}: {had(subject)}" for path, had in leaves[:_PREDICATES_MAX]]
        return Decision(belongs, "; ".join(parts)[:SEEN_LENGTH_MAX])

    return decided


_Leaves = Sequence[tuple[str, Callable[[Subject], str]]]
"""Predicates by their paths, each with what tells what a customer had."""
_Node = Callable[[Subject], tuple[bool, _Leaves]]


def _of_one(predicate: Expression, now: datetime, zone: str) -> Decider:
    kind, meets, had = _KINDS[type(predicate)], predicate_of(predicate, now, zone), _teller(predicate)

    def decided(subject: Subject) -> Decision:
        return Decision(meets(subject), f"{kind}: {had(subject)}"[:SEEN_LENGTH_MAX])

    return decided


def _node(expression: Expression, now: datetime, zone: str, path: str) -> _Node:
    match expression:
        case AllOf(items):
            nodes = [_node(item, now, zone, f"{path}all_of.items[{i}].") for i, item in enumerate(items)]
            return _list(nodes, enough=False)
        case AnyOf(items):
            nodes = [_node(item, now, zone, f"{path}any_of.items[{i}].") for i, item in enumerate(items)]
            return _list(nodes, enough=True)
        case Negation(item):
            return _met_as(_node(item, now, zone, f"{path}negation."), wanted=False)
        case InAudience(belongs=belongs, inner=inner):
            assert inner is not None, "looked up before anybody is judged"
            return _met_as(_node(inner, now, zone, f"{path}saved_audience."), wanted=belongs)
        case leaf:
            meets = predicate_of(leaf, now, zone)
            leaves = ((path + _KINDS[type(leaf)], _teller(leaf)),)
            return lambda subject: (meets(subject), leaves)


def _met_as(node: _Node, *, wanted: bool) -> _Node:
    def met(subject: Subject) -> tuple[bool, _Leaves]:
        is_met, leaves = node(subject)
        return is_met is wanted, leaves

    return met


def _list(nodes: Sequence[_Node], *, enough: bool) -> _Node:
    """The first of `nodes` that is `enough` decides; otherwise all of them do."""

    def met(subject: Subject) -> tuple[bool, _Leaves]:
        every: list[tuple[str, Callable[[Subject], str]]] = []
        for node in nodes:
            is_met, leaves = node(subject)
            if is_met is enough:
                return enough, leaves
            every += leaves
        return not enough, every

    return met


def _teller(leaf: Expression) -> Callable[[Subject], str]:
    """What a customer had; of basic texts, which name a person, only whether they are set."""
    match leaf:
        case HasTags(_, tags) if len(tags) == 1:
            (tag,) = tags
            return lambda subject: tag if tag in subject.tags else _NO_TAGS
        case HasTags(_, tags):
            return lambda subject: ", ".join(sorted(tags & subject.tags)) or _NO_TAGS
        case HasAttribute(key):
            return lambda subject: (
                f"{key} = {subject.values[key]}" if key in subject.values else f"{key} is not set"
            )
        case HasBasic(field):
            return lambda subject: f"{field.name} {'is set' if field in subject.basics else 'is not set'}"
        case HasTime(field):
            return lambda subject: f"{field.name} {_moment(subject.times.get(field))}"
        case IsBound(_, channel, account):
            return lambda subject: "bound" if (channel, account) in subject.bound else "not bound"
        case HasPoints(Figure.BALANCE):
            return lambda subject: str(subject.points.balance)
        case HasPoints():
            return lambda subject: str(subject.points.cumulative)
        case _:
            raise TypeError(f"no predicate: {leaf!r}")


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "never"
