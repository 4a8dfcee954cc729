"""Frequency caps: never more than a rule allows in any span, and room from the first instant on that has any."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.frequency import LOOK_AGAIN, CountedSend, FrequencyRule, room_at

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
rules = st.lists(
    st.builds(
        FrequencyRule,
        st.sampled_from([0, 1, 2]),
        st.integers(1, 5),
        st.sampled_from([timedelta(hours=1), timedelta(hours=3), timedelta(days=1)]),
    ),
    min_size=1,
    max_size=3,
)
asked = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from([1, 2]), st.integers(1, 3), st.integers(0, 40)),
    max_size=40,
)
"""Minutes since the one before, channel, messages, minutes until it has left."""


def got_within(counted: Sequence[CountedSend], rule: FrequencyRule, start: datetime) -> int:
    """Messages of `[start, start + period)`."""
    return sum(
        send.messages
        for send in counted
        if rule.channel in (0, send.channel)
        and send.at is not None
        and start <= send.at < start + rule.period
    )


@given(rules, asked)
def test_no_span_holds_more_than_a_rule_allows_however_long_messages_are_under_way(
    given_rules: list[FrequencyRule], sends: list[tuple[int, int, int, int]]
) -> None:
    now = START
    accepted: list[CountedSend] = []
    for minutes, channel, messages, takes in sends:
        now += minutes * MINUTE
        known = [
            send if send.at is not None and send.at <= now else send._replace(at=None) for send in accepted
        ]
        if room_at(given_rules, known, channel, messages, now) == now:
            accepted.append(CountedSend(channel, messages, now + takes * MINUTE))
    for rule in given_rules:
        for send in accepted:
            assert send.at is not None
            assert got_within(accepted, rule, send.at) <= rule.most, (rule, accepted)


@given(rules, asked, st.sampled_from([1, 2]), st.integers(1, 5))
def test_room_is_told_for_the_first_instant_at_which_there_is_any(
    given_rules: list[FrequencyRule], sends: list[tuple[int, int, int, int]], channel: int, messages: int
) -> None:
    counted: list[CountedSend] = []
    now = START
    for minutes, of, count, _ in sends:
        now += minutes * MINUTE
        counted.append(CountedSend(of, count, now))
    opens = room_at(given_rules, counted, channel, messages, now)
    if opens is None:
        assert any(rule.most < messages for rule in given_rules if rule.channel in (0, channel))
        return
    assert room_at(given_rules, counted, channel, messages, opens) == opens
    if opens > now:
        before = opens - timedelta(microseconds=1)
        assert room_at(given_rules, counted, channel, messages, before) == opens


@pytest.mark.parametrize("period", [timedelta(minutes=5), timedelta(days=1)])
def test_what_is_under_way_is_looked_at_again_soon(period: timedelta) -> None:
    rule = FrequencyRule(0, 1, period)
    under_way = [CountedSend(1, 1, None)]
    assert room_at([rule], under_way, 1, 1, START) == START + min(period, LOOK_AGAIN)


def test_what_has_left_makes_room_before_what_is_under_way() -> None:
    rule = FrequencyRule(0, 2, timedelta(hours=1))
    counted = [CountedSend(1, 1, None), CountedSend(1, 1, START - 59 * MINUTE)]
    assert room_at([rule], counted, 1, 1, START) == START + MINUTE
