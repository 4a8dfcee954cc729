"""The fence of stops: after the answer to a stop no request of an older epoch starts, in any process (J-03).

A stop raises the journey's epoch in the database, cancels what waits, and then waits for what is on the wire: here, and
by the database's word in other processes. Right before each request the sender asks `stopped`, with nothing awaited in
between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.feeds.publisher import CommitPublisher
from services.channel_gateway.clients.channels.transport import CONNECT_TIMEOUT_S
from services.channel_gateway.domain.model import Job, SendState
from services.channel_gateway.store.deliveries import STOP_PAGE_MAX, DeliveryStore, OnWire
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.outcomes import Settlement
from services.channel_gateway.worker.outcomes import count_outcomes

STOP_WAIT_S: Final = CONNECT_TIMEOUT_S + 0.5
"""After so long every attempt that had begun before a stop has left or failed; what remains waits for an answer."""
STOP_OTHERS_WAIT_S: Final = 4.0
"""Longest wait for the requests of other processes. Both waits fit into the deadline of the caller, who comes again."""

_LOOK_EVERY_S: Final = 0.05

JourneyKey = tuple[UUID, UUID]
"""Team, journey."""
_Settle = Callable[[UUID, UUID, int, datetime, UUID], Awaitable[tuple[list[Settlement], Written]]]


class Fence:
    """Stops that this process knows of, and its requests on the wire."""

    def __init__(
        self, sender_id: UUID, store: DeliveryStore, clock: Clock, publisher: CommitPublisher
    ) -> None:
        """Of the sender of that id."""
        self._sender_id = sender_id
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._stops: dict[JourneyKey, int] = {}
        self._wire: dict[JourneyKey, dict[UUID, int]] = {}
        """Effect key → stop epoch of what is on the wire."""
        self._landed = asyncio.Event()

    def stopped(self, job: Job) -> bool:
        """Whether a stop that this process knows of lets no attempt of the send start."""
        return job.stop_epoch < self._stops.get((job.team_id, job.journey_id), 0)

    @contextlib.contextmanager
    def on_wire(self, job: Job) -> Iterator[None]:
        """The send's request is on the wire for the time of the block."""
        key = (job.team_id, job.journey_id)
        self._wire.setdefault(key, {})[job.effect_key] = job.stop_epoch
        try:
            yield
        finally:
            wire = self._wire[key]
            del wire[job.effect_key]
            if not wire:
                del self._wire[key]
            self._landed.set()

    async def stop(self, team_id: UUID, journey_id: UUID, epoch: int) -> tuple[int, int]:
        """Cancels the journey's sends of older epochs; returns (cancelled, on the wire) when none of them can start.

        Raises Unavailable when another process had requests on the wire for too long.
        """
        key = (team_id, journey_id)
        self._stops[key] = max(epoch, self._stops.get(key, 0))
        cancelled = await self._settle_waiting(key, epoch, self._store.stop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._until_older_landed(key, epoch)
        more, on_wire = await self._until_others_are_done(key, epoch)
        return cancelled + more, on_wire.ours

    async def recall(self, team_id: UUID, journey_id: UUID, epoch: int) -> int:
        """Puts off the journey's sends of older epochs that have not begun to leave; returns how many.

        Raises Unavailable while some are on the wire: a channel that refuses one for now has it wait again, as it was.
        """
        key = (team_id, journey_id)
        recalled = await self._settle_waiting(key, epoch, self._store.recall)
        on_wire = await self._store.on_wire(*key, epoch, self._sender_id)
        if on_wire.ours or on_wire.others:
            raise Unavailable.dependency("channel")
        # What was on the wire when the first were looked for may have come back before it was counted.
        return recalled + await self._settle_waiting(key, epoch, self._store.recall)

    async def cancel(self, team_id: UUID, effect_key: UUID) -> bool:
        """Cancels one send; whether it waited. Returns when no attempt of it can start, in any process: what waits is
        settled, and what is on the wire waited for, since it may come back to be repeated.

        Raises Unavailable when it is on the wire for too long.
        """
        until_s = time.monotonic() + STOP_OTHERS_WAIT_S
        while True:
            settled, written, before = await self._store.cancel(
                team_id, effect_key, self._clock.now(), self._sender_id
            )
            self._publisher.publish(*written)
            count_outcomes(settled)
            # One that waits now was on the wire when it was looked for.
            if settled or before not in {SendState.ACCEPTED, SendState.IN_FLIGHT}:
                return bool(settled)
            if time.monotonic() > until_s:
                raise Unavailable.dependency("channel")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _settle_waiting(self, key: JourneyKey, epoch: int, settle: _Settle) -> int:
        """How many waiting sends of older epochs `settle` has settled, page by page."""
        settled = 0
        while True:
            page, written = await settle(*key, epoch, self._clock.now(), self._sender_id)
            self._publisher.publish(*written)
            count_outcomes(page)
            settled += len(page)
            if len(page) < STOP_PAGE_MAX:
                return settled

    async def _until_older_landed(self, key: JourneyKey, epoch: int) -> None:
        while any(job_epoch < epoch for job_epoch in self._wire.get(key, {}).values()):
            self._landed.clear()
            await self._landed.wait()

    async def _until_others_are_done(self, key: JourneyKey, epoch: int) -> tuple[int, OnWire]:
        """How many were cancelled meanwhile: what another process had on the wire may come back to be repeated there,
        and it knows nothing of the stop."""
        until_s = time.monotonic() + STOP_OTHERS_WAIT_S
        cancelled = 0
        while True:
            on_wire = await self._store.on_wire(*key, epoch, self._sender_id)
            if on_wire.waiting:
                cancelled += await self._settle_waiting(key, epoch, self._store.stop)
            elif not on_wire.others:
                return cancelled, on_wire
            if time.monotonic() > until_s:
                raise Unavailable.dependency("another sender")
            await asyncio.sleep(_LOOK_EVERY_S)
