"""Rebuilds as they are asked for, cancelled and read; `worker/rebuilds.py` does them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from libs.common.audit import note_before
from libs.common.clock import Clock
from libs.common.db.pool import Connection
from libs.common.db.requests import Reply, Write, answer_once
from libs.common.errors import ResourceExhausted
from libs.common.ids import epoch_ms, new_id
from services.stats.domain.rebuild import UNFINISHED_MAX, Rebuild, RebuildKey, RebuildState
from services.stats.store.rebuilds import RebuildStore

RETRY_S = 60.0
"""When there may be room for another rebuild."""


class Rebuilds:
    """Starts and ends them."""

    def __init__(self, store: RebuildStore, clock: Clock, changed: Callable[[], None]) -> None:
        """`changed` is called when there is one to be worked on, or to be cleared away."""
        self._store = store
        self._clock = clock
        self._changed = changed

    async def start(
        self, request: Write, team_id: UUID, reply: type[Reply], answer: Callable[[Rebuild], Reply]
    ) -> Reply:
        """Keeps one to be done, of a team or of ALL_TEAMS. Raises ResourceExhausted while too many wait."""

        async def keep(connection: Connection) -> Reply:
            if await self._store.count_unfinished(connection) >= UNFINISHED_MAX:
                raise ResourceExhausted.overloaded("rebuilds_max", RETRY_S)
            now = self._clock.now()
            key = RebuildKey(team_id, new_id(epoch_ms(now)))
            await self._store.insert(connection, key, now)
            return answer(Rebuild(key, RebuildState.PENDING, 0, 0, 0, "", "", now, None))

        reply_ = await answer_once(self._store.pool, team_id, request, reply, keep)
        self._changed()
        return reply_

    async def read(self, key: RebuildKey) -> Rebuild:
        """One as it stands. Raises NotFound."""
        return await self._store.read(key)

    async def page(self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int) -> list[Rebuild]:
        """Some, newest first."""
        return await self._store.page(team_id, after, limit)

    async def cancel(
        self, request: Write, key: RebuildKey, reply: type[Reply], answer: Callable[[Rebuild], Reply]
    ) -> Reply:
        """Ends one early, and the figures stay as they are; one that has ended stays. Raises NotFound."""

        async def work(connection: Connection) -> Reply:
            found = await self._store.lock(connection, key)
            note_before(answer(found))
            if found.state.has_ended:
                return answer(found)
            now = self._clock.now()
            await self._store.cancel(connection, key, now)
            return answer(found._replace(state=RebuildState.CANCELLED, ended_at=now))

        cancelled = await answer_once(self._store.pool, key.team_id, request, reply, work)
        self._changed()
        return cancelled
