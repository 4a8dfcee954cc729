"""Calls that come together are worked off together; one's fault is not another's, and every size is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import pytest

from libs.common.batching import Batcher, Lanes
from libs.common.callers import ITSELF, Caller, caller, calling
from libs.common.errors import NotFound, ResourceExhausted

Work = Callable[[list[int]], Awaitable[Sequence[float]]]


class AwayError(Exception):
    """A server does not answer."""


def batcher(work: Work, *, size_max: int = 500, waiting_max: int = 20_000) -> Batcher[int, float]:
    return Batcher("numbers", work, size_max=size_max, waiting_max=waiting_max, retry_after_s=0.5)


async def invert(items: list[int]) -> list[float]:
    return [1 / item for item in items]


async def test_callers_get_their_own_results_from_common_batches() -> None:
    batches: list[list[int]] = []

    async def double(items: list[int]) -> list[int]:
        batches.append(items)
        await asyncio.sleep(0)
        return [2 * item for item in items]

    work = batcher(double)
    results = await asyncio.gather(*(work.submit([number, number + 1]) for number in range(100)))
    assert results == [[2 * number, 2 * number + 2] for number in range(100)]
    assert len(batches) < 10
    await work.drain()
    assert work.pending == 0


async def test_what_waits_makes_the_next_batch_up_to_its_size() -> None:
    sizes: list[int] = []
    gate = asyncio.Event()

    async def count(items: list[int]) -> list[int]:
        sizes.append(len(items))
        await gate.wait()
        return items

    work = batcher(count, size_max=4)
    calls = [asyncio.create_task(work.submit_one(number)) for number in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*calls) == list(range(10))
    assert sizes == [4, 4, 2]


async def test_a_call_is_never_split() -> None:
    batches: list[list[int]] = []

    async def keep(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    work = batcher(keep, size_max=4)
    await asyncio.gather(work.submit([1, 2, 3]), work.submit([4, 5, 6]))
    assert batches == [[1, 2, 3], [4, 5, 6]]


async def test_a_batch_is_bounded_in_bytes_and_a_larger_call_goes_alone() -> None:
    batches: list[list[int]] = []

    async def keep(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    work: Batcher[int, int] = Batcher(
        "bodies",
        keep,
        size_max=100,
        waiting_max=100,
        retry_after_s=1.0,
        bytes_of=lambda size: size,
        bytes_max=10,
    )
    await asyncio.gather(*(work.submit_one(size) for size in (4, 6, 1, 99, 5, 5)))
    assert batches == [[4, 6], [1], [99], [5, 5]]


async def test_a_fault_hits_its_own_caller_only() -> None:
    work = batcher(invert)
    good, bad, late = await asyncio.gather(
        work.submit([1, 2]), work.submit([0]), work.submit([4]), return_exceptions=True
    )
    assert (good, late) == ([1.0, 0.5], [0.25])
    assert isinstance(bad, ZeroDivisionError)


async def test_a_server_that_is_away_is_told_to_all_at_once() -> None:
    tries = 0

    async def away(items: list[int]) -> list[int]:
        nonlocal tries
        tries += 1
        raise AwayError

    work: Batcher[int, int] = Batcher(
        "numbers", away, size_max=10, waiting_max=10, retry_after_s=1.0, away=(AwayError,)
    )
    results = await asyncio.gather(*(work.submit_one(each) for each in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [AwayError] * 5
    assert tries == 1


async def test_too_much_is_refused_and_what_was_taken_is_done() -> None:
    work = batcher(invert, waiting_max=3)
    first = asyncio.create_task(work.submit([1, 2]))
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted):
        await work.submit([3, 4])
    await work.drain()
    assert await first == [1.0, 0.5]


async def test_a_caller_who_gave_up_is_not_worked_for() -> None:
    worked: list[int] = []
    gate = asyncio.Event()

    async def keep(items: list[int]) -> list[int]:
        await gate.wait()
        worked.extend(items)
        return items

    work = batcher(keep)
    first = asyncio.create_task(work.submit_one(1))
    await asyncio.sleep(0)
    second = asyncio.create_task(work.submit_one(2))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    assert await first == 1
    await work.drain()
    assert worked == [1]
    assert work.pending == 0


async def test_work_that_answers_short_is_told_to_its_callers() -> None:
    async def forgetful(items: list[int]) -> list[int]:
        return items[1:]

    work = batcher(forgetful)
    results = await asyncio.wait_for(
        asyncio.gather(work.submit_one(1), work.submit_one(2), return_exceptions=True), 5
    )
    assert [type(result) for result in results] == [AssertionError, AssertionError]
    assert work.pending == 0


async def test_callers_of_cancelled_work_do_not_wait_for_ever() -> None:
    began = asyncio.Event()

    async def endless(items: list[int]) -> list[int]:
        began.set()
        await asyncio.Event().wait()
        return items

    work = batcher(endless, size_max=1)
    calls = [asyncio.create_task(work.submit_one(number)) for number in range(2)]
    await began.wait()
    (running,) = [task for task in asyncio.all_tasks() if task.get_name() == "numbers"]
    running.cancel()
    results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


class Held:
    """Work that is held until `free` is set; notes its batches as they begin."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()

    async def work(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.free.wait()
        if 13 in items:
            raise ZeroDivisionError
        return [2 * item for item in items]


def by_parity(held: Held, *, size_max: int = 500, together_max: int = 0) -> Batcher[int, int]:
    lanes = Lanes[int](2, lambda item: 1 - item % 2, together_max)
    return Batcher("numbers", held.work, size_max=size_max, waiting_max=1_000, retry_after_s=0.5, lanes=lanes)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_lanes_go_on_beside_each_other_and_each_in_its_order() -> None:
    held = Held()
    work = by_parity(held)
    calls = [asyncio.create_task(work.submit_one(number)) for number in (1, 2)]
    await settle()
    calls += [asyncio.create_task(work.submit_one(number)) for number in (3, 4, 5, 6)]
    await settle()
    assert held.batches == [[1], [2]]
    assert (work.waiting, work.pending) == (4, 6)
    held.free.set()
    assert await asyncio.gather(*calls) == [2, 4, 6, 8, 10, 12]
    assert held.batches == [[1], [2], [3, 5], [4, 6]]


async def test_results_of_a_call_over_several_lanes_come_in_its_order() -> None:
    held = Held()
    held.free.set()
    assert await by_parity(held).submit([4, 1, 3, 2]) == [8, 2, 6, 4]
    assert held.batches == [[1, 3], [4, 2]]


async def test_little_is_one_batch_of_all_lanes_and_gathers_behind_others() -> None:
    held = Held()
    work = by_parity(held, together_max=3)
    first = asyncio.create_task(work.submit_one(1))
    await settle()
    later = [asyncio.create_task(work.submit_one(number)) for number in (2, 3)]
    await settle()
    assert held.batches == [[1]], "the other lane is free, and waits all the same"
    held.free.set()
    await asyncio.gather(first, *later)
    assert held.batches == [[1], [3, 2]]
    await work.submit([1, 2, 3, 4])
    assert held.batches[2:] == [[1, 3], [2, 4]]


async def test_a_fault_of_one_lane_is_told_to_callers_of_that_lane_only() -> None:
    held = Held()
    held.free.set()
    work = by_parity(held)
    bad, good, late = await asyncio.gather(
        work.submit([13, 2]), work.submit_one(4), work.submit_one(5), return_exceptions=True
    )
    assert isinstance(bad, ZeroDivisionError)
    assert (good, late) == (8, 10)
    await work.drain()
    assert work.pending == 0


@pytest.mark.rule("X-05")
async def test_what_waits_in_lanes_is_done_before_a_drain_ends() -> None:
    held = Held()
    work = by_parity(held, size_max=1)
    calls = [asyncio.create_task(work.submit_one(number)) for number in range(6)]
    await asyncio.sleep(0)
    held.free.set()
    await work.drain()
    assert len(held.batches) == 6
    assert await asyncio.gather(*calls) == [0, 2, 4, 6, 8, 10]


async def test_a_client_of_one_team_hands_in_items_of_that_team_alone() -> None:
    work = Batcher(
        "teams", invert, size_max=5, waiting_max=5, retry_after_s=0.5, team_of=lambda n: UUID(int=n)
    )
    with calling(Caller.of(UUID(int=9), "shop", UUID(int=1), [2])):
        assert await work.submit([1, 1]) == [1.0, 1.0]
        with pytest.raises(NotFound):
            await work.submit([1, 2])
    assert await work.submit([1, 2]) == [1.0, 0.5]


async def test_a_batch_is_of_many_callers_and_runs_as_the_process_itself() -> None:
    seen: list[Caller] = []

    async def note(items: list[int]) -> list[int]:
        seen.append(caller())
        await asyncio.sleep(0)
        return items

    work = batcher(note, size_max=2)
    with calling(Caller.of(UUID(int=9), "shop", UUID(int=1), [2])):
        await asyncio.gather(*(work.submit([number, number]) for number in range(3)))
    assert seen == [ITSELF] * 3


def splitting(work: Work) -> Batcher[int, float]:
    return Batcher(
        "numbers",
        work,
        size_max=500,
        waiting_max=20_000,
        retry_after_s=0.5,
        away=(AwayError,),
        failed=lambda error: None if isinstance(error, ResourceExhausted) else -1.0,
    )


@pytest.mark.parametrize("places", [[0], [7], [3, 4], [0, 1, 2, 9]], ids=str)
async def test_an_item_that_always_fails_has_a_result_of_its_own(places: list[int]) -> None:
    items = [0 if place in places else 2 for place in range(10)]
    done: list[int] = []

    async def once_each(part: list[int]) -> list[float]:
        results = await invert(part)
        done.extend(part)
        return results

    assert await splitting(once_each).submit(items) == [-1.0 if item == 0 else 0.5 for item in items]
    assert done == [2] * (10 - len(places))


async def test_a_call_of_one_item_fails_with_it_beside_others() -> None:
    work = splitting(invert)
    alone, others = await asyncio.gather(work.submit([0]), work.submit([0, 4]), return_exceptions=True)
    assert isinstance(alone, ZeroDivisionError)
    assert others == [-1.0, 0.25]


async def test_what_is_no_items_fault_is_that_of_the_call() -> None:
    tries = 0

    async def never(items: list[int]) -> list[float]:
        nonlocal tries
        tries += 1
        raise ValueError("no such table")

    with pytest.raises(ValueError, match="no such table"):
        await splitting(never).submit([1] * 500)
    assert tries < 40

    async def busy(items: list[int]) -> list[float]:
        raise ResourceExhausted.overloaded("connections", 1.0)

    with pytest.raises(ResourceExhausted):
        await splitting(busy).submit([1, 2])

    async def away_in_part(items: list[int]) -> list[float]:
        if len(items) == 1:
            raise AwayError
        return await invert(items)

    with pytest.raises(AwayError):
        await splitting(away_in_part).submit([1, 0])


async def test_one_that_floods_leaves_room_for_the_others() -> None:
    gate = asyncio.Event()

    async def wait(items: list[int]) -> list[int]:
        await gate.wait()
        return items

    work: Batcher[int, int] = Batcher(
        "numbers", wait, size_max=500, waiting_max=1_200, retry_after_s=0.5, shared_by=lambda item: item % 10
    )
    calls: list[asyncio.Task[int]] = []

    async def fill(owner: int) -> int:
        count = 0
        while True:
            call = asyncio.create_task(work.submit_one(owner))
            await asyncio.sleep(0)
            if call.done():
                with pytest.raises(ResourceExhausted):
                    await call
                return count
            calls.append(call)
            count += 1

    assert [await fill(owner) for owner in (1, 2, 3)] == [600, 300, 150]
    gate.set()
    await asyncio.gather(*calls)
    assert await work.submit_one(1) == 1, "what is done leaves room"
