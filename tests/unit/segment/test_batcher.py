"""Calls that come together are worked off together, and one's fault is not another's."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.errors import ResourceExhausted
from services.segment import batcher
from services.segment.batcher import Batcher


async def test_callers_get_their_own_results_from_common_batches() -> None:
    batches: list[list[int]] = []

    async def double(items: list[int]) -> list[int]:
        batches.append(items)
        await asyncio.sleep(0)
        return [2 * item for item in items]

    work = Batcher("numbers", double)
    stopping = asyncio.Event()
    running = asyncio.create_task(work.run(stopping))
    results = await asyncio.gather(*(work.submit([number, number + 1]) for number in range(100)))
    assert results == [[2 * number, 2 * number + 2] for number in range(100)]
    assert len(batches) < 10
    assert work.pending == 0
    stopping.set()
    await asyncio.wait_for(running, 1)


async def test_a_fault_hits_its_own_caller_only() -> None:
    async def invert(items: list[int]) -> list[float]:
        return [1 / item for item in items]

    work = Batcher("numbers", invert)
    stopping = asyncio.Event()
    running = asyncio.create_task(work.run(stopping))
    good, bad, late = await asyncio.gather(
        work.submit([1, 2]), work.submit([0]), work.submit([4]), return_exceptions=True
    )
    assert (good, late) == ([1.0, 0.5], [0.25])
    assert isinstance(bad, ZeroDivisionError)
    stopping.set()
    await asyncio.wait_for(running, 1)


async def test_too_much_is_refused_and_waiting_work_is_done_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "QUEUE_MAX", 3)

    async def same(items: list[int]) -> list[int]:
        return items

    work = Batcher("numbers", same)
    first = asyncio.create_task(work.submit([1, 2]))
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted):
        await work.submit([3, 4])
    stopping = asyncio.Event()
    stopping.set()
    await asyncio.wait_for(work.run(stopping), 1)
    assert await first == [1, 2]
