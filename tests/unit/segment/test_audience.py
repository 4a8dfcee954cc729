"""Every form of the audience language, from the contract's message to the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import Balance, BasicField, Subject, TimeField
from libs.common.audience.faults import module_faults
from libs.common.audience.reading import read_audience
from omnijourney.segment.v1 import audience_pb2

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
ACCOUNT = "018f0000-0000-7000-8000-000000000001"
SUBJECT = Subject(
    basics={BasicField.MEMBER_ID: "m-7", BasicField.EMAIL: "mei@example.com"},
    times={
        TimeField.CHECKOUT: datetime(2026, 3, 27, 12, tzinfo=UTC),
        TimeField.MARKETED: datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
    },
    tags=frozenset({"vip", "new"}),
    values={"t": "gold member", "n": "12.5", "d": "2026-03-01", "b": "true"},
    bound=frozenset({(2, ""), (2, ACCOUNT)}),
    points=Balance(5, 40),
)

Form = dict[str, Any]

YES: list[Form] = [
    {"tags": {"operator": "TAG_OPERATOR_ANY_OF", "tags": ["VIP", "x"]}},
    {"tags": {"operator": "TAG_OPERATOR_ALL_OF", "tags": ["Vip", "ＮＥＷ"]}},
    {"tags": {"operator": "TAG_OPERATOR_NONE_OF", "tags": ["x", "y"]}},
    {"attribute": {"key": "t", "isSet": {}}},
    {"attribute": {"key": "t", "text": {"operator": "TEXT_OPERATOR_EQUALS", "values": ["x", "GOLD MEMBER"]}}},
    {"attribute": {"key": "t", "text": {"operator": "TEXT_OPERATOR_NOT_EQUALS", "values": ["gold"]}}},
    {"attribute": {"key": "t", "text": {"operator": "TEXT_OPERATOR_CONTAINS", "values": ["D M"]}}},
    {"attribute": {"key": "t", "text": {"operator": "TEXT_OPERATOR_NOT_CONTAINS", "values": ["silver"]}}},
    {"attribute": {"key": "t", "text": {"operator": "TEXT_OPERATOR_STARTS_WITH", "values": ["GOLD"]}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_EQUALS", "value": "12.50"}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_NOT_EQUALS", "value": "12"}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_GREATER", "value": "9"}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_GREATER_OR_EQUAL", "value": "12.5"}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_LESS", "value": "100"}}},
    {"attribute": {"key": "n", "number": {"operator": "COMPARE_OPERATOR_LESS_OR_EQUAL", "value": "12.5"}}},
    {
        "attribute": {
            "key": "n",
            "number": {"operator": "COMPARE_OPERATOR_BETWEEN", "value": "-1", "upper": "12.5"},
        }
    },
    {"attribute": {"key": "d", "date": {"operator": "COMPARE_OPERATOR_LESS", "value": "2026-03-02"}}},
    {
        "attribute": {
            "key": "d",
            "date": {"operator": "COMPARE_OPERATOR_BETWEEN", "value": "2026-03-01", "upper": "2026-03-01"},
        }
    },
    {"attribute": {"key": "b", "boolean": {"value": True}}},
    {"basic": {"field": "BASIC_FIELD_MEMBER_ID", "isSet": {}}},
    {
        "basic": {
            "field": "BASIC_FIELD_EMAIL",
            "text": {"operator": "TEXT_OPERATOR_CONTAINS", "values": ["@EXAMPLE"]},
        }
    },
    {"time": {"field": "TIME_FIELD_CHECKOUT", "withinLastDays": 2}},
    {"time": {"field": "TIME_FIELD_CHECKOUT", "before": {"date": "2026-03-28"}}},
    {"time": {"field": "TIME_FIELD_CHECKOUT", "before": {"instant": "2026-03-27T12:00:01Z"}}},
    # 23:30 in UTC is the next day in Taipei.
    {
        "time": {
            "field": "TIME_FIELD_MARKETED",
            "between": {"start": {"date": "2026-03-29"}, "end": {"date": "2026-03-29"}},
        }
    },
    {"time": {"field": "TIME_FIELD_TEAM_INTERACTED", "never": {}}},
    {"binding": {"operator": "BINDING_OPERATOR_BOUND", "channel": "CHANNEL_WHATSAPP"}},
    {"binding": {"operator": "BINDING_OPERATOR_BOUND", "channel": "CHANNEL_WHATSAPP", "accountId": ACCOUNT}},
    {"binding": {"operator": "BINDING_OPERATOR_NOT_BOUND", "channel": "CHANNEL_LINE"}},
    {
        "points": {
            "figure": "POINTS_FIGURE_CUMULATIVE",
            "operator": "COMPARE_OPERATOR_GREATER_OR_EQUAL",
            "value": 40,
        }
    },
    {
        "points": {
            "figure": "POINTS_FIGURE_BALANCE",
            "operator": "COMPARE_OPERATOR_BETWEEN",
            "value": 5,
            "upper": 5,
        }
    },
    {
        "allOf": {
            "items": [{"attribute": {"key": "b", "isSet": {}}}, {"attribute": {"key": "t", "isSet": {}}}]
        }
    },
    {
        "anyOf": {
            "items": [{"attribute": {"key": "z", "isSet": {}}}, {"attribute": {"key": "t", "isSet": {}}}]
        }
    },
    {"negation": {"basic": {"field": "BASIC_FIELD_PHONE", "isSet": {}}}},
]
NO: list[Form] = [
    {"tags": {"operator": "TAG_OPERATOR_ALL_OF", "tags": ["vip", "x"]}},
    {"attribute": {"key": "missing", "text": {"operator": "TEXT_OPERATOR_NOT_EQUALS", "values": ["x"]}}},
    {
        "basic": {
            "field": "BASIC_FIELD_PHONE",
            "text": {"operator": "TEXT_OPERATOR_NOT_CONTAINS", "values": ["1"]},
        }
    },
    {"time": {"field": "TIME_FIELD_CHECKOUT", "withinLastDays": 1}},
    {"time": {"field": "TIME_FIELD_CHECKOUT", "never": {}}},
    {"time": {"field": "TIME_FIELD_CHECKOUT", "before": {"instant": "2026-03-27T12:00:00Z"}}},
    {"time": {"field": "TIME_FIELD_TEAM_INTERACTED", "before": {"date": "2026-03-28"}}},
    {"binding": {"operator": "BINDING_OPERATOR_BOUND", "channel": "CHANNEL_LINE", "accountId": ACCOUNT}},
    {"points": {"figure": "POINTS_FIGURE_BALANCE", "operator": "COMPARE_OPERATOR_GREATER", "value": 5}},
    {"attribute": {"key": "b", "boolean": {"value": False}}},
]


def _judge(form: Form) -> bool:
    reading = read_audience(ParseDict(form, audience_pb2.Audience()))
    assert reading.faults == []
    return evaluate(reading.expression, SUBJECT, NOW, "Asia/Taipei")


def test_every_form_has_its_meaning() -> None:
    assert [form for form in YES if not _judge(form)] == []
    assert [form for form in NO if _judge(form)] == []
    points = read_audience(
        ParseDict(
            {"points": {"figure": 1, "operator": "COMPARE_OPERATOR_EQUALS", "value": 1}},
            audience_pb2.Audience(),
        )
    )
    (fault,) = module_faults(points.expression, has_points=False)
    assert (fault.path, fault.reason) == ("points", "MODULE_MISSING")


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({}, ""),
        ({"allOf": {}}, "all_of.items"),
        ({"tags": {"tags": ["a"]}}, "tags.operator"),
        ({"tags": {"operator": 77, "tags": ["a"]}}, "tags.operator"),
        ({"tags": {"operator": 1, "tags": ["a", ""]}}, "tags.tags[1]"),
        ({"attribute": {"key": "1x", "isSet": {}}}, "attribute.key"),
        ({"attribute": {"key": "x"}}, "attribute"),
        ({"attribute": {"key": "x", "number": {"operator": 1, "value": "1e3"}}}, "attribute.number.value"),
        ({"attribute": {"key": "x", "date": {"operator": 1, "value": "2026-02-30"}}}, "attribute.date.value"),
        (
            {"attribute": {"key": "x", "number": {"operator": 1, "value": "1", "upper": "2"}}},
            "attribute.number.upper",
        ),
        ({"basic": {"isSet": {}}}, "basic.field"),
        ({"time": {"field": 1, "withinLastDays": 0}}, "time.within_last_days"),
        ({"time": {"field": 1, "before": {}}}, "time.before"),
        (
            {
                "time": {
                    "field": 1,
                    "between": {"start": {"date": "2026-02-02"}, "end": {"date": "2026-02-01"}},
                }
            },
            "time.between.end",
        ),
        ({"binding": {"operator": 1, "channel": 9}}, "binding.channel"),
        ({"binding": {"operator": 1, "channel": 1, "accountId": "x"}}, "binding.account_id"),
        ({"points": {"figure": 1, "operator": 1, "value": -1}}, "points.value"),
        ({"negation": {"negation": {"tags": {"operator": 1}}}}, "negation.negation.tags.tags"),
    ],
)
def test_every_fault_of_form_has_its_path(form: Form, path: str) -> None:
    reading = read_audience(ParseDict(form, audience_pb2.Audience()))
    assert [fault.path for fault in reading.faults] == [path]
