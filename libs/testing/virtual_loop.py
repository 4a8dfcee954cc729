"""An event loop whose time jumps: coroutines run as they are, nothing waits, and the same run can be had again.

It has no sockets, threads or signals. Callbacks run in the order of their making, timers in the order of their times;
`time` moves only when nobody can run, and then straight to the next timer. With all chance taken from one seeded
generator a run is the same on every machine.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, TypeVar

ROUNDS_MAX: Final = 20_000
"""Rounds of callbacks at one moment; more is somebody spinning."""
T = TypeVar("T")


class Stalled(Exception):
    """Somebody waits for what nobody will ever do."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs one main coroutine and everything it starts."""

    def __init__(self, *, seconds_max: float) -> None:
        """A run that is not over by `seconds_max` of its own time is `Stalled`."""
        self._seconds_max = seconds_max
        self._now = 0.0
        self._rounds = 0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()
        self.faults: list[BaseException] = []
        """What callbacks raised, and what ended tasks that nobody asked."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs until `main` ends. Raises what it raises, and `Stalled`."""
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            events._set_running_loop(None)

    def _step(self) -> None:
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            raise Stalled(f"somebody spins at {self._now} s")
        if not self._ready:
            self._jump()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _jump(self) -> None:
        """Time goes on to the next timer."""
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if timer.cancelled():
                continue
            if when > self._now:
                self._now, self._rounds = when, 0
            self._ready.append(timer)
            if self._now > self._seconds_max:
                raise Stalled(f"not done after {self._seconds_max} s of virtual time")
            if not self._timers or self._timers[0][0] > self._now:
                return
        if not self._ready:
            raise Stalled("nobody can run and no timer is set")

    # -- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def call_soon(  # type: ignore[override]  # typeshed's variadic form
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio`."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        """See `asyncio`."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """See `asyncio`."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Always, for whoever can ask."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keeps the fault for whoever judges the run."""
        fault = context.get("exception")
        self.faults.append(fault if fault is not None else RuntimeError(context.get("message")))
