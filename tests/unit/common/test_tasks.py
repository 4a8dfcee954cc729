"""Work that ends with its service."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.tasks import work_until


async def test_endless_work_is_cancelled_when_the_service_stops() -> None:
    stopping, seen = asyncio.Event(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    running = asyncio.ensure_future(work_until(stopping, work(), name="work"))
    await asyncio.sleep(0)
    assert not running.done()
    stopping.set()
    await running
    assert seen == ["ended"]


async def test_work_that_fails_is_told_at_once() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work_until(asyncio.Event(), work(), name="work")


async def test_a_cancellation_from_outside_ends_the_work_too() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.ensure_future(work_until(asyncio.Event(), work(), name="work"))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
