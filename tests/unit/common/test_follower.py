"""Following a history: once each, whatever fails, and past a row that cannot be applied."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import pytest

from libs.common.backoff import Backoff
from libs.common.errors import Unavailable
from libs.common.feeds.follower import REFUSED_TRIES, CursorMovedError, Follower, Page, RefusedByPeerError
from libs.common.ids import PARTITIONS
from libs.testing.projection_suite import ProjectionSuite

BAD = -1


class Rows:
    """A history of numbers in two partitions; away as often as told."""

    name = "numbers"

    def __init__(self, **partitions: list[int]) -> None:
        self.rows = {int(name[1:]): rows for name, rows in partitions.items()}
        self.away = 0
        self.asked: list[int] = []
        self.news = asyncio.Event()

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[int]:
        if self.away:
            self.away -= 1
            raise Unavailable.dependency("numbers")
        self.asked.append(rows_max)
        rows: list[int] = []
        after = dict(cursors)
        for partition, own in self.rows.items():
            taken = own[after[partition] :][: rows_max - len(rows)]
            rows += taken
            after[partition] += len(taken)
        if not rows and wait_s:
            await self.news.wait()
        return Page(rows, after)


class Sum:
    """Adds the numbers up; cannot add BAD."""

    def __init__(self) -> None:
        self.applied: list[int] = []
        self.aside: list[str] = []
        self.at = dict.fromkeys(range(PARTITIONS), 0)
        self.error: Exception | None = None
        self.poison: Exception = ValueError("bad row")
        self.refused_alone = 0

    async def cursors(self) -> dict[int, int]:
        return dict(self.at)

    async def apply(self, before: Mapping[int, int], page: Page[int]) -> None:
        if self.error is not None:
            raise self.error
        if BAD in page.rows:
            self.refused_alone += len(page.rows) == 1
            raise self.poison
        self._move(before, page)
        self.applied += page.rows

    async def set_aside(self, before: Mapping[int, int], page: Page[int], reason: str) -> None:
        self._move(before, page)
        self.aside.append(reason)

    def _move(self, before: Mapping[int, int], page: Page[int]) -> None:
        if dict(before) != self.at:
            raise CursorMovedError
        self.at = dict(page.cursors)


class TestMemoryProjection(ProjectionSuite):
    @pytest.fixture
    def projection(self) -> Sum:
        return Sum()

    @pytest.fixture
    def page(self) -> Callable[[int], Page[int]]:
        return lambda after: Page([7], {**dict.fromkeys(range(PARTITIONS), 0), 3: after + 1})

    @pytest.fixture
    def digest(self, projection: Sum) -> Callable[[], Awaitable[int]]:
        async def digest() -> int:
            return sum(projection.applied)

        return digest


def follower(rows: Rows, sums: Sum, rows_max: int = 8) -> Follower[int]:
    return Follower(rows, sums, rows_max=rows_max, backoff=Backoff(0.0, 0.0))


async def follow_all(each: Follower[int], rows: Rows, sums: Sum) -> int:
    """Steps until everything is applied; returns how many it took."""
    steps = 0
    while any(sums.at[partition] < len(own) for partition, own in rows.rows.items()):
        await each.step(0)
        steps += 1
    return steps


async def test_rows_are_applied_once_and_in_order() -> None:
    rows, sums = Rows(p0=list(range(20)), p5=list(range(100, 103))), Sum()
    applied: list[int] = []
    each = Follower(rows, sums, rows_max=8, applied=applied.append)
    assert await follow_all(each, rows, sums) == 3
    assert sums.applied == [*range(20), 100, 101, 102]
    assert applied == [8, 8, 7]


async def test_a_row_that_cannot_be_applied_is_set_aside_and_the_rest_applied() -> None:
    rows = Rows(p0=[*range(300), BAD, *range(300, 400)], p5=[1_000])
    sums = Sum()
    each = follower(rows, sums, rows_max=256)
    steps = await follow_all(each, rows, sums)
    assert sums.applied == [*range(400), 1_000]
    assert sums.aside == ["ValueError: bad row"]
    assert each.rows_set_aside == 1
    assert steps < 60, "found by halving, not row by row"
    rows.rows[5] += range(1_000)
    await follow_all(each, rows, sums)
    assert rows.asked[-1] == 256, "pages are of full size again"


async def test_a_fault_that_would_hit_every_row_ends_the_follower() -> None:
    rows, sums = Rows(p0=[1, 2]), Sum()
    sums.error = asyncpg.UndefinedTableError("a fault of the schema")
    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(follower(rows, sums).run(asyncio.Event()), 30)
    assert sums.aside == []


@pytest.mark.parametrize("fault", [AssertionError("no such kind"), RecursionError("too deep")])
async def test_whatever_a_row_raises_is_its_own_fault(fault: Exception) -> None:
    rows, sums = Rows(p0=[1, 2, BAD, 3]), Sum()
    sums.poison = fault
    await follow_all(follower(rows, sums), rows, sums)
    assert (sums.applied, len(sums.aside)) == ([1, 2, 3], 1)


async def test_a_row_that_a_peer_refuses_is_tried_some_times_and_set_aside() -> None:
    rows, sums = Rows(p0=[1, BAD, 2], p5=[3]), Sum()
    sums.poison = RefusedByPeerError("INTERNAL")
    each, stopping = follower(rows, sums), asyncio.Event()
    running = asyncio.create_task(each.run(stopping))
    while len(sums.applied) < 3:
        assert not running.done()
        await asyncio.sleep(0)
    stopping.set()
    await running
    assert sorted(sums.applied) == [1, 2, 3]
    assert sums.aside == ["RefusedByPeerError: INTERNAL"]
    assert sums.refused_alone == REFUSED_TRIES


async def test_a_peer_that_refuses_for_a_while_costs_no_row() -> None:
    rows, sums = Rows(p0=[1, BAD, 2]), Sum()
    sums.poison = RefusedByPeerError("INTERNAL")
    each = follower(rows, sums)
    for _ in range(REFUSED_TRIES):
        with contextlib.suppress(RefusedByPeerError):
            await each.step(0)
    rows.rows[0][1] = 7
    await follow_all(each, rows, sums)
    assert (sums.applied, sums.aside) == ([1, 7, 2], [])


async def test_a_service_that_is_away_is_asked_again_and_noted() -> None:
    rows, sums, faults = Rows(p0=[1, 2, 3]), Sum(), list[None]()
    rows.away = 3
    each = Follower(rows, sums, rows_max=8, failed=lambda: faults.append(None), backoff=Backoff(0.0, 0.0))
    stopping = asyncio.Event()
    running = asyncio.create_task(each.run(stopping))
    while not sums.applied:
        assert not running.done()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (sums.applied, len(faults), each.error) == ([1, 2, 3], 3, "")
    stopping.set()
    await running


async def test_where_another_process_went_on_the_follower_goes_on() -> None:
    rows, sums = Rows(p0=[1, 2, 3, 4]), Sum()
    one, other = follower(rows, sums, 2), follower(rows, sums, 2)
    await one.step(0)
    await other.step(0)
    with pytest.raises(CursorMovedError):
        await one.step(0)
    rows.rows[0] += [5]
    await one.step(0)
    assert sums.applied == [1, 2, 3, 4, 5]
