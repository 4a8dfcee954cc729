"""Quiet time by the customer's own clock, in every zone, on the days on which it changes, whatever the team's is."""

from __future__ import annotations

import random
from datetime import datetime
from zoneinfo import available_timezones

import msgspec
import pytest

from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.quiet import leaves_open_minute
from tests.property.journey.test_quiet_zones import (
    DAY,
    GROUPS,
    MINUTE,
    STEP,
    YEARS,
    changes_of,
    drawn_at,
    is_quiet,
)
from tests.unit.journey.builders import agreeable, checkout, journey, message, run

TEAM_ZONES = ("UTC", "Asia/Taipei", "America/Los_Angeles")


def handed_over(
    now: datetime, windows: tuple[d.QuietWindow, ...], team_zone: str, zone: str
) -> tuple[list[fx.Send], Enrolment]:
    """What a customer of a zone is sent at once, and how they stand then."""
    of_team = journey(message("say"), quiet=windows, quiet_zone=d.QuietZone.CUSTOMER)
    given = msgspec.structs.replace(of_team, zone=team_zone, created_at=now, updated_at=now)
    asked: list[fx.Effect] = []

    def answer(effect: fx.Effect) -> fx.Answer:
        return fx.Zone(zone) if isinstance(effect, fx.FindZone) else agreeable(effect)

    turn = run([given], [checkout(1, now)], now=now, answer=answer, asked=asked)
    return [effect for effect in asked if isinstance(effect, fx.Send)], turn.enrolments[0]


def check(now: datetime, windows: tuple[d.QuietWindow, ...], team_zone: str, zone: str) -> None:
    told = f"{zone} of {team_zone} {now:%Y-%m-%d %H:%M} {windows}"
    sends, left = handed_over(now, windows, team_zone, zone)
    assert bool(sends) is not is_quiet(now, windows, zone), told
    if sends:
        not_after = sends[0].not_after
        assert not_after is not None
        assert not_after > now, told
        if not_after - now < 2 * DAY:
            assert is_quiet(not_after, windows, zone), told
        return
    assert left.wait is WaitReason.QUIET
    assert left.wake_at is not None
    assert not is_quiet(left.wake_at, windows, zone), told
    assert is_quiet(left.wake_at - MINUTE, windows, zone), f"{told}: longer than the quiet time"


@pytest.mark.rule("J-38b")
@pytest.mark.parametrize("group", range(GROUPS))
def test_in_every_zone_a_customer_is_left_alone_by_their_own_clock_when_it_changes(group: int) -> None:
    chance = random.Random(group)
    for zone in sorted(available_timezones())[group :: GROUPS * STEP]:
        changes = [change for change in changes_of(zone) if change.second == 0]
        change = chance.choice(changes) if changes else YEARS[0] + 40 * DAY
        windows = tuple(drawn_at(change, zone, chance))
        if leaves_open_minute(windows):
            check(change + chance.randint(-300, 300) * MINUTE, windows, chance.choice(TEAM_ZONES), zone)
