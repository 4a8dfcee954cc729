"""One condition of an audience as fields of a form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from libs.console.languages import noted
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import audience_pb2 as pb
from omnijourney.segment.v1.attribute_pb2 import (
    ATTRIBUTE_TYPE_BOOLEAN,
    ATTRIBUTE_TYPE_DATE,
    ATTRIBUTE_TYPE_NUMBER,
    Attribute,
)

ATTRIBUTE: Final = "attribute:"
"""Stands before the key where a condition is about an attribute."""
_BETWEEN: Final = "between"
_SET: Final = ("set", noted("has a value"))
_COMPARED: Final[Mapping[str, tuple[str, int]]] = {
    "equals": (noted("is"), pb.COMPARE_OPERATOR_EQUALS),
    "not_equals": (noted("is not"), pb.COMPARE_OPERATOR_NOT_EQUALS),
    "less": (noted("is less than"), pb.COMPARE_OPERATOR_LESS),
    "less_or_equal": (noted("is at most"), pb.COMPARE_OPERATOR_LESS_OR_EQUAL),
    "greater": (noted("is more than"), pb.COMPARE_OPERATOR_GREATER),
    "greater_or_equal": (noted("is at least"), pb.COMPARE_OPERATOR_GREATER_OR_EQUAL),
    _BETWEEN: (noted("is from … to …"), pb.COMPARE_OPERATOR_BETWEEN),
}
_TEXTS: Final[Mapping[str, tuple[str, int]]] = {
    "is": (noted("is one of"), pb.TEXT_OPERATOR_EQUALS),
    "is_not": (noted("is none of"), pb.TEXT_OPERATOR_NOT_EQUALS),
    "contains": (noted("contains one of"), pb.TEXT_OPERATOR_CONTAINS),
    "contains_not": (noted("contains none of"), pb.TEXT_OPERATOR_NOT_CONTAINS),
    "starts": (noted("starts with one of"), pb.TEXT_OPERATOR_STARTS_WITH),
}
_TAGS: Final[Mapping[str, tuple[str, int]]] = {
    "any": (noted("at least one of these tags"), pb.TAG_OPERATOR_ANY_OF),
    "all": (noted("all of these tags"), pb.TAG_OPERATOR_ALL_OF),
    "none": (noted("none of these tags"), pb.TAG_OPERATOR_NONE_OF),
}
_WHEN: Final = (
    ("within", noted("within so many last days")),
    ("before", noted("before this day")),
    (_BETWEEN, noted("is from … to …")),
    ("never", noted("never")),
)
_BOUND: Final = (("in", noted("is bound")), ("out", noted("is not bound")))
_MEMBER: Final = (("in", noted("is in it")), ("out", noted("is not in it")))
_BASICS: Final = {
    "member_id": pb.BASIC_FIELD_MEMBER_ID,
    "phone": pb.BASIC_FIELD_PHONE,
    "email": pb.BASIC_FIELD_EMAIL,
}
_TIMES: Final = {
    "customer_time": pb.TIME_FIELD_CUSTOMER_INTERACTED,
    "team_time": pb.TIME_FIELD_TEAM_INTERACTED,
    "marketing_time": pb.TIME_FIELD_MARKETED,
    "checkout_time": pb.TIME_FIELD_CHECKOUT,
}
_FIGURES: Final = {"balance": pb.POINTS_FIGURE_BALANCE, "cumulative": pb.POINTS_FIGURE_CUMULATIVE}
SUBJECTS: Final = (
    ("tags", noted("Tags")),
    ("member_id", noted("Member ID")),
    ("phone", noted("Phone")),
    ("email", noted("Email")),
    ("customer_time", noted("Customer's last interaction")),
    ("team_time", noted("Team's last interaction")),
    ("marketing_time", noted("Team's last marketing")),
    ("checkout_time", noted("Last completed checkout")),
    ("binding", noted("Social identity bound")),
    ("balance", noted("Point balance")),
    ("cumulative", noted("Cumulative points")),
    ("saved", noted("Saved audience")),
)
"""What a condition can be about, besides the team's attributes (`attribute:<key>`)."""
GROUPS: Final = (
    (noted("By basic data"), ("tags", ATTRIBUTE, "member_id", "phone", "email")),
    (noted("By times of interaction"), ("customer_time", "team_time", "marketing_time", "checkout_time")),
    (noted("By binding"), ("binding",)),
    (noted("Loyalty points"), ("balance", "cumulative")),
    (noted("Audiences"), ("saved",)),
)
"""The same under the headings of a choice, `ATTRIBUTE` being all of the team's attributes."""
_INPUTS: Final[Mapping[int, str]] = {
    ATTRIBUTE_TYPE_NUMBER: "number",
    ATTRIBUTE_TYPE_DATE: "date",
    ATTRIBUTE_TYPE_BOOLEAN: "yes_no",
}
NO_NUMBER: Final = noted("Enter a whole number.")
_SEPARATED: Final = re.compile(r"[\n,，、]")

