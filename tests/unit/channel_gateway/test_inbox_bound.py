"""Teams share the bound of waiting webhooks: whoever comes finds as much room as the largest backlog has."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest

from libs.common.errors import ResourceExhausted
from services.channel_gateway.servicer import admission
from services.channel_gateway.servicer.admission import InboxBound

A, B, C = (UUID(int=number) for number in (1, 2, 3))


class Table:
    """Counts as told."""

    def __init__(self) -> None:
        self.waiting: dict[UUID, int] = {}
        self.looks = 0

    async def waiting_events(self, most: int) -> Mapping[UUID, int]:
        self.looks += 1
        return dict(self.waiting)


async def fill(bound: InboxBound, team: UUID) -> int:
    count = 0
    while True:
        try:
            await bound.admit(team, 1)
        except ResourceExhausted:
            return count
        count += 1


async def test_a_team_alone_takes_half_and_leaves_room_for_the_others() -> None:
    bound = InboxBound(Table(), 1_200)
    assert await fill(bound, A) == 600
    assert await fill(bound, B) == 300
    assert await fill(bound, C) == 150


async def test_a_team_whose_backlog_is_worked_off_is_let_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(admission, "LOOK_SHARE", float("inf"))
    table = Table()
    bound = InboxBound(table, 100)
    table.waiting = {A: 50}
    with pytest.raises(ResourceExhausted):
        await bound.admit(A, 1)
    table.waiting = {A: 49}
    await bound.admit(A, 1)


async def test_teams_always_have_a_little_however_many_wait_in_all() -> None:
    table = Table()
    table.waiting = {A: 50_000}
    bound = InboxBound(table, 10_000)
    with pytest.raises(ResourceExhausted):
        await bound.admit(A, 1)
    assert await fill(bound, B) == 10_000 // admission.FLOOR_SHARE


async def test_the_table_is_counted_seldom() -> None:
    table = Table()
    bound = InboxBound(table, 10_000)
    for _ in range(1_000):
        await bound.admit(A, 1)
    assert table.looks == 1
