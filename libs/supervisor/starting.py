"""What a start has come to, what it still waits for, and when it gives up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from libs.common.process import EXIT_SERVER_AWAY
from libs.embedded.errors import StartFailedError
from libs.embedded.process import describe_exit
from libs.supervisor.managed import ManagedProcess

READY_WITHIN_S: Final = 600.0
"""A process that runs is waited for so long: on a machine that does much else, one of several may take minutes."""
TELL_EVERY_S: Final = 10.0
AWAY_MAX: Final = 3
"""How often a process may end since a server did not answer it in time; then its address is taken for wrong."""
_POLL_S: Final = 0.05
_POLL_SHARE: Final = 0.02
"""Of the time that was waited already: looking often would take from a busy machine what is waited for."""
_BUSY: Final = 2.0
"""Runnable processes a core from which on it is said that the machine is busy."""


class Start:
    """Says in words for people what was reached and, when nothing was for a while, what is waited for."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waits_for = ""
        self._said_s = time.monotonic()

    def waits_for(self, what: str) -> None:
        """What comes next."""
        self._waits_for = what

    def reached(self, what: str) -> None:
        """Says it."""
        self._said_s = time.monotonic()
        self._say(what)

    async def keep_telling(self) -> None:
        """Says what is waited for whenever nothing was said for TELL_EVERY_S. Runs until cancelled."""
        while True:
            left_s = self._said_s + TELL_EVERY_S - time.monotonic()
            if left_s <= 0:
                self.reached(f"still waiting for {self._waits_for}{_busy()}")
            await asyncio.sleep(max(left_s, _POLL_S))


def _busy() -> str:
    a_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    return f"; the machine is busy: {a_core:.0f} processes want each core" if a_core >= _BUSY else ""


async def until_ready(processes: Mapping[str, ManagedProcess], start: Start, log_dir: Path) -> None:
    """Waits until each of them answers. One that ends, since a server did not answer it in time, is started again; one
    that ends otherwise would do so again. Raises StartFailedError."""
    began_s = time.monotonic()
    waiting, away = dict(processes), dict.fromkeys(processes, 0)
    while waiting:
        start.waits_for(f"{', '.join(waiting)} (see {log_dir})")
        for name, process in list(waiting.items()):
            await _start_again_if_away(process, away, start)
            if await process.ready():
                start.reached(f"{name} serves" if name != "emulators" else "emulators serve")
                del waiting[name]
        waited_s = time.monotonic() - began_s
        if waiting and waited_s > READY_WITHIN_S:
            raise StartFailedError(f"not ready after {waited_s:.0f} s: {', '.join(waiting)}; see {log_dir}")
        if waiting:
            await asyncio.sleep(max(_POLL_S, waited_s * _POLL_SHARE))


async def _start_again_if_away(process: ManagedProcess, away: dict[str, int], start: Start) -> None:
    """Its own last words are what is shown where it is not. Raises StartFailedError."""
    assert process.child is not None
    code = process.child.returncode
    if code is None:
        return
    away[process.name] += 1
    if code != EXIT_SERVER_AWAY or away[process.name] > AWAY_MAX:
        raise StartFailedError(
            f"{process.name} ended at its start ({describe_exit(code)}); {process.child.log_end()}"
        )
    start.reached(f"{process.name} was not answered in time by a server, and is started again")
    await process.start()
