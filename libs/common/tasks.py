"""Work that goes on until a service stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


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
