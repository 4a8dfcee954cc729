"""Single calls become batches; one batch's fault is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.errors import ResourceExhausted
from services.channel_gateway.batcher import Batcher


async def test_what_waits_makes_the_next_batch() -> None:
    sizes: list[int] = []
    gate = asyncio.Event()

    async def work(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        await gate.wait()
        return [item * 2 for item in items]

    batcher = Batcher(work, size_max=4, waiting_max=100, name="test")
    calls = [asyncio.create_task(batcher.submit(number)) for number in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*calls) == [number * 2 for number in range(10)]
    assert sizes == [4, 4, 2]


async def test_a_fault_reaches_its_batch_only() -> None:
    async def work(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise ValueError("spoilt")
        return list(items)

    batcher = Batcher(work, size_max=2, waiting_max=100, name="test")
    results = await asyncio.gather(*(batcher.submit(number) for number in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError, int, int]


async def test_too_many_waiting_are_refused() -> None:
    async def work(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.01)
        return list(items)

    batcher = Batcher(work, size_max=1, waiting_max=2, name="test")
    results = await asyncio.gather(*(batcher.submit(number) for number in range(5)), return_exceptions=True)
    assert [isinstance(result, ResourceExhausted) for result in results].count(True) == 3
    with pytest.raises(ResourceExhausted):
        await asyncio.gather(*(batcher.submit(number) for number in range(5)))
