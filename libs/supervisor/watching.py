"""Ends a process that runs and answers no more, so that what keeps it alive starts it again."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

import structlog

from libs.supervisor.managed import ManagedProcess

LOOK_EVERY_S: Final = 10.0
SILENT_S_MAX: Final = 60.0
"""Longer than any pause of a machine that is only busy."""

_log = structlog.get_logger(__name__)


async def end_when_silent(process: ManagedProcess) -> None:
    """Looks at a process that answers, again and again. When it did not for SILENT_S_MAX it is killed; started again it
    has time until it has answered. Runs until cancelled."""
    child, answered_s = process.child, time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if process.child is not child:
            child, answered_s = process.child, 0.0
        now_s = time.monotonic()
        if await process.ready():
            answered_s = now_s
        elif (
            answered_s and now_s - answered_s > SILENT_S_MAX and child is process.child and child is not None
        ):
            _log.warning(
                "process_silent", process=process.name, pid=child.pid, silent_s=round(now_s - answered_s)
            )
            child.send(signal.SIGKILL)
            answered_s = 0.0