Attributes = Mapping[str, Attribute]
"""Those in use, by key."""


@dataclass(slots=True)
class Condition:
    """What is chosen and typed; empty is what is not yet."""

    subject: str = ""
    operator: str = ""
    value: str = ""
    upper: str = ""
    """The end of a range, or the account of a channel; empty: any."""


def operators_of(subject: str, attributes: Attributes) -> list[tuple[str, str]]:
    """How a subject can be asked about: names and sentences to translate, the usual one first. None of no subject."""
    if subject == "tags":
        return [(name, label) for name, (label, _) in _TAGS.items()]
    if subject in _TIMES:
        return list(_WHEN)
    if subject in {"binding", "saved"}:
        return list(_BOUND if subject == "binding" else _MEMBER)
    compared = [(name, label) for name, (label, _) in _COMPARED.items()]
    if subject in _FIGURES:
        return [*compared[-2:-1], *compared[:-2], *compared[-1:]]
    kind = _type_of(subject, attributes)
    if kind in {ATTRIBUTE_TYPE_NUMBER, ATTRIBUTE_TYPE_DATE}:
        return [*compared, _SET]
    if kind == ATTRIBUTE_TYPE_BOOLEAN:
        return [compared[0], _SET]
    return [*((name, label) for name, (label, _) in _TEXTS.items()), _SET] if subject else []


def input_of(condition: Condition, attributes: Attributes) -> str:
    """What is typed as its value: `texts`, `number`, `days`, `points`, `date`, `yes_no`, `channel`, `audience`; empty
    for nothing."""
    subject, operator = condition.subject, condition.operator
    if not subject or operator in {"set", "never"}:
        return ""
    if subject in _TIMES:
        return "days" if operator == "within" else "date"
    if subject in _FIGURES:
        return "points"
    if subject in {"binding", "saved"}:
        return "channel" if subject == "binding" else "audience"
    return _INPUTS.get(_type_of(subject, attributes), "texts")


def condition_of(one: pb.Audience, attributes: Attributes) -> Condition | None:
    """A predicate as fields; None for what they do not show: instants, unknown attributes, values with commas."""
    kind = one.WhichOneof("expression")
    if kind == "tags":
        return _listed("tags", _named(_TAGS, one.tags.operator), one.tags.tags)
    if kind in {"attribute", "basic"}:
        return _tested(one, attributes)
    if kind == "time":
        return _timed(one.time)
    if kind == "binding":
        bound = one.binding.operator == pb.BINDING_OPERATOR_BOUND
        return Condition(
            "binding", "in" if bound else "out", str(one.binding.channel), one.binding.account_id
        )
    if kind == "points":
        upper = str(one.points.upper) if one.points.operator == pb.COMPARE_OPERATOR_BETWEEN else ""
        figure = next((name for name, each in _FIGURES.items() if each == one.points.figure), "")
        return Condition(figure, _named(_COMPARED, one.points.operator), str(one.points.value), upper)
    if kind == "saved_audience":
        inside = one.saved_audience.operator == pb.MEMBERSHIP_OPERATOR_IN
        return Condition("saved", "in" if inside else "out", one.saved_audience.saved_audience_id)
    return None


def predicate_of(condition: Condition, attributes: Attributes) -> tuple[pb.Audience, str]:
    """What it asks, and the sentence to translate that says what is wrong with its value, empty for nothing."""
    one = pb.Audience()
    subject, operator, value = condition.subject, condition.operator, condition.value.strip()
    wrong = ""
    if subject == "tags":
        chosen = pb.TagOperator.ValueType(_TAGS.get(operator, _TAGS["any"])[1])
        one.tags.MergeFrom(pb.TagPredicate(operator=chosen, tags=_values(value)))
    elif subject in _TIMES:
        one.time.field = pb.TimeField.ValueType(_TIMES[subject])
        wrong = _put_time(one.time, condition)
    elif subject == "binding":
        one.binding.operator = (
            pb.BINDING_OPERATOR_NOT_BOUND if operator == "out" else pb.BINDING_OPERATOR_BOUND
        )
        known = value in map(str, channel_pb2.Channel.values())
        one.binding.channel = channel_pb2.Channel.ValueType(int(value) if known else 0)
        one.binding.account_id = condition.upper
    elif subject in _FIGURES:
        one.points.figure = pb.PointsFigure.ValueType(_FIGURES[subject])
        one.points.operator = _compared(operator, "greater_or_equal")
        one.points.value, wrong = _whole(value)
        if one.points.operator == pb.COMPARE_OPERATOR_BETWEEN:
            one.points.upper, also = _whole(condition.upper)
            wrong = wrong or also
    elif subject == "saved":
        outside = operator == "out"
        one.saved_audience.operator = pb.MEMBERSHIP_OPERATOR_NOT_IN if outside else pb.MEMBERSHIP_OPERATOR_IN
        one.saved_audience.saved_audience_id = value
    elif subject in _BASICS:
        one.basic.field = pb.BasicField.ValueType(_BASICS[subject])
        _put_text(one.basic, condition)
    else:
        one.attribute.key = subject.removeprefix(ATTRIBUTE)
        _put_attribute(one.attribute, condition, _type_of(subject, attributes))
    return one, wrong


