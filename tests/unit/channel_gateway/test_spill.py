"""Which sends stay in the table when a lane is full."""

from __future__ import annotations

from uuid import UUID

from services.channel_gateway.worker.spill import Refill, Spill

SLOW, FAST = (UUID(int=1), UUID(int=2)), (UUID(int=1), UUID(int=3))


def test_sends_stay_out_from_the_first_that_finds_no_room_until_the_lane_was_read_again() -> None:
    spill = Spill(4)
    assert not spill.keeps_out(SLOW, range(3))
    assert spill.keeps_out(SLOW, range(4))
    # There is room by now, but others came first.
    assert spill.keeps_out(SLOW, range(3))
    assert not spill.keeps_out(FAST, range(3))
    assert spill.refills({SLOW: range(3), FAST: range(0)}) == []
    assert spill.refills({SLOW: range(2), FAST: range(0)}) == [Refill(SLOW, 2)]
    spill.emptied(SLOW)
    assert not spill.keeps_out(SLOW, range(3))
