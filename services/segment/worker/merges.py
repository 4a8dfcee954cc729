"""Takes the steps of merges: each is asked of the services that have a part in it until they have done it.

A step is keyed by its merge and may be taken again: who is killed leaves a claim that runs out, and whoever claims it
next goes on. What a step waits for is looked at again soon at first, then every few seconds.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from libs.common import crash
from libs.common.backoff import Backoff
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.db.pool import transaction
from libs.common.errors import DomainError
from libs.common.logging import about
from libs.common.tasks import any_set
from services.segment import metrics
from services.segment.clients.merges import MergeParts
from services.segment.domain.facts import CustomerMerged, Fact, fact_partition
from services.segment.domain.merging import Merge, MergeStep
from services.segment.store.merges import MergeClaim, MergeStore
from services.segment.store.writes import Writes, save
from services.segment.worker.writers import FactPublisher, ids_of

POLL_S: Final = 5.0
"""How often it is looked for what another process has left, real seconds."""
CLAIM_S: Final = 15.0
"""How long a step stays with a process that does not end it, real seconds: longer than the calls of a step."""
_AGAIN: Final = Backoff(0.05, 5.0)
"""When a step that waits, or that failed, is taken again."""

_log = structlog.get_logger(__name__)


class Merging:
    """A loop, see `libs.common.tasks`: one step after the other, of all merges by turns."""

    def __init__(self, store: MergeStore, parts: MergeParts, publisher: FactPublisher, clock: Clock) -> None:
        """Nothing happens before `run`."""
        self._store = store
        self._parts = parts
        self._publisher = publisher
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """A step is due."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two steps."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                wait_s = await self.step()
            except PASSING as error:
                _log.warning("merges wait for the database", error=repr(error))
                wait_s = POLL_S
            if wait_s > 0:
                await any_set(stopping, self._woken, timeout_s=min(wait_s, POLL_S))

    async def step(self) -> float:
        """Takes the step that is due longest; real seconds until one is due. Raises the driver's errors."""
        claim = await self._store.claim(CLAIM_S)
        if isinstance(claim, MergeClaim):
            await self._take(claim)
            return 0.0
        return POLL_S if claim is None else max(claim, _AGAIN.first_s)

    async def _take(self, claim: MergeClaim) -> None:
        merge = await self._store.read(claim.key)
        step = MergeStep(merge.step)
        try:
            waits_for = await self._parts.take(merge, step)
        except DomainError as error:
            _log.warning(
                "a merge waits", id=str(merge.merge_id), error=error.message, **about(team_id=claim.key[0])
            )
            waits_for = error.message
        except Exception:  # noqa: BLE001 - whatever it is, it is this one's: the others go on
            metrics.MERGE_FAULTS.inc()
            _log.exception("a step of a merge failed", id=str(merge.merge_id), **about(team_id=claim.key[0]))
            waits_for = "a fault that the log of the service has"
        crash.reach("segment.after_merge_step")
        if waits_for:
            await self._store.put_off(claim, waits_for, _AGAIN.delay_s(max(1, merge.tries)))
        elif step is MergeStep.UNITE_PROFILES:
            await self._end(claim, merge)
        else:
            await self._store.move(claim, MergeStep(step + 1))

    async def _end(self, claim: MergeClaim, merge: Merge) -> None:
        now = self._clock.now()
        fact = Fact(
            fact_partition(merge.team_id, merge.loser_id),
            merge.team_id,
            merge.loser_id,
            next(ids_of(now)),
            now,
            now,
            0,
            None,
            CustomerMerged(merge.survivor_id),
        )
        async with transaction(self._store.pool, [merge.team_id]) as connection:
            if not await self._store.end(connection, claim, now):
                return
            facts = await save(connection, Writes(), [fact], now)
        self._publisher.publish(facts)
