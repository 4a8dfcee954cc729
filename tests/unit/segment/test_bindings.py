"""Whether somebody has left an account: by the times of what they did, in whatever order it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from libs.common.ids import new_id
from services.segment.domain.model import Binding

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FOLLOWED, WROTE, LEFT, CAME_BACK = ("seen", 0), ("seen", 30), ("left", 60), ("seen", 90)


@pytest.mark.parametrize(
    ("acts", "blocked"),
    [
        ((FOLLOWED, WROTE, LEFT), True),
        ((FOLLOWED, LEFT, CAME_BACK), False),
        ((LEFT, WROTE), True),
        ((FOLLOWED, WROTE, LEFT, CAME_BACK, ("left", 120)), True),
    ],
)
def test_who_left_last_has_left_in_whatever_order_it_is_told(
    acts: tuple[tuple[str, int], ...], blocked: bool
) -> None:
    for order in permutations(acts):
        binding = Binding(new_id(), blocked=False)
        for kind, seconds in order:
            binding = getattr(binding, kind)(NOON + timedelta(seconds=seconds))
        assert binding.blocked == blocked, order
