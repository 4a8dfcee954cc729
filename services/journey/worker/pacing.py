"""When a worker begins its next batch, and how long it sleeps when there is none. Real seconds throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.common.backoff import Backoff, Retries

LINGER_S: Final = 0.01
"""Batches begin at least so far apart: a batch of one customer costs every service that it asks nearly what one of ten
does. What comes when nothing was done for so long is begun at once."""
IDLE_WAIT_S: Final = 5.0
"""Longest sleep: the bound on how late a missed wake-up is noticed. After a break everything is looked at anyway."""
OUTAGE_BACKOFF: Final = Backoff(first_s=0.2, max_s=2.0)
"""Waits between looks while a server or service does not answer."""


class Pacing:
    """Decides, and waits for nothing itself."""

    def __init__(self, real_time: Callable[[], float]) -> None:
        """`real_time` gives seconds that never run backwards."""
        self._real_time = real_time
        self._begun_at = -LINGER_S
        self._outages = Retries(OUTAGE_BACKOFF)

    def linger_s(self) -> float:
        """How long to let a batch gather: for as long as the last one is that young."""
        return max(0.0, self._begun_at + LINGER_S - self._real_time())

    def batch_begins(self) -> None:
        """The next one begins LINGER_S later at the earliest."""
        self._begun_at = self._real_time()

    def outage(self) -> float:
        """A server or service did not answer; returns how long to wait before the next look."""
        return self._outages.failed()

    @property
    def outages(self) -> int:
        """How many there were on end."""
        return self._outages.failures

    def calm(self) -> None:
        """A look went through: the next outage is a first one."""
        self._outages.succeeded()

    def sleep_s(self, *, look_at: float | None, timer_s: float | None) -> float:
        """How long to sleep: until a time for a look (real), the next timer (so many seconds away), or idly."""
        waits = [IDLE_WAIT_S]
        if look_at is not None:
            waits.append(look_at - self._real_time())
        if timer_s is not None:
            waits.append(timer_s)
        return max(0.0, min(waits))
