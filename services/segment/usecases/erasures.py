"""Erasures of persons: begun by a call, once for each customer, and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.clock import Clock
from libs.common.db.pool import Connection
from libs.common.db.requests import Write, answer_once
from libs.common.ids import CustomerKey, epoch_ms, new_id
from services.segment.domain.erasure import Erasure
from services.segment.store import teams
from services.segment.store.base import lock_customers
from services.segment.store.erasures import ErasureStore, Place
from services.segment.store.merged import absent
from services.segment.worker.writers import Writer

Reply = TypeVar("Reply", bound=Message)


class Erasures:
    """Begins them; the worker does the rest."""

    def __init__(self, store: ErasureStore, writer: Writer, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` tells the worker that there is one."""
        self._store = store
        self._writer = writer
        self._clock = clock
        self._wake = wake

    async def start(
        self, request: Write, key: CustomerKey, form: type[Reply], written: Callable[[Erasure], Reply]
    ) -> Reply:
        """The erasure of a customer; the one that there is already, if there is one. A repeated request is answered
        with how it stands by then: what was kept of its answer may be erased itself.

        Raises NotFound, FailedPrecondition `CUSTOMER_MERGED`, and what `answer_once` raises.
        """

        async def work(connection: Connection) -> Reply:
            await teams.load_team(connection, key[0])
            known = await lock_customers(connection, [key])
            found = await self._store.of_customer(connection, key)
            if found is None:
                if key not in known:
                    raise await absent(connection, key)
                now = self._clock.now()
                await self._store.insert(connection, key, new_id(epoch_ms(now)), now)
            return await self._shown(connection, key, written)

        async def again(connection: Connection, _: Reply) -> Reply:
            return await self._shown(connection, key, written)

        async def once() -> Reply:
            return await answer_once(self._store.pool, key[0], request, form, work, again=again)

        reply = await self._writer.until_alone("edits", once)
        self._wake()
        return reply

    async def read(self, team_id: UUID, erasure_id: UUID) -> Erasure:
        """One. Raises NotFound."""
        return await self._store.read((team_id, erasure_id))

    async def page(self, team_id: UUID, before: Place | None, most: int) -> list[Erasure]:
        """A team's, newest first."""
        return await self._store.page(team_id, before, most)

    async def _shown(
        self, connection: Connection, key: CustomerKey, written: Callable[[Erasure], Reply]
    ) -> Reply:
        found = await self._store.of_customer(connection, key)
        assert found is not None, "it was written before"
        return written(found)
