"""What do-not-disturb costs a message: calls of Python, counted, since times depend on the machine (J-12f)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest

from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.matching import journeys_by_id
from services.journey.domain.turn import Actor, TurnInput
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, agreeable, checkout, journey, message

NIGHT: Final = (d.QuietWindow(23 * 60, 24 * 60), d.QuietWindow(0, 8 * 60))
MANY: Final = tuple(d.QuietWindow(start, start + 10) for start in range(0, 11 * 60, 15))
TURNS: Final = 200
EXTRA_CALLS_MAX: Final = 12
"""Two searches in times that are known already, and what leads to them."""


def least_calls(windows: Sequence[d.QuietWindow]) -> float:
    """The least of several counts: what else the process has to do in between, a signal say, is counted as well."""
    return min(calls_of_messages(windows) for _ in range(3))


def calls_of_messages(windows: Sequence[d.QuietWindow]) -> float:
    """Calls that a turn takes which sends one message, of many turns over half an hour, the first of them aside."""
    journeys = journeys_by_id([journey(message("hello"), quiet=tuple(windows))])
    count = 0

    def note(_frame: Any, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    def send(number: int) -> None:
        now = NOW + timedelta(seconds=9 * number)
        turn = take_turn(TurnInput(Actor(TEAM, CUSTOMER, {}, {}), (), (checkout(1, now),), journeys, now))
        answer = None
        try:
            while True:
                answer = agreeable(turn.send(answer))  # type: ignore[arg-type]  # None starts it
        except StopIteration:
            return

    send(0)
    before = sys.getprofile()
    gc.disable()  # whatever other tests left behind would be finalized in between, and counted
    sys.setprofile(note)
    try:
        for number in range(1, TURNS + 1):
            send(number)
    finally:
        sys.setprofile(before)
        gc.enable()
    return count / TURNS


@pytest.mark.rule("J-12f")
def test_a_message_takes_no_more_with_two_windows_than_with_none_and_with_many_as_with_two() -> None:
    none, two, many = least_calls(()), least_calls(NIGHT), least_calls(MANY)
    assert many == two
    assert none <= two <= none + EXTRA_CALLS_MAX
    assert none > 5 * EXTRA_CALLS_MAX, "next to what a message takes at all"
