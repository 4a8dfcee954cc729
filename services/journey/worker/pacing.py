"""When a worker begins its next batch, and how long it sleeps when there is none. Real seconds throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.common.backoff import Backoff, Retries

LINGER_S: Final = 0.01
"""Batches begin at least so far apart where nobody knows whether CPUs are free: a batch of one customer costs every
service that it asks nearly what one of ten does. What comes when nothing was done for so long is begun at once."""
LINGER_MAX_S: Final = 0.02
"""The same while CPUs are short and batches are small."""
CPU_FREE: Final = 0.1
CPU_SHORT: Final = 0.5
"""Of the time that the worker could run, the part that it waits for a CPU: up to the former no batch lingers, from the
latter on a small one does for as long as any. With random arrivals on two cores they are 30 and 70 % of load."""
BATCH_LARGE: Final = 100
"""Customers of a batch that gains nothing by waiting for more."""
_MEMORY: Final = 0.1
"""Weight of the last batch among those before it."""
IDLE_WAIT_S: Final = 5.0
"""Longest sleep: the bound on how late a missed wake-up is noticed. After a break everything is looked at anyway."""
OUTAGE_BACKOFF: Final = Backoff(first_s=0.2, max_s=2.0)
"""Waits between looks while a server or service does not answer."""


class Pacing:
    """Decides, and waits for nothing itself."""

    def __init__(
        self, real_time: Callable[[], float], cpu_wait: Callable[[], float | None] = lambda: None
    ) -> None:
        """`real_time` gives seconds that never run backwards, `cpu_wait` what `CpuWait.share` does."""
        self._real_time = real_time
        self._cpu_wait = cpu_wait
        self._begun_at = -LINGER_MAX_S
        self._linger_s = LINGER_S
        self._waited = 0.0
        self._customers = 0.0
        """Means of the last batches."""
        self._outages = Retries(OUTAGE_BACKOFF)

    def linger_s(self) -> float:
        """How long to let a batch gather: until the last one is not that young any more."""
        return max(0.0, self._begun_at + self._linger_s - self._real_time())

    def batch_begins(self, customers: int) -> None:
        """A batch of so many begins now, and with it the time that the next one lingers at least."""
        self._begun_at = self._real_time()
        waited = self._cpu_wait()
        if waited is None:
            return
        self._waited += _MEMORY * (waited - self._waited)
        self._customers += _MEMORY * (customers - self._customers)
        shortage = _between(0.0, (self._waited - CPU_FREE) / (CPU_SHORT - CPU_FREE), 1.0)
        self._linger_s = LINGER_MAX_S * shortage * _between(0.0, 1 - self._customers / BATCH_LARGE, 1.0)

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


def _between(least: float, value: float, most: float) -> float:
    return min(max(least, value), most)
