"""What LINE counts, and what of it it withholds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from libs.emulators.line_insight import CALLS_AN_HOUR, PEOPLE_MIN, UNITS_MAX, LineInsight, read_day

AT = datetime(2026, 3, 4, 14, 59, tzinfo=UTC)
"""A minute before midnight of UTC+9."""
DAY = date(2026, 3, 4)
UNIT = ("1", "welcome")


def record(unit: str = "welcome", person: str = "U1") -> dict[str, Any]:
    body = {"messages": [{}, {}], "customAggregationUnits": [unit]}
    return {"account": "1", "endpoint": "push", "billed": True, "recipient": person, "body": body}


def seen(insight: LineInsight, people: int, url: str = "") -> None:
    messages = [("1", "welcome", DAY.isoformat(), f"U{number}", 2, url) for number in range(people)]
    insight.see({"messages": messages})


@pytest.mark.rule("C-01b")
def test_figures_of_fewer_than_20_people_are_withheld() -> None:
    insight = LineInsight()
    insight.remember(record(), AT)
    seen(insight, PEOPLE_MIN - 1, "https://shop.example")
    seen(insight, PEOPLE_MIN - 1)
    found = insight.statistics(UNIT, DAY, DAY)
    assert (found["overview"]["uniqueImpression"], found["overview"]["uniqueClick"]) == (None, None)
    assert [(each["seq"], each["impression"], each["uniqueImpression"]) for each in found["messages"]] == [
        (1, None, None),
        (2, None, None),
    ]
    seen(insight, PEOPLE_MIN)
    found = insight.statistics(UNIT, DAY, DAY)
    assert found["overview"]["uniqueImpression"] == PEOPLE_MIN
    assert found["overview"]["uniqueClick"] is None
    assert found["messages"][0]["impression"] == 3 * PEOPLE_MIN - 2
    (click,) = found["clicks"]
    assert (click["url"], click["click"]) == ("https://shop.example", None)
    assert insight.statistics(UNIT, DAY + timedelta(days=1), DAY + timedelta(days=2))["messages"] == []


def test_of_a_month_so_many_units_are_counted() -> None:
    insight = LineInsight()
    for number in range(UNITS_MAX):
        insight.remember(record(f"unit_{number}"), AT)
    insight.remember(record(), AT)
    seen(insight, PEOPLE_MIN)
    assert insight.statistics(UNIT, DAY, DAY)["overview"]["uniqueImpression"] is None
    assert len(insight.units["1", "2026-03"]) == UNITS_MAX


def test_an_hour_has_so_many_calls() -> None:
    insight = LineInsight()
    taken = [insight.may_ask("1", "a", AT) for _ in range(CALLS_AN_HOUR + 1)]
    assert taken == [True] * CALLS_AN_HOUR + [False]
    assert insight.may_ask("1", "b", AT)
    assert insight.may_ask("2", "a", AT)
    assert insight.may_ask("1", "a", AT + timedelta(hours=1))


def test_days_are_read() -> None:
    assert [read_day(text) for text in ("20260304", "20260230", "2026-3-4", None)] == [DAY, None, None, None]
