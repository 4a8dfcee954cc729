"""Figures that services measure by themselves now and then, so that what Prometheus reads is never older than that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.rpc.operations import LagProbe
from libs.common.tasks import any_set

EVERY_S: Final = 15.0
"""Real seconds between two measurements."""
PENDING: Final = metrics.gauge(
    "pending_count",
    "Things accepted and not settled, measured every 15 s.",
    ("service",),
    remedy="Where it grows and `progress` of `GetLag` stands still, the service's log says what it waits "
    "for.",
)
OLDEST: Final = metrics.gauge(
    "oldest_pending_seconds",
    "Age of the oldest of them where the service knows it, else 0, by the installation's clock.",
    ("service",),
    remedy="Minutes of it: work is stuck. Look at `pending_count`, at the log, and at the services that "
    "this one calls.",
)
FAULTS: Final = metrics.counter(
    "measure_faults_total",
    "Measurements that failed: their figures are as old as the last good one.",
    ("service",),
    remedy="Figures of this service in Prometheus are old; its log, at level debug, has the fault.",
)

Measure = Callable[[], Awaitable[None]]
_log = structlog.get_logger(__name__)


class Measuring:
    """Measures all there is to be measured, again and again: a loop, see `libs.common.tasks`."""

    def __init__(self, service: str, measures: Sequence[Measure]) -> None:
        """Of one process; a measurement sets its own metrics."""
        self._service = service
        self._measures = measures

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set. One that fails is told, and the others go on."""
        while not stopping.is_set():
            for measure in self._measures:
                try:
                    await asyncio.wait_for(measure(), EVERY_S)
                except Exception as error:  # noqa: BLE001 - whatever it is, figures keep nothing from running
                    FAULTS.labels(self._service).inc()
                    _log.debug("a measurement failed", error=repr(error))
            await any_set(stopping, timeout_s=EVERY_S)


def lag_measure(service: str, probe: LagProbe, clock: Clock) -> Measure:
    """Measures the unsettled work of a service."""

    async def measure() -> None:
        lag = await probe.lag()
        PENDING.labels(service).set(lag.pending)
        oldest = lag.oldest_pending
        OLDEST.labels(service).set(max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0)

    return measure
