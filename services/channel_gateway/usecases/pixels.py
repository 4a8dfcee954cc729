"""Keys of pixels: each write is one transaction and answered once."""

from __future__ import annotations

from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from services.channel_gateway.domain.views import PixelKey
from services.channel_gateway.store import pixels as store
from services.channel_gateway.usecases.call import Call, Reply, once
from services.channel_gateway.worker.pixel_keys import PixelKeys


class Pixels:
    """Writes what concerns pixels."""

    def __init__(self, pool: Pool, keys: PixelKeys, clock: Clock) -> None:
        """`keys` forgets what has changed."""
        self._pool = pool
        self._keys = keys
        self._clock = clock

    async def create_key(self, call: Call[PixelKey, Reply], key: PixelKey) -> Reply:
        """Stores a key. Raises NotFound for the shop, PixelKeyLimit."""

        async def create(connection: Connection) -> PixelKey:
            await store.create_key(connection, key)
            return key

        return await once(self._pool, call, create)

    async def revoke_key(self, call: Call[PixelKey, Reply], key_id: UUID) -> Reply:
        """Ends a key. Raises NotFound."""

        async def revoke(connection: Connection) -> PixelKey:
            call.note_before(await store.hold_key(connection, call.team_id, key_id))
            return await store.revoke_key(connection, call.team_id, key_id, self._clock.now())

        reply = await once(self._pool, call, revoke)
        self._keys.forget(call.team_id, key_id)
        return reply
