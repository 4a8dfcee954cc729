"""An audience as rows of a form: conditions of which all have to hold, or one. What is nested deeper is shown as its
line and left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.console.journeys.reading import Reader
from libs.console.languages import noted
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import audience_pb2 as pb
from omnijourney.segment.v1.attribute_pb2 import (
    ATTRIBUTE_TYPE_BOOLEAN,
    ATTRIBUTE_TYPE_DATE,
    ATTRIBUTE_TYPE_NUMBER,
    Attribute,
)

ROWS_MAX: Final = 20
COMPARED: Final[Mapping[str, tuple[str, int]]] = {
    "equals": (noted("is"), pb.COMPARE_OPERATOR_EQUALS),
    "not_equals": (noted("is not"), pb.COMPARE_OPERATOR_NOT_EQUALS),
    "less": (noted("is less than"), pb.COMPARE_OPERATOR_LESS),
    "less_or_equal": (noted("is at most"), pb.COMPARE_OPERATOR_LESS_OR_EQUAL),
    "greater": (noted("is more than"), pb.COMPARE_OPERATOR_GREATER),
    "greater_or_equal": (noted("is at least"), pb.COMPARE_OPERATOR_GREATER_OR_EQUAL),
}
_TEXTS: Final[Mapping[str, tuple[str, int]]] = {
    "is": (noted("is one of"), pb.TEXT_OPERATOR_EQUALS),
    "is_not": (noted("is none of"), pb.TEXT_OPERATOR_NOT_EQUALS),
    "contains": (noted("contains one of"), pb.TEXT_OPERATOR_CONTAINS),
    "contains_not": (noted("contains none of"), pb.TEXT_OPERATOR_NOT_CONTAINS),
    "starts": (noted("starts with one of"), pb.TEXT_OPERATOR_STARTS_WITH),
}
_SET: Final = noted("has a value")
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
_TAGS: Final = {"any": pb.TAG_OPERATOR_ANY_OF, "all": pb.TAG_OPERATOR_ALL_OF, "none": pb.TAG_OPERATOR_NONE_OF}
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
OPERATORS: Final = (
    ("any", noted("at least one of these tags")),
    ("all", noted("all of these tags")),
    ("none", noted("none of these tags")),
    *((name, label) for name, (label, _) in _TEXTS.items()),
    ("set", _SET),
    *((name, label) for name, (label, _) in COMPARED.items()),
    ("within", noted("within so many last days")),
    ("before", noted("before this day")),
    ("never", noted("never")),
    ("bound", noted("is bound, or in it")),
    ("not_bound", noted("is not bound, or not in it")),
)


@dataclass(slots=True)
class Row:
    """One condition as the form has it."""

    subject: str = ""
    operator: str = ""
    value: str = ""


@dataclass(slots=True)
class Rows:
    """All of them."""

    rows: list[Row] = field(default_factory=list)
    joined: str = "all"
    """`all` or `any`."""
    is_simple: bool = True
    """False: the audience is nested deeper, and the rows are not it."""


def rows_of(audience: pb.Audience) -> Rows:
    """An audience as rows."""
    kind = audience.WhichOneof("expression")
    if kind is None:
        return Rows()
    lists = {"all_of": audience.all_of, "any_of": audience.any_of}
    items = lists[kind].items if kind in lists else [audience]
    rows = [_row(each) for each in items]
    found = Rows([row for row in rows if row is not None], "any" if kind == "any_of" else "all")
    found.is_simple = len(found.rows) == len(rows) <= ROWS_MAX
    return found


def _row(one: pb.Audience) -> Row | None:
    kind = one.WhichOneof("expression")
    if kind == "tags":
        return Row("tags", _name(_TAGS, one.tags.operator), ", ".join(one.tags.tags))
    if kind in {"attribute", "basic"}:
        return _tested(one)
    if kind == "time":
        return _timed(one.time)
    if kind == "binding" and not one.binding.account_id:
        bound = one.binding.operator == pb.BINDING_OPERATOR_BOUND
        return Row("binding", "bound" if bound else "not_bound", str(one.binding.channel))
    if kind == "points" and one.points.operator != pb.COMPARE_OPERATOR_BETWEEN:
        return Row(_name(_FIGURES, one.points.figure), _operator(one.points.operator), str(one.points.value))
    if kind == "saved_audience":
        inside = one.saved_audience.operator == pb.MEMBERSHIP_OPERATOR_IN
        return Row("saved", "bound" if inside else "not_bound", one.saved_audience.saved_audience_id)
    return None


def _tested(one: pb.Audience) -> Row | None:
    if one.HasField("basic"):
        subject, predicate = _name(_BASICS, one.basic.field), one.basic
    else:
        subject, predicate = f"attribute:{one.attribute.key}", one.attribute  # type: ignore[assignment]
    test = predicate.WhichOneof("test")
    if test == "is_set":
        return Row(subject, "set")
    if test == "text":
        known = {operator: name for name, (_, operator) in _TEXTS.items()}
        return Row(subject, known.get(predicate.text.operator, "is"), ", ".join(predicate.text.values))
    if test == "boolean":
        return Row(subject, "equals", "true" if one.attribute.boolean.value else "false")
    asked = one.attribute.number if test == "number" else one.attribute.date
    if test in {"number", "date"} and not asked.upper:
        return Row(subject, _operator(asked.operator), asked.value)
    return None


def _timed(time: pb.TimePredicate) -> Row | None:
    subject, test = _name(_TIMES, time.field), time.WhichOneof("test")
    if test == "within_last_days":
        return Row(subject, "within", str(time.within_last_days))
    if test == "never":
        return Row(subject, "never")
    if test == "before" and time.before.date:
        return Row(subject, "before", time.before.date)
    return None


def read_audience(reader: Reader, attributes: Mapping[str, Attribute]) -> pb.Audience:
    """What the rows of a form say; nothing where there is none."""
    items = []
    for number in range(ROWS_MAX + 1):
        subject = reader.text(f"subject_{number}")
        if subject:
            row = Row(subject, reader.text(f"operator_{number}"), reader.text(f"value_{number}"))
            items.append(_predicate(reader, row, number, attributes))
    whole = pb.Audience()
    if len(items) == 1:
        return items[0]
    if items:
        joined = whole.any_of if reader.text("joined") == "any" else whole.all_of
        joined.items.extend(items)
    return whole


def _predicate(reader: Reader, row: Row, number: int, attributes: Mapping[str, Attribute]) -> pb.Audience:
    one = pb.Audience()
    values = reader.texts(f"value_{number}")
    if row.subject == "tags":
        operator = _TAGS.get(row.operator, pb.TAG_OPERATOR_ANY_OF)
        one.tags.MergeFrom(pb.TagPredicate(operator=pb.TagOperator.ValueType(operator), tags=values))
    elif row.subject in _BASICS:
        one.basic.field = pb.BasicField.ValueType(_BASICS[row.subject])
        _put_text(one.basic, row, values)
    elif row.subject in _TIMES:
        one.time.field = pb.TimeField.ValueType(_TIMES[row.subject])
        _put_time(one.time, row)
    elif row.subject == "binding":
        bound = row.operator != "not_bound"
        one.binding.operator = pb.BINDING_OPERATOR_BOUND if bound else pb.BINDING_OPERATOR_NOT_BOUND
        channel = int(row.value) if row.value in {"1", "2", "3", "4"} else 0
        one.binding.channel = channel_pb2.Channel.ValueType(channel)
    elif row.subject in _FIGURES:
        compared = COMPARED.get(row.operator, COMPARED["greater_or_equal"])[1]
        one.points.figure = pb.PointsFigure.ValueType(_FIGURES[row.subject])
        one.points.operator = pb.CompareOperator.ValueType(compared)
        one.points.value = reader.number(f"value_{number}")
    elif row.subject == "saved":
        inside = row.operator != "not_bound"
        one.saved_audience.operator = pb.MEMBERSHIP_OPERATOR_IN if inside else pb.MEMBERSHIP_OPERATOR_NOT_IN
        one.saved_audience.saved_audience_id = row.value
    else:
        one.attribute.key = row.subject.removeprefix("attribute:")
        _put_attribute(one.attribute, row, values, attributes.get(one.attribute.key))
    return one


def _put_text(predicate: pb.BasicPredicate | pb.AttributePredicate, row: Row, values: list[str]) -> None:
    if row.operator == "set":
        predicate.is_set.SetInParent()
    else:
        operator = _TEXTS.get(row.operator, _TEXTS["is"])[1]
        predicate.text.MergeFrom(pb.TextTest(operator=pb.TextOperator.ValueType(operator), values=values))


def _put_attribute(
    predicate: pb.AttributePredicate, row: Row, values: list[str], known: Attribute | None
) -> None:
    kind = known.type if known is not None else 0
    if row.operator == "set":
        predicate.is_set.SetInParent()
    elif kind in {ATTRIBUTE_TYPE_NUMBER, ATTRIBUTE_TYPE_DATE}:
        test = predicate.number if kind == ATTRIBUTE_TYPE_NUMBER else predicate.date
        test.operator = pb.CompareOperator.ValueType(COMPARED.get(row.operator, COMPARED["equals"])[1])
        test.value = row.value
    elif kind == ATTRIBUTE_TYPE_BOOLEAN:
        predicate.boolean.value = row.value.lower() in {"true", "yes", "1", "是"}
    else:
        _put_text(predicate, row, values)


def _put_time(time: pb.TimePredicate, row: Row) -> None:
    if row.operator == "never":
        time.never.SetInParent()
    elif row.operator == "before":
        time.before.date = row.value
    else:
        time.within_last_days = (
            int(row.value) if row.value.isascii() and row.value.isdecimal() and len(row.value) < 6 else 0
        )


def _name(names: Mapping[str, int], number: int) -> str:
    return next((name for name, each in names.items() if each == number), "")


def _operator(number: int) -> str:
    return next((name for name, (_, each) in COMPARED.items() if each == number), "equals")
