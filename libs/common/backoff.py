"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

T = TypeVar("T")

_CHANCE: Final = random.Random()  # noqa: S311 - only so that callers do not come back together


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_s` up to `max_s`, real seconds."""

    first_s: float
    max_s: float
    spread: float = 0.0
    """The share of each wait that chance may take away, 0 to 1: many callers of one server do not come back together.
    0 where a seed has to replay the run."""

    def delay_s(self, failures: int, chance: random.Random = _CHANCE) -> float:
        """The wait after `failures` failures on end, at least 1."""
        assert failures >= 1
        # Bounded before it is raised to a power: a server may be away for days.
        delay_s = min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return delay_s * (1 - self.spread * chance.random()) if self.spread else delay_s


class Retries:
    """Failures on end of a loop that does not give up."""

    def __init__(self, backoff: Backoff) -> None:
        """None yet."""
        self._backoff = backoff
        self.failures = 0

    def failed(self) -> float:
        """Notes a failure; returns how long to wait, real seconds."""
        self.failures += 1
        return self._backoff.delay_s(self.failures)

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        self.failures = 0


Passing = tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which errors may pass by themselves: kinds, or a test."""


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    backoff: Backoff,
    passing: Passing,
    attempts: int | None = None,
    give_up: Callable[[], bool] = lambda: False,
    failed: Callable[[int, Exception], None] = lambda _attempt, _error: None,
) -> T:
    """The answer of an idempotent `call`, made again after a wait while it fails with a `passing` error.

    `attempts` bounds the calls, the first one included; None: no bound. `give_up` is asked before each repetition.
    `failed` hears the number of each failed attempt, from 1, and its error, when it is to be repeated. Raises the last
    error.
    """
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - it is raised again below, as the first attempt
        first: list[Exception] = [error]

    async def attempt() -> T:
        if first:
            raise first.pop()
        return await call()

    # Made after a failure only: it costs 70 µs, and most calls are answered.
    repeated = AsyncRetrying(
        sleep=asyncio.sleep,
        wait=lambda state: backoff.delay_s(state.attempt_number),
        retry=retry_if_exception(lambda error: isinstance(error, Exception) and _is_passing(error, passing)),
        stop=lambda state: state.attempt_number == attempts or give_up(),
        before_sleep=lambda state: failed(state.attempt_number, _error_of(state)),
        reraise=True,
    )
    return await repeated(attempt)


def _error_of(state: RetryCallState) -> Exception:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Exception), "only errors are repeated"
    return error


def _is_passing(error: Exception, passing: Passing) -> bool:
    return isinstance(error, passing) if isinstance(passing, tuple) else passing(error)
