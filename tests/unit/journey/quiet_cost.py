"""Counts what a message costs with no quiet windows, two and many; prints the three numbers of calls as JSON.

For `test_quiet_cost.py`, in a process of its own: what other tests have left in caches, and what else their process is
at, would be counted as well.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.matching import journeys_by_id
from services.journey.domain.turn import Actor, TurnInput
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, agreeable, checkout, journey, message

NIGHT: Final = (d.QuietWindow(23 * 60, 24 * 60), d.QuietWindow(0, 8 * 60))
MANY: Final = tuple(d.QuietWindow(start, start + 10) for start in range(0, 11 * 60, 15))
TURNS: Final = 200


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
    gc.disable()  # what is finalized in between would be counted
    sys.setprofile(note)
    try:
        for number in range(1, TURNS + 1):
            send(number)
    finally:
        sys.setprofile(before)
        gc.enable()
    return count / TURNS


if __name__ == "__main__":
    json.dump([calls_of_messages(windows) for windows in ((), NIGHT, MANY)], sys.stdout)