def _type_of(subject: str, attributes: Attributes) -> int:
    known = attributes.get(subject.removeprefix(ATTRIBUTE)) if subject.startswith(ATTRIBUTE) else None
    return known.type if known is not None else 0


def _listed(subject: str, operator: str, values: Iterable[str]) -> Condition | None:
    if any(_SEPARATED.search(value) or value != value.strip() for value in values):
        return None
    return Condition(subject, operator, ", ".join(values))


def _tested(one: pb.Audience, attributes: Attributes) -> Condition | None:
    if one.HasField("basic"):
        subject = next((name for name, each in _BASICS.items() if each == one.basic.field), "")
        predicate: pb.BasicPredicate | pb.AttributePredicate = one.basic
    else:
        subject, predicate = f"{ATTRIBUTE}{one.attribute.key}", one.attribute
        if one.attribute.key not in attributes:
            return None
    test = predicate.WhichOneof("test")
    if test == "is_set":
        return Condition(subject, "set")
    if test == "text":
        return _listed(subject, _named(_TEXTS, predicate.text.operator), predicate.text.values)
    if test == "boolean":
        return Condition(subject, "equals", "true" if one.attribute.boolean.value else "false")
    asked = one.attribute.number if test == "number" else one.attribute.date
    return Condition(subject, _named(_COMPARED, asked.operator), asked.value, asked.upper)


def _timed(time: pb.TimePredicate) -> Condition | None:
    subject = next((name for name, each in _TIMES.items() if each == time.field), "")
    test = time.WhichOneof("test")
    if test == "within_last_days":
        return Condition(subject, "within", str(time.within_last_days))
    if test == "never":
        return Condition(subject, "never")
    if test == "before" and time.before.date:
        return Condition(subject, "before", time.before.date)
    if test == "between" and time.between.start.date and time.between.end.date:
        return Condition(subject, _BETWEEN, time.between.start.date, time.between.end.date)
    return None


def _put_text(predicate: pb.BasicPredicate | pb.AttributePredicate, condition: Condition) -> None:
    if condition.operator == "set":
        predicate.is_set.SetInParent()
    else:
        operator = pb.TextOperator.ValueType(_TEXTS.get(condition.operator, _TEXTS["is"])[1])
        predicate.text.MergeFrom(pb.TextTest(operator=operator, values=_values(condition.value)))


def _put_attribute(predicate: pb.AttributePredicate, condition: Condition, kind: int) -> None:
    if condition.operator == "set":
        predicate.is_set.SetInParent()
    elif kind in {ATTRIBUTE_TYPE_NUMBER, ATTRIBUTE_TYPE_DATE}:
        test = predicate.number if kind == ATTRIBUTE_TYPE_NUMBER else predicate.date
        test.operator = _compared(condition.operator, "equals")
        test.value = condition.value.strip()
        test.upper = condition.upper.strip() if test.operator == pb.COMPARE_OPERATOR_BETWEEN else ""
    elif kind == ATTRIBUTE_TYPE_BOOLEAN:
        predicate.boolean.value = condition.value == "true"
    else:
        _put_text(predicate, condition)


def _put_time(time: pb.TimePredicate, condition: Condition) -> str:
    wrong, value = "", condition.value.strip()
    if condition.operator == "never":
        time.never.SetInParent()
    elif condition.operator == "before":
        time.before.date = value
    elif condition.operator == _BETWEEN:
        time.between.start.date, time.between.end.date = value, condition.upper.strip()
    else:
        days, wrong = _whole(value)
        time.within_last_days = min(days, 100_000)
    return wrong


def _whole(text: str) -> tuple[int, str]:
    text = text.strip()
    fits = text.isascii() and text.isdecimal() and len(text) <= 18
    return (int(text), "") if fits else (0, NO_NUMBER)


def _values(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in _SEPARATED.split(text) if part.strip()))


def _named(names: Mapping[str, tuple[str, int]], number: int) -> str:
    return next((name for name, (_, each) in names.items() if each == number), "")


def _compared(name: str, otherwise: str) -> pb.CompareOperator.ValueType:
    return pb.CompareOperator.ValueType(_COMPARED.get(name, _COMPARED[otherwise])[1])
