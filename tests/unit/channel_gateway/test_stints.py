"""Stints of a sender: bounded stretches of its sends."""

import pytest

from services.channel_gateway.worker import stints
from services.channel_gateway.worker.stints import SENDS_MAX, Stints


def test_a_stint_takes_a_bounded_number_of_sends_and_whole_batches() -> None:
    given = Stints()
    taken = [given.take(400) for _ in range(6)]
    assert taken[0] == taken[1] == taken[2], "the batch that fills it is not torn"
    assert taken[3] == taken[4] == taken[5] != taken[0]
    assert SENDS_MAX <= 3 * 400


def test_a_stint_takes_sends_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("services.channel_gateway.worker.stints.time.monotonic", lambda: now_s)
    given = Stints()
    assert given.current is None
    first = given.take(1)
    now_s += stints.AGE_MAX_S - 1
    assert given.take(1) == first == given.current
    now_s += 1
    assert given.current is None, "it may end while its sender has nothing to send"
    assert given.take(1) != first
