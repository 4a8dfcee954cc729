"""What decided whether a customer is in an audience, told so that people can read it later. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from libs.common.audience.evaluation import evaluate
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


def decide(expression: Expression, subject: Subject, now: datetime, zone: str) -> Decision:
    """What `evaluate` says, and why: of all that had to be true all, of what one was enough for the first."""
    kind = _KINDS.get(type(expression))
    if kind is not None:  # one predicate alone, as most are: turns wait for this
        seen = f"{kind}: {_had(expression, subject)}"
        return Decision(evaluate(expression, subject, now, zone), seen[:SEEN_LENGTH_MAX])
    belongs, leaves = _decide(expression, subject, now, zone, "")
    parts = [f"{path}: {_had(leaf, subject)}" for path, leaf in leaves[:_PREDICATES_MAX]]
    return Decision(belongs, "; ".join(parts)[:SEEN_LENGTH_MAX])


_Leaves = list[tuple[str, Expression]]


def _decide(
    expression: Expression, subject: Subject, now: datetime, zone: str, path: str
) -> tuple[bool, _Leaves]:
    match expression:
        case AllOf(items):
            return _decide_list(items, subject, now, zone, f"{path}all_of.items", enough=False)
        case AnyOf(items):
            return _decide_list(items, subject, now, zone, f"{path}any_of.items", enough=True)
        case Negation(item):
            met, leaves = _decide(item, subject, now, zone, f"{path}negation.")
            return not met, leaves
        case InAudience(belongs=belongs, inner=inner):
            assert inner is not None, "looked up before anybody is judged"
            met, leaves = _decide(inner, subject, now, zone, f"{path}saved_audience.")
            return met is belongs, leaves
        case leaf:
            return evaluate(leaf, subject, now, zone), [(path + _KINDS[type(leaf)], leaf)]


def _decide_list(
    items: tuple[Expression, ...], subject: Subject, now: datetime, zone: str, path: str, *, enough: bool
) -> tuple[bool, _Leaves]:
    """The first of `items` that is `enough` decides; otherwise all of them do."""
    every: _Leaves = []
    for index, item in enumerate(items):
        met, leaves = _decide(item, subject, now, zone, f"{path}[{index}].")
        if met is enough:
            return enough, leaves
        every += leaves
    return not enough, every


def _had(leaf: Expression, subject: Subject) -> str:
    """What the customer had; of basic texts, which name a person, only whether they are set."""
    match leaf:
        case HasTags(_, tags):
            return ", ".join(sorted(tags & subject.tags)) or "none of them"
        case HasAttribute(key):
            return f"{key} = {subject.values[key]}" if key in subject.values else f"{key} is not set"
        case HasBasic(field):
            return f"{field.name} {'is set' if field in subject.basics else 'is not set'}"
        case HasTime(field):
            at = subject.times.get(field)
            return f"{field.name} {at.isoformat(timespec='seconds') if at else 'never'}"
        case IsBound(_, channel, account):
            return "bound" if (channel, account) in subject.bound else "not bound"
        case HasPoints(figure):
            points = subject.points
            return str(points.balance if figure == Figure.BALANCE else points.cumulative)
        case _:
            raise TypeError(f"no predicate: {leaf!r}")
