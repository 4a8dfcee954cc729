"""Starts a process again when it died, with growing pauses, and tells why."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from libs.common.backoff import Backoff
from libs.embedded.errors import EmbeddedError
from libs.embedded.process import Child, describe_exit

BACKOFF = Backoff(0.2, 10.0)
"""Pauses after deaths in a row."""
STABLE_S = 30.0
"""A process that lived this long is taken for healthy: its next death is again answered by the shortest pause."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Died:
    """A process ended without being asked to, or could not be started again."""

    name: str
    why: str
    """For people: `exit code 3`, `signal SIGKILL`, or why it did not start."""
    log: Path | None
    delay_s: float
    """Seconds until it is started again."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """A process runs again."""

    name: str
    pid: int


Event = Died | Restarted
Listener = Callable[[Event], None]


class Restartable(Protocol):
    """Something that runs as a child process."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def child(self) -> Child | None:
        """The present or last child; None before the first start."""

    async def start(self) -> None:
        """Starts a new child. Errors: EmbeddedError, OSError."""


def log_event(event: Event) -> None:
    """The listener of those who have no better one."""
    if isinstance(event, Died):
        _log.warning("process_died", process=event.name, why=event.why, restart_in_s=event.delay_s)
    else:
        _log.info("process_restarted", process=event.name, pid=event.pid)


async def keep_alive(process: Restartable, listener: Listener = log_event) -> None:
    """Watches a started process and starts it again whenever it ends. Runs until cancelled; stops nothing itself."""
    deaths = 0
    while True:
        why, lived_s = await _until_death(process)
        deaths = 1 if lived_s >= STABLE_S else deaths + 1
        while True:
            delay_s = BACKOFF.delay_s(deaths)
            child = process.child
            listener(Died(process.name, why, child.spec.log if child else None, delay_s))
            await asyncio.sleep(delay_s)
            try:
                await process.start()
                break
            except (EmbeddedError, OSError) as error:
                why = str(error)
                deaths += 1
        if process.child is not None:
            listener(Restarted(process.name, process.child.pid))


async def _until_death(process: Restartable) -> tuple[str, float]:
    """Waits for the end of the present child. Returns why it ended and how many seconds it lived."""
    child = process.child
    assert child is not None, f"{process.name} was never started"
    code = await child.wait()
    assert code is not None
    return describe_exit(code), time.monotonic() - child.started_at_s
