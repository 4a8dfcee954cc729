"""Long work that is done step by step: goes on with each piece until it has ended, wherever a crash left it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.backoff import Backoff, Retries
from libs.common.logging import about
from libs.common.rpc.operations import Lag, Progress
from libs.common.tasks import any_set

_POLL_S: Final = 5.0
"""How often a worker looks by itself: another process may have left something."""
_RETRY_S: Final = 0.5
_FAULTY: Final = Backoff(first_s=1.0, max_s=600.0)
"""Waits between tries of a piece that cannot be worked on; the others go on meanwhile."""

_log = structlog.get_logger(__name__)


class Steps(Protocol):
    """What is worked on."""

    async def unfinished(self) -> Sequence[tuple[UUID, UUID]]:
        """Team and id of all that is to be gone on with."""
        ...

    async def step(self, team_id: UUID, id_: UUID) -> int:
        """Does the next step; returns how many items it handled, 0 at the end. The same step again is safe."""
        ...


class StepWorker:
    """A loop, see `libs.common.tasks`. Also a probe: what was started and has not ended is pending."""

    def __init__(
        self,
        what: str,
        steps: Steps,
        progress: Progress,
        *,
        passing: tuple[type[Exception], ...],
        done: Callable[[int], None],
        failed: Callable[[], None],
    ) -> None:
        """`what` it is, for the log. Errors of `passing` pass by themselves: the step is done again. `done` is told
        how many items a step handled, `failed` that one cannot be done; `progress` counts items."""
        self.progress = progress
        self._what = what
        self._steps = steps
        self._passing = passing
        self._done = done
        self._failed = failed
        self._awake = asyncio.Event()
        self._faulty: dict[tuple[UUID, UUID], tuple[Retries, float]] = {}
        """What failed, and when it is tried again."""

    def wake(self) -> None:
        """There is something to be done."""
        self._awake.set()

    async def lag(self) -> Lag:
        """What has not ended."""
        return Lag(pending=len(await self._steps.unfinished()), progress=str(self.progress))

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two steps."""
        while not stopping.is_set():
            self._awake.clear()
            wait_s = _POLL_S
            try:
                await self._sweep(stopping)
            except self._passing as error:
                _log.warning("interrupted, it goes on", what=self._what, error=repr(error))
                wait_s = _RETRY_S
            await any_set(self._awake, stopping, timeout_s=wait_s)

    async def _sweep(self, stopping: asyncio.Event) -> None:
        """A step of each in turn, so that none waits for the end of another, until all have ended."""
        while not stopping.is_set():
            unfinished = await self._steps.unfinished()
            due = [key for key in unfinished if self._is_due(key)]
            self._faulty = {key: kept for key, kept in self._faulty.items() if key in unfinished}
            if not due:
                return
            for key in due:
                if not stopping.is_set():
                    await self._step(key)

    async def _step(self, key: tuple[UUID, UUID]) -> None:
        try:
            items = await self._steps.step(*key)
        except self._passing:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is this one's: the others go on
            _log.exception("cannot be worked on", what=self._what, id=str(key[1]), **about(team_id=key[0]))
            self._failed()
            retries, _ = self._faulty.get(key) or (Retries(_FAULTY), 0.0)
            self._faulty[key] = retries, time.monotonic() + retries.failed()
            return
        self._faulty.pop(key, None)
        self.progress.add(items or 1)
        if items:
            self._done(items)

    def _is_due(self, key: tuple[UUID, UUID]) -> bool:
        return key not in self._faulty or self._faulty[key][1] <= time.monotonic()
