"""Frequency caps: at most so many messages to one customer in any span of some length. Pure.

The gateway holds sends to them; simulations reckon with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

ALL_CHANNELS: Final = 0
PERIOD_MAX: Final = timedelta(days=90)
"""Of a rule: what is older counts under none."""
LOOK_AGAIN: Final = timedelta(minutes=10)
"""When it is looked again whether a message under way has left: nobody knows when it will count from."""


class FrequencyRule(NamedTuple):
    """At most `most` messages in any span of `period`, of a channel (its number) or of all together."""

    channel: int
    most: int
    period: timedelta


class CountedSend(NamedTuple):
    """Messages that a customer got, and when; None: they are under way, and count as of now."""

    channel: int
    messages: int
    at: datetime | None


def room_at(
    rules: Iterable[FrequencyRule], counted: Sequence[CountedSend], channel: int, messages: int, now: datetime
) -> datetime | None:
    """When there is room for a send of so many messages on a channel under all rules: `now`, or later; None: never,
    since a rule allows fewer at all."""
    opens = now
    for rule in rules:
        if rule.channel not in (ALL_CHANNELS, channel):
            continue
        if messages > rule.most:
            return None
        opens = max(opens, _opens(rule, counted, messages, now))
    return opens


def _opens(rule: FrequencyRule, counted: Sequence[CountedSend], messages: int, now: datetime) -> datetime:
    """When enough of what counts has left the span: oldest first, what is under way last."""
    within = [
        send
        for send in counted
        if rule.channel in (ALL_CHANNELS, send.channel) and (send.at is None or send.at > now - rule.period)
    ]
    excess = sum(send.messages for send in within) + messages - rule.most
    opens = now
    for send in sorted(within, key=lambda each: (each.at is None, each.at or now)):
        if excess <= 0:
            break
        excess -= send.messages
        opens = now + min(rule.period, LOOK_AGAIN) if send.at is None else send.at + rule.period
    return opens
