"""Which sends stay in the table when a lane is full."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.channel_gateway.worker.spill import Refill, Spill

SLOW, FAST = (UUID(int=1), UUID(int=2)), (UUID(int=1), UUID(int=3))
BROADCAST, WELCOME = UUID(int=8), UUID(int=9)


class Waiting:
    """So many sends of the broadcast, and so many others."""

    def __init__(self, broadcast: int, welcome: int = 0) -> None:
        self.counts = {BROADCAST: broadcast, WELCOME: welcome}

    def __len__(self) -> int:
        return sum(self.counts.values())

    def waiting_of(self, journey_id: UUID) -> int:
        return self.counts[journey_id]


def test_sends_stay_out_from_the_first_that_finds_no_room_until_the_lane_was_read_again() -> None:
    spill = Spill(4)
    assert not spill.keeps_out(SLOW, Waiting(3), BROADCAST)
    assert spill.keeps_out(SLOW, Waiting(4), BROADCAST)
    # There is room by now, but others came first.
    assert spill.keeps_out(SLOW, Waiting(0), BROADCAST)
    assert not spill.keeps_out(FAST, Waiting(3), BROADCAST)
    assert spill.refills({SLOW: range(3), FAST: range(0)}) == []
    assert spill.refills({SLOW: range(2), FAST: range(0)}) == [Refill(SLOW, 2)]
    spill.emptied(SLOW)
    assert not spill.keeps_out(SLOW, Waiting(3), BROADCAST)


@pytest.mark.rule("C-02e")
def test_a_broadcast_that_fills_the_lane_leaves_a_part_of_it_to_each_other_journey() -> None:
    spill = Spill(64)
    assert spill.keeps_out(SLOW, Waiting(64), BROADCAST)
    assert [spill.keeps_out(SLOW, Waiting(64, ahead), WELCOME) for ahead in (0, 3, 4, 0)] == [
        *(False, False, True),
        True,  # others of the journey came first
    ]
    spill.emptied(SLOW)
    assert spill.keeps_out(SLOW, Waiting(64), BROADCAST)
    assert spill.keeps_out(SLOW, Waiting(128), WELCOME), "all journeys together have bounds, too"
