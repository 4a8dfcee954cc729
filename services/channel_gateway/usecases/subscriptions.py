"""Subscriptions to contact events, and what was given up: each write is one transaction and answered once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.ids import new_id
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.clients.webhook_calls import new_ping
from services.channel_gateway.domain.webhooks_out import Subscription, WebhookAttempt
from services.channel_gateway.store import webhooks_out as store
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.store.webhooks_out import SubscriptionKey, WebhookStore
from services.channel_gateway.usecases.call import Call, Reply, once
from services.channel_gateway.worker.contact_events import ContactFollower
from services.channel_gateway.worker.webhooks_out import WebhookSender


@dataclass(frozen=True, slots=True)
class ShowsKey(Generic[Reply]):
    """How an answer that is kept without the key shows it again."""

    key_id: Callable[[Reply], UUID]
    show: Callable[[Reply, Subscription], Reply]


class Subscriptions:
    """Writes what concerns outgoing webhooks. All but `create` raise NotFound."""

    def __init__(
        self, pool: Pool, vault: Vault, follower: ContactFollower, sender: WebhookSender, clock: Clock
    ) -> None:
        """`follower` takes what happened before a subscription, `sender` what is to be sent again."""
        self._pool = pool
        self._vault = vault
        self._store = WebhookStore(pool, vault)
        self._follower = follower
        self._sender = sender
        self._clock = clock

    async def create(
        self, call: Call[Subscription, Reply], subscription: Subscription, showing: ShowsKey[Reply]
    ) -> Reply:
        """Stores a subscription: it gets what happens from now on. A repetition shows its key again. Raises
        FailedPrecondition, Unavailable while segment is away."""
        await self._follower.catch_up()

        async def create(connection: Connection) -> Subscription:
            await store.create(connection, self._vault, subscription)
            return subscription

        return await once(self._pool, call, create, self._again(call.team_id, showing))

    async def update(
        self,
        call: Call[Subscription, Reply],
        subscription_id: UUID,
        etag: str,
        change: Callable[[Subscription], Subscription],
    ) -> Reply:
        """Stores what `change` makes of a subscription. Raises Aborted `ETAG_MISMATCH`."""

        async def update(connection: Connection) -> Subscription:
            before = await store.hold(connection, self._vault, call.team_id, subscription_id)
            check_etag(etag, before.version)
            call.note_before(before)
            return await store.update(connection, self._vault, before, change(before), self._clock.now())

        reply = await once(self._pool, call, update)
        self._sender.wake()
        return reply

    async def rotate(
        self, call: Call[Subscription, Reply], subscription_id: UUID, secret: bytes, showing: ShowsKey[Reply]
    ) -> Reply:
        """Gives a subscription another key; a repetition shows the present one."""

        async def rotate(connection: Connection) -> Subscription:
            before = await store.hold(connection, self._vault, call.team_id, subscription_id)
            call.note_before(before)
            now = self._clock.now()
            return await store.update(connection, self._vault, before, before.with_key(secret, now), now)

        return await once(self._pool, call, rotate, self._again(call.team_id, showing))

    async def delete(self, call: Call[None, Reply], subscription_id: UUID) -> Reply:
        """Deletes a subscription with all that waits for it."""

        async def delete(connection: Connection) -> None:
            call.note_before(await store.hold(connection, self._vault, call.team_id, subscription_id))
            await store.delete(connection, call.team_id, subscription_id)

        return await once(self._pool, call, delete)

    async def change_dead_letters(
        self, call: Call[int, Reply], subscription_id: UUID, webhook_ids: Sequence[UUID], *, replay: bool
    ) -> Reply:
        """Takes given-up webhooks up again, or drops them."""

        async def change(connection: Connection) -> int:
            await store.hold(connection, self._vault, call.team_id, subscription_id)
            key = (call.team_id, subscription_id)
            return await store.change_dead_letters(connection, key, webhook_ids, replay=replay)

        reply = await once(self._pool, call, change)
        self._sender.wake()
        return reply

    async def ping(self, call: Call[WebhookAttempt, Reply], subscription_id: UUID) -> Reply:
        """Calls the address once, whatever its state. A repetition calls again, and gets the first answer."""
        key: SubscriptionKey = (call.team_id, subscription_id)
        subscription = await self._store.subscription(*key)
        body = {"type": "ping", "timestamp": self._clock.now(), "data": {"team_id": str(call.team_id)}}
        webhook = new_ping(new_id(), msgspec.json.encode(body))
        called = await self._sender.call(subscription, webhook)
        await self._store.note(key, webhook, called, None, is_ping=True)
        (attempt,) = await self._store.list_attempts(key, None, 1)

        async def done(_: Connection) -> WebhookAttempt:
            return attempt

        return await once(self._pool, call, done)

    def _again(
        self, team_id: UUID, showing: ShowsKey[Reply]
    ) -> Callable[[Connection, Reply], Awaitable[Reply]]:
        async def again(connection: Connection, reply: Reply) -> Reply:
            subscription = await store.hold(connection, self._vault, team_id, showing.key_id(reply))
            return showing.show(reply, subscription)

        return again
