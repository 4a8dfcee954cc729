"""An audience as one line, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from libs.common.audience.describing import LANGUAGES, VALUE_LENGTH_MAX, VALUES_MAX, describe
from libs.common.audience.expressions import (
    BasicField,
    BindingOperator,
    ChannelNumber,
    CompareOperator,
    Figure,
    TagOperator,
    TextOperator,
    TimeField,
)
from omnijourney.segment.v1 import audience_pb2

pytestmark = pytest.mark.rule("S-03c")
Form = dict[str, Any]
ACCOUNT = "018f0000-0000-7000-8000-000000000001"
VIP: Form = {"tags": {"operator": 1, "tags": ["VIP", "gold"]}}
RICH: Form = {"points": {"figure": 1, "operator": 7, "value": 10, "upper": 20}}
GONE: Form = {"time": {"field": 4, "before": {"date": "2026-03-01"}}}
MAILED: Form = {"basic": {"field": 3, "isSet": {}}}


def line(form: Form, language: str = "en") -> str:
    """In Taipei."""
    return describe(ParseDict(form, audience_pb2.Audience()), language, "Asia/Taipei")


@pytest.mark.parametrize(
    ("form", "english", "chinese"),
    [
        (VIP, 'has the tag "VIP" or "gold"', "有標籤「VIP」或「gold」"),
        ({"tags": {"operator": 2, "tags": ["a", "b"]}}, 'has the tag "a" and "b"', "有標籤「a」及「b」"),
        ({"tags": {"operator": 3, "tags": ["a", "b"]}}, 'has no tag "a" or "b"', "沒有標籤「a」或「b」"),
        (
            {"attribute": {"key": "tier", "text": {"operator": 2, "values": ["Gold"]}}},
            'tier is set and is not "Gold"',
            "tier有值且不是「Gold」",
        ),
        (
            {"attribute": {"key": "size", "number": {"operator": 6, "value": "-1.50"}}},
            "size ≥ -1.50",
            "size ≥ -1.50",
        ),
        ({"attribute": {"key": "opted", "boolean": {"value": False}}}, "opted is false", "opted為否"),
        (
            {
                "attribute": {
                    "key": "born",
                    "date": {"operator": 7, "value": "2000-01-01", "upper": "2000-12-31"},
                }
            },
            "born from 2000-01-01 to 2000-12-31",
            "born從 2000-01-01 到 2000-12-31",
        ),
        (MAILED, "e-mail is set", "Email 有值"),
        (
            {"time": {"field": 4, "withinLastDays": 7}},
            "last checkout within the last 7 × 24 hours",
            "最後完成結帳時間在過去 7 × 24 小時內",
        ),
        (
            {"time": {"field": 1, "before": {"instant": "2026-03-01T00:00:00Z"}}},
            "last interaction of the customer before 2026-03-01 08:00:00+08:00",
            "客人最後互動時間早於 2026-03-01 08:00:00+08:00",
        ),
        (
            {
                "time": {
                    "field": 3,
                    "between": {"start": {"date": "2026-03-01"}, "end": {"date": "2026-03-02"}},
                }
            },
            "last marketing message from 2026-03-01 until the end of 2026-03-02",
            "團隊最後行銷時間從 2026-03-01 到 2026-03-02 結束 之前",
        ),
        (
            {"time": {"field": 2, "never": {}}},
            "last interaction of the team never happened",
            "沒有團隊最後互動時間",
        ),
        (
            {"binding": {"operator": 2, "channel": 1, "accountId": ACCOUNT}},
            f"not bound to account {ACCOUNT} of LINE",
            f"未綁定 LINE 帳號 {ACCOUNT}",
        ),
        (RICH, "point balance from 10 to 20", "點數餘額從 10 到 20"),
        (
            {"allOf": {"items": [VIP, {"anyOf": {"items": [RICH, {"negation": MAILED}]}}]}},
            'has the tag "VIP" or "gold" and (point balance from 10 to 20 or not (e-mail is set))',
            "有標籤「VIP」或「gold」 且 (點數餘額從 10 到 20 或 非（Email 有值）)",
        ),
    ],
)
def test_an_audience_reads_as_one_line(form: Form, english: str, chinese: str) -> None:
    assert (line(form), line(form, "zh-TW")) == (english, chinese)


def every_form() -> list[Form]:
    """Each predicate with each operator."""
    tests: list[Form] = [{"isSet": {}}]
    tests += [{"text": {"operator": int(each), "values": ["x"]}} for each in TextOperator]
    forms: list[Form] = [{"tags": {"operator": int(each), "tags": ["x", "y"]}} for each in TagOperator]
    forms += [{"basic": {"field": int(field), **test}} for field in BasicField for test in tests]
    forms += [{"attribute": {"key": "k", **test}} for test in tests]
    for operator in CompareOperator:
        upper = {"upper": "2000-01-02"} if operator == CompareOperator.BETWEEN else {}
        day = {"operator": int(operator), "value": "2000-01-01", **upper}
        number = {"operator": int(operator), "value": "1", **({"upper": "2"} if upper else {})}
        forms += [{"attribute": {"key": "k", "date": day}}, {"attribute": {"key": "k", "number": number}}]
        forms += [{"points": {"figure": int(figure), **number}} for figure in Figure]
    forms += [{"attribute": {"key": "k", "boolean": {"value": value}}} for value in (True, False)]
    start, end = {"date": "2026-03-01"}, {"instant": "2026-03-02T00:00:00Z"}
    times: list[Form] = [{"withinLastDays": 1}, {"before": start}, {"before": end}, {"never": {}}]
    times += [{"between": {"start": start, "end": bound}} for bound in (start, end)]
    forms += [{"time": {"field": int(field), **test}} for field in TimeField for test in times]
    places = [
        {"channel": int(each), "accountId": account} for each in ChannelNumber for account in ("", ACCOUNT)
    ]
    forms += [{"binding": {"operator": int(each), **place}} for each in BindingOperator for place in places]
    forms += [{kind: {"items": [MAILED, RICH]}} for kind in ("allOf", "anyOf")]
    return [*forms, {"negation": MAILED}]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_audiences_read_the_same(language: str) -> None:
    lines = [line(form, language) for form in every_form()]
    assert len(set(lines)) == len(lines)
    assert not [text for text in lines if "{" in text or not text.strip()]


def test_a_line_is_one_line_and_of_bounded_length() -> None:
    odd = line({"tags": {"operator": 1, "tags": ["a\nb\u202ec", "{x}", "👨\u200d👩"]}})
    assert odd == 'has the tag "a b c" or "{x}" or "👨\u200d👩"'
    many = line({"tags": {"operator": 1, "tags": [f"{number}" + "x" * 2_000 for number in range(100)]}})
    assert many.endswith(f"(and {100 - VALUES_MAX} more)")
    assert len(many) < (VALUES_MAX + 1) * (VALUE_LENGTH_MAX + 10)


@pytest.mark.parametrize("instant", ["0001-01-02T00:00:00Z", "9999-12-30T23:59:59.999999Z"])
def test_an_instant_at_the_edge_of_the_calendar_is_told(instant: str) -> None:
    form = {"time": {"field": 1, "before": {"instant": instant}}}
    for zone in ("Pacific/Kiritimati", "America/New_York"):
        assert describe(ParseDict(form, audience_pb2.Audience()), "en", zone)
