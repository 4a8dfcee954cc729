"""Work that goes on until a service stops, and waits that end with it.

Two forms, and no other:

- A **loop** has `run(stopping)`. Making it does nothing. `run` works until `stopping` is set, ends between two units of
  work and leaves nothing behind that the next start would not find; cancelling it is allowed at any await. Where others
  can give it work, it has `wake()`, which makes it look at once and may be called at any time. One unit of work is
  `step()`, so that tests need no loop.
- A **batcher** (`libs.common.batching`) has `submit` and `drain`: it works only while callers wait for their answers.

`Runtime.spawn` runs loops until the service stops, `Runtime.running` those that others need until they have ended. A
loop that ends before it is told to, by an error or by itself, ends the service.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Loop(Protocol):
    """What the composition root runs for as long as the service lives."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set. Raises what no repetition would cure."""
        ...


@contextlib.asynccontextmanager
async def running(loop: Loop, *, name: str) -> AsyncIterator[None]:
    """Runs a loop for as long as the block, tells it to stop at the end and waits for it. Raises what it raises."""
    stopping = asyncio.Event()
    task = asyncio.create_task(loop.run(stopping), name=name)
    try:
        yield
    finally:
        stopping.set()
        await task


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that goes on when its caller is cancelled; that it failed then is logged, since nobody else
    hears of it. Raises what it raises."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_note_failure)
        raise


def _note_failure(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("work failed that its caller had left", error=repr(error))


async def set_within(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether `event` is set, at the latest after `timeout_s` real seconds."""
    if timeout_s > 0:
        with contextlib.suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it may swallow a cancellation.
            async with asyncio.timeout(timeout_s):
                await event.wait()
    return event.is_set()


async def any_set(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Ends when one of the events is set, at the latest after `timeout_s` real seconds (None: no limit)."""
    if any(event.is_set() for event in events):
        return
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def work_until(stopping: asyncio.Event, work: Coroutine[Any, Any, None], *, name: str) -> None:
    """Runs endless `work` until `stopping` is set, then cancels it. Raises what `work` raises if it ends by itself."""
    task = asyncio.create_task(work, name=name)
    stop = asyncio.create_task(stopping.wait(), name=f"{name}: stop")
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
