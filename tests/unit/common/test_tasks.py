"""Work that ends with its service."""

from __future__ import annotations

import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from libs.common.tasks import any_set, running, set_within, to_its_end, work_until


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


async def test_an_event_is_waited_for_until_its_time_is_over() -> None:
    event = asyncio.Event()
    assert not await set_within(event, 0)
    assert not await set_within(event, 0.01)
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await set_within(event, 60)
    assert await set_within(event, 0)


async def test_the_first_of_several_events_ends_the_wait() -> None:
    one, other = asyncio.Event(), asyncio.Event()
    await any_set(one, other, timeout_s=0.01)
    asyncio.get_running_loop().call_later(0.01, other.set)
    await asyncio.wait_for(any_set(one, other), 30)
    await asyncio.wait_for(any_set(one, other), 30)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1, "no wait is left behind"


class Counting:
    """A loop that notes how it ends."""

    def __init__(self) -> None:
        self.ended = False

    async def run(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        await asyncio.sleep(0.01)
        self.ended = True


async def test_a_loop_runs_for_as_long_as_its_block_and_is_waited_for() -> None:
    loop = Counting()
    async with running(loop, name="loop"):
        await asyncio.sleep(0.01)
        assert not loop.ended
    assert loop.ended


async def test_what_a_loop_raises_comes_out_of_its_block() -> None:
    class Failing:
        async def run(self, stopping: asyncio.Event) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with running(Failing(), name="loop"):
            await asyncio.sleep(0)


async def test_work_goes_on_without_its_caller_and_its_failure_is_logged_once() -> None:
    may_end, unseen = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))

    async def work(result: int) -> int:
        await may_end.wait()
        return 1 // result

    left = [asyncio.create_task(to_its_end(work(number))) for number in (0, 1)]
    await asyncio.sleep(0)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert all(task.cancelled() for task in left)
    with capture_logs() as logs:
        may_end.set()
        assert await to_its_end(work(1)) == 1
        with pytest.raises(ZeroDivisionError):
            await to_its_end(work(0))
        del left, task
        gc.collect()
    assert [(log["log_level"], log["error"][:17]) for log in logs] == [("warning", "ZeroDivisionError")]
    assert not unseen, "the event loop has nothing to say of it"
