"""Shops, their signing keys and refused webhooks: each write is one transaction and answered once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.domain.inbox import InboxRow
from services.channel_gateway.domain.views import Shop, ShopKey
from services.channel_gateway.store import shops as store
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.usecases.call import Call, Done, Reply, once
from services.channel_gateway.worker.inbox import InboxWorker
from services.channel_gateway.worker.shop_keys import ShopKeys


@dataclass(frozen=True, slots=True)
class Showing(Generic[Reply]):
    """How the answer to the creation of a key, which is kept without the key, shows it again."""

    key_id: Callable[[Reply], UUID]
    show: Callable[[Reply, ShopKey], Reply]


class Shops:
    """Writes what concerns webhooks of shops. All but `create` raise NotFound."""

    def __init__(self, pool: Pool, vault: Vault, keys: ShopKeys, worker: InboxWorker, clock: Clock) -> None:
        """`vault` seals keys, `keys` forgets what has changed, `worker` forwards what is to be tried again."""
        self._pool = pool
        self._vault = vault
        self._keys = keys
        self._worker = worker
        self._clock = clock

    async def create(self, call: Call[Shop, Reply], shop_id: str, name: str) -> Reply:
        """Stores a shop that takes webhooks. Raises AlreadyExists `DUPLICATE_VALUE`."""

        async def create(connection: Connection) -> Shop:
            return await store.create_shop(
                connection, call.team_id, shop_id, name=name, enabled=True, now=self._clock.now()
            )

        return await once(self._pool, call, create)

    async def update(
        self, call: Call[Shop, Reply], shop_id: str, etag: str, change: Callable[[Shop], Shop]
    ) -> Reply:
        """Stores what `change` makes of a shop. Raises Aborted `ETAG_MISMATCH`."""

        async def update(connection: Connection) -> Shop:
            shop = await store.hold_shop(connection, call.team_id, shop_id)
            check_etag(etag, shop.version)
            call.note_before(shop)
            return await store.update_shop(connection, change(shop), self._clock.now())

        return await self._once(call, shop_id, update)

    async def delete(self, call: Call[None, Reply], shop_id: str) -> Reply:
        """Deletes a shop and its keys."""

        async def delete(connection: Connection) -> None:
            call.note_before(await store.hold_shop(connection, call.team_id, shop_id))
            await store.delete_shop(connection, call.team_id, shop_id, self._clock.now())

        return await self._once(call, shop_id, delete)

    async def create_key(self, call: Call[ShopKey, Reply], key: ShopKey, showing: Showing[Reply]) -> Reply:
        """Stores a signing key; a repetition shows it again for as long as it is there. Raises ShopKeyLimit."""

        async def create(connection: Connection) -> ShopKey:
            await store.create_key(connection, self._vault, key, key.created_at)
            return key

        async def show(connection: Connection, reply: Reply) -> Reply:
            made = await store.find_key(
                connection, self._vault, call.team_id, key.shop_id, showing.key_id(reply)
            )
            return reply if made is None else showing.show(reply, made)

        return await self._once(call, key.shop_id, create, show)

    async def expire_key(
        self, call: Call[None, Reply], shop_id: str, key_id: UUID, at: datetime | None
    ) -> Reply:
        """Ends a signing key at a time; None: now."""

        async def expire(connection: Connection) -> None:
            key = await store.find_key(connection, self._vault, call.team_id, shop_id, key_id)
            if key is not None:
                call.note_before(key)
            now = self._clock.now()
            await store.expire_key(connection, call.team_id, shop_id, key_id, at=at or now, now=now)

        return await self._once(call, shop_id, expire)

    async def retry_record(self, call: Call[InboxRow, Reply], sequence: int) -> Reply:
        """Has a refused webhook forwarded once more; what segment has already is a duplicate there."""

        async def restore(connection: Connection) -> InboxRow:
            call.note_before(await store.load_record(connection, call.team_id, sequence))
            return await store.restore(connection, call.team_id, sequence)

        reply = await once(self._pool, call, restore)
        self._worker.wake()
        return reply

    async def _once(
        self,
        call: Call[Done, Reply],
        shop_id: str,
        work: Callable[[Connection], Awaitable[Done]],
        again: Callable[[Connection, Reply], Awaitable[Reply]] | None = None,
    ) -> Reply:
        reply = await once(self._pool, call, work, again)
        self._keys.forget(call.team_id, shop_id)
        return reply
