"""How many customers an audience trigger may trigger beside others of its team."""

from __future__ import annotations

import pytest

from services.journey.domain.audience_trigger import IN_FLIGHT_MAX, room_of


@pytest.mark.parametrize(
    ("of_team", "of_one", "sharing", "room"),
    [
        (0, 0, 1, 500),
        (500, 500, 1, 0),
        (500, 0, 1, 0),
        (0, 0, 2, 250),
        (300, 300, 2, 0),
        (300, 0, 2, 200),
        (490, 40, 10, 10),
        (700, 0, 2, 0),
        (0, 0, 0, 500),
    ],
)
def test_the_room_is_what_the_team_has_left_and_no_more_than_a_share(
    of_team: int, of_one: int, sharing: int, room: int
) -> None:
    assert IN_FLIGHT_MAX == 500
    assert room_of(of_team, of_one, sharing) == room
