"""Windows of days in which LINE counts who opened messages, and how what it tells is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.convert.figures import message_figures
from services.stats.domain.model import NO_JOURNEY, Metric, Total
from services.stats.domain.opens import SETTLED, WINDOW_DAYS, Opened, days_of, start_of, windows_at

FIRST = start_of(700 * WINDOW_DAYS)


def test_a_day_begins_at_midnight_of_utc_plus_9() -> None:
    assert start_of(0) == datetime(1969, 12, 31, 15, tzinfo=UTC)
    assert start_of(1) - start_of(0) == timedelta(days=1)


def test_a_window_is_asked_about_until_its_figures_are_settled() -> None:
    this = (FIRST, FIRST + timedelta(days=WINDOW_DAYS))
    before = (FIRST - timedelta(days=WINDOW_DAYS), FIRST)
    assert windows_at(FIRST) == [this, before]
    assert windows_at(FIRST + SETTLED - timedelta(seconds=1)) == [this, before]
    assert windows_at(FIRST + SETTLED) == [this]
    assert windows_at(FIRST - timedelta(seconds=1)) == [before]


def test_days_to_come_are_not_asked_for() -> None:
    assert days_of(FIRST, FIRST) == (700 * WINDOW_DAYS, 1)
    assert days_of(FIRST, FIRST + timedelta(days=2, hours=3)) == (700 * WINDOW_DAYS, 3)
    assert days_of(FIRST, FIRST + timedelta(days=44)) == (700 * WINDOW_DAYS, WINDOW_DAYS)


@pytest.mark.rule("T-05c")
def test_what_line_tells_is_shown_with_how_it_is_measured_and_what_it_does_not_with_the_reason() -> None:
    nodes = ("known", "few", "unasked")
    totals = [(None, Total(Metric.MESSAGES_SENT, NO_JOURNEY, node, CHANNEL_LINE, "", 50)) for node in nodes]
    told = {"known": Opened(31), "few": Opened(None)}
    few, known, unasked = message_figures(totals, told)
    assert (known.read.value, known.read.measurement) == (31, pb.MEASUREMENT_CHANNEL_STATISTICS)
    assert (few.read.HasField("value"), few.read.absent_reason) == (False, pb.ABSENT_REASON_TOO_FEW_PEOPLE)
    assert unasked.read.absent_reason == pb.ABSENT_REASON_NOT_MEASURED
    for each in message_figures(totals):
        assert each.read.absent_reason == pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL, "a sum cannot be cut"


def test_the_last_windows_end_with_time() -> None:
    windows = windows_at(datetime(9999, 12, 31, tzinfo=UTC))
    assert all(start < end for start, end in windows)
