"""Runs simulations, one at a time: customer by customer, an answer at the end. What it has counted so far is kept for
those who watch, and nothing to go on from: one that is interrupted begins again, here or in another process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.errors import NotFound
from libs.common.ids import new_id
from libs.common.logging import about
from libs.common.tasks import any_set
from services.journey import metrics
from services.journey.clients.simulation import Recorded
from services.journey.convert.simulation import counts_message, findings_message, terms_of
from services.journey.domain.simulated_limits import Imposed, tightened
from services.journey.domain.simulation import Pass
from services.journey.domain.simulation_premises import Surroundings
from services.journey.domain.simulation_work import TRIES_MAX, AskedSimulation, StoredSimulation
from services.journey.store.simulations import SimulationKey, SimulationStore
from services.journey.worker.outages import OUTAGES
from services.journey.worker.recorded_customers import RecordedCustomers

POLL_S: Final = 5.0
"""How often it is looked for simulations that another process has left, real seconds."""
CLAIM_S: Final = 30.0
"""How long a simulation stays with a process that does not tell how far it is, real seconds."""
RETRY_S: Final = 5.0
"""How long one waits for a service that does not answer, the first time; twice as long each time after."""
COUNTS_S: Final = 0.25
"""How often what is counted so far is kept at most, real seconds: a tree of 200 nodes takes some 0.6 ms."""
SLICE_S: Final = 0.002
"""How long customers are run without a pause, in which nothing else of the process runs, real seconds; a single step
may take longer."""

_log = structlog.get_logger(__name__)


class Interrupted(Exception):
    """The service stops; the simulation begins again elsewhere."""


class Lost(Exception):
    """The simulation was cancelled, or somebody else works on it."""


class Simulator:
    """The loop that runs simulations."""

    def __init__(
        self,
        store: SimulationStore,
        recorded: Recorded,
        clock: Clock,
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` says when one ended; `real_time` gives seconds that never run backwards."""
        self._store = store
        self._recorded = recorded
        self._clock = clock
        self._real_time = real_time
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is one to be run."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two pages of a simulation."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                while not stopping.is_set() and await self.step(stopping):
                    pass
            except OUTAGES as error:
                _log.warning("simulations wait for the database", error=repr(error))
            await any_set(stopping, self._woken, timeout_s=POLL_S)

    async def step(self, stopping: asyncio.Event) -> bool:
        """Runs the simulation that has waited longest; False if there is none. Raises the driver's errors."""
        own = new_id()
        key = await self._store.claim(own, CLAIM_S)
        if key is None:
            return False
        work = _Work(self._store, self._recorded, key, own, stopping, self._real_time)
        try:
            await self._run(work)
        except OUTAGES:
            raise
        except (Lost, NotFound):
            pass
        except Exception:  # noqa: BLE001 - whatever it is, it is this simulation's: the others are run
            metrics.SIMULATION_FAULTS.inc()
            _log.exception("a simulation failed", id=str(key[1]), **about(team_id=key[0]))
            await self._fail(
                work, "INTERNAL", "it failed by a fault of its own; the log of the service has it"
            )
        return True

    async def _run(self, work: _Work) -> None:
        """Begins it, and ends it or leaves it. Raises Lost, NotFound if it is gone, the driver's errors and what is
        this simulation's own fault."""
        found = await self._store.read(work.key)
        try:
            if found.tries > TRIES_MAX:
                await self._fail(work, "INTERNAL", f"it was begun {TRIES_MAX} times and never ended")
            else:
                findings = await work.findings(found.asked)
                await self._store.end(work.key, work.own, work.done, self._clock.now(), findings=findings)
        except Interrupted:
            await self._store.leave(work.key, work.own, found.tries - 1, 0)
        except OUTAGES as error:
            await self._wait(work, found, error)

    async def _wait(self, work: _Work, found: StoredSimulation, error: Exception) -> None:
        """Tries it again later, a few times."""
        _log.warning(
            "a simulation waits", id=str(work.key[1]), error=repr(error), **about(team_id=work.key[0])
        )
        if found.tries >= TRIES_MAX:
            await self._fail(work, "DEPENDENCY_UNAVAILABLE", "a service that it has to ask did not answer")
        else:
            await self._store.leave(work.key, work.own, found.tries, RETRY_S * 2 ** (found.tries - 1))

    async def _fail(self, work: _Work, reason: str, message: str) -> None:
        await self._store.end(
            work.key, work.own, work.done, self._clock.now(), reason=reason, message=message
        )


class _Work:
    """One simulation, from claim to findings."""

    def __init__(  # noqa: PLR0917 - parts, each of its own type
        self,
        store: SimulationStore,
        recorded: Recorded,
        key: SimulationKey,
        own: UUID,
        stopping: asyncio.Event,
        real_time: Callable[[], float],
    ) -> None:
        self.key = key
        self.own = own
        self.done = 0
        """Events gone through in the longest pass so far."""
        self._store = store
        self._recorded = recorded
        self._stopping = stopping
        self._real_time = real_time
        self._paused_at = self._noted_at = real_time()
        self._counted_at = float("-inf")

    async def findings(self, asked: AskedSimulation) -> bytes:
        """Looks at all customers, once more for each limit that they reach together.

        Raises Interrupted, Lost, and what `Recorded` and the store raise.
        """
        around = await self._recorded.surroundings(asked.team_id, asked.definition)
        terms, imposed = terms_of(asked, around), Imposed()
        while True:
            found = Pass(terms, imposed)
            await self._play(found, around)
            more = tightened(imposed, found.meters.values())
            if more is None:
                return await asyncio.to_thread(_serialized, asked, around, found)
            imposed = more

    async def _play(self, pass_: Pass, around: Surroundings) -> None:
        reading = RecordedCustomers(self._recorded, pass_.terms, around)
        async with aclosing(reading.read()) as read:
            async for some in read:
                pass_.tally.events += some.events
                for customer in some.customers:
                    for _ in pass_.play(customer):
                        await self._pause()
                await self._note(pass_.tally.events, pass_)

    async def _pause(self) -> None:
        """Lets the rest of the process run after a slice, and renews the claim while a page takes long."""
        if self._real_time() - self._paused_at < SLICE_S:
            return
        await asyncio.sleep(0)
        if self._stopping.is_set() or self._real_time() - self._noted_at >= CLAIM_S / 3:
            await self._note(self.done)
        self._paused_at = self._real_time()

    async def _note(self, done: int, pass_: Pass | None = None) -> None:
        """Tells how far it is and, now and then, what a pass has counted; finds out whether it is still wanted here."""
        if self._stopping.is_set():
            raise Interrupted
        self.done = max(self.done, done)
        self._noted_at = self._real_time()
        counts = None
        if pass_ is not None and self._noted_at - self._counted_at >= COUNTS_S:
            self._counted_at = self._noted_at
            counts = counts_message(pass_.terms.journey.definition, pass_.tally).SerializeToString()
        if not await self._store.note(self.key, self.own, self.done, CLAIM_S, counts):
            raise Lost


def _serialized(asked: AskedSimulation, around: Surroundings, found: Pass) -> bytes:
    """The findings, with every hour in which something was sent: for a thread, where others have their turns."""
    return findings_message(asked, around, found).SerializeToString()
