"""Replays of stored webhooks: each write is one transaction and answered once."""

from __future__ import annotations

from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from services.channel_gateway.domain.replays import Replay
from services.channel_gateway.store import replays as store
from services.channel_gateway.usecases.call import Call, Reply, once
from services.channel_gateway.worker.replaying import Replaying


class Replays:
    """Starts and ends replays."""

    def __init__(self, pool: Pool, worker: Replaying, clock: Clock) -> None:
        """`worker` is woken by a new one."""
        self._pool = pool
        self._worker = worker
        self._clock = clock

    async def start(self, call: Call[Replay, Reply], replay: Replay) -> Reply:
        """Stores a replay that is to run. Raises ResourceExhausted."""

        async def start(connection: Connection) -> Replay:
            await store.create_replay(connection, replay)
            return replay

        reply = await once(self._pool, call, start)
        self._worker.wake()
        return reply

    async def cancel(self, call: Call[Replay, Reply], replay_id: UUID) -> Reply:
        """Ends one after the step in hand; one that has ended stays. Raises NotFound."""

        async def cancel(connection: Connection) -> Replay:
            call.note_before(await store.load_replay(connection, call.team_id, replay_id))
            return await store.cancel_replay(connection, call.team_id, replay_id, self._clock.now())

        return await once(self._pool, call, cancel)
