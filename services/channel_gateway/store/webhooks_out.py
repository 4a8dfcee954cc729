"""Webhooks that go out: subscriptions, what waits for them, what was given up, and who is called next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from libs.common.errors import NotFound
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.ids import new_id
from libs.common.rpc.followers import Taken
from services.channel_gateway.domain.errors import SubscriptionLimit
from services.channel_gateway.domain.webhooks_out import (
    ACTIVE_HOURS,
    CLOSED_FIRST_S,
    CLOSED_MOST_S,
    FAILURES_MAX,
    PAUSED_HOURS,
    SUBSCRIPTIONS_MAX,
    Called,
    ContactEvent,
    DeadLetter,
    Due,
    Subscription,
    SubscriptionState,
    WebhookAttempt,
)
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.vault import Vault

SubscriptionKey = tuple[UUID, UUID]
"""Team and subscription."""
DEAD_LETTERS_MAX: Final = 10_000
"""Taken up again or dropped in one call."""
LEASE_S: Final = 120
"""For which a process has claimed webhooks: longer than it takes to send them."""


async def create(connection: Connection, vault: Vault, subscription: Subscription) -> None:
    """Stores a new one. Raises SubscriptionLimit."""
    count = await connection.fetchval(*QUERIES.bind("count_subscriptions", team_id=subscription.team_id))
    if count >= SUBSCRIPTIONS_MAX:
        raise SubscriptionLimit(SUBSCRIPTIONS_MAX)
    await connection.execute(
        *QUERIES.bind(
            "create_subscription",
            team_id=subscription.team_id,
            subscription_id=subscription.subscription_id,
            url=subscription.url,
            event_types=list(subscription.event_types),
            state=subscription.state,
            sealed=vault.sealed_subscription_keys(subscription),
            now=subscription.created_at,
        )
    )


async def hold(
    connection: Connection,
    vault: Vault,
    team_id: UUID,
    subscription_id: UUID,
    *,
    query: str = "hold_subscription",
) -> Subscription:
    """One, locked until the end of the transaction. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind(query, team_id=team_id, subscription_id=subscription_id))
    if row is None:
        raise NotFound.of("webhook subscription", subscription_id)
    return vault.subscription_of(row)


async def update(
    connection: Connection, vault: Vault, before: Subscription, after: Subscription, now: datetime
) -> Subscription:
    """Stores a changed one; what waits for it waits as long as one of its state does."""
    version = await connection.fetchval(
        *QUERIES.bind(
            "update_subscription",
            team_id=after.team_id,
            subscription_id=after.subscription_id,
            url=after.url,
            event_types=list(after.event_types),
            state=after.state,
            sealed=vault.sealed_subscription_keys(after),
            now=now,
        )
    )
    if before.state is not after.state:
        active = after.state is SubscriptionState.ACTIVE
        query, hours = ("wait_again", ACTIVE_HOURS) if active else ("waits_for_days", PAUSED_HOURS)
        place = {"team_id": after.team_id, "subscription_id": after.subscription_id}
        await connection.execute(*QUERIES.bind(query, **place, hours=hours))
    return Subscription(
        *(after.team_id, after.subscription_id, after.url, after.event_types, after.state, after.keys),
        *(after.created_at, now, version),
    )


async def delete(connection: Connection, team_id: UUID, subscription_id: UUID) -> None:
    """Deletes one with all that is of it."""
    place = {"team_id": team_id, "subscription_id": subscription_id}
    for query in ("delete_subscription", "delete_webhooks", "delete_attempts"):
        await connection.execute(*QUERIES.bind(query, **place))


async def change_dead_letters(
    connection: Connection, key: SubscriptionKey, webhook_ids: Sequence[UUID], *, replay: bool
) -> int:
    """Takes given-up webhooks up again, or drops them; how many."""
    place = {"team_id": key[0], "subscription_id": key[1]}
    asked = {**place, "webhook_ids": list(webhook_ids), "most": DEAD_LETTERS_MAX}
    bound = (
        QUERIES.bind("replay_dead_letters", **asked, hours=ACTIVE_HOURS)
        if replay
        else QUERIES.bind("delete_dead_letters", **asked)
    )
    return int((await connection.execute(*bound)).rpartition(" ")[2])


class WebhookStore:
    """What stands outside of a person's writes."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens keys."""
        self._pool = pool
        self._vault = vault

    # ---- reads ----

    async def subscription(self, team_id: UUID, subscription_id: UUID) -> Subscription:
        """One. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await hold(connection, self._vault, team_id, subscription_id, query="get_subscription")

    async def list_subscriptions(
        self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Subscription]:
        """A page, oldest first."""
        at, last = after or (None, None)
        asked = {"after_time": at, "after_id": last, "most": limit}
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*QUERIES.bind("list_subscriptions", team_id=team_id, **asked))
        return [self._vault.subscription_of(row) for row in rows]

    async def list_dead_letters(
        self, team_id: UUID, subscription_id: UUID | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[DeadLetter]:
        """A page, newest first."""
        at, last = before or (None, None)
        asked = {"subscription_id": subscription_id, "before_time": at, "before_id": last, "most": limit}
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*QUERIES.bind("list_dead_letters", team_id=team_id, **asked))
        return [DeadLetter(*row) for row in rows]

    async def list_attempts(
        self, key: SubscriptionKey, before: UUID | None, limit: int
    ) -> list[WebhookAttempt]:
        """A page of calls, newest first. Raises NotFound."""
        asked = {"subscription_id": key[1], "before_id": before, "most": limit}
        async with transaction(self._pool, [key[0]]) as connection:
            await hold(connection, self._vault, *key, query="get_subscription")
            rows = await connection.fetch(*QUERIES.bind("list_attempts", team_id=key[0], **asked))
        return [WebhookAttempt(*row) for row in rows]

    # ---- contact events ----

    async def taken(self, _team_id: UUID) -> Taken:
        """See `libs.common.rpc.followers.Reader`."""
        return Taken(await self.cursors())

    async def cursors(self) -> dict[int, int]:
        """How far segment's history is taken."""
        return {
            row["partition"]: row["position"] for row in await self._pool.fetch(QUERIES["contact_cursors"])
        }

    async def take(
        self, before: Mapping[int, int], after: Mapping[int, int], events: Sequence[ContactEvent]
    ) -> int:
        """Makes webhooks of events and moves the cursors; how many were made. Raises CursorMovedError."""
        query = QUERIES.bind(
            "take_contact_events",
            steps=steps(before, after),
            events=list(events),
            active_hours=ACTIVE_HOURS,
            paused_hours=PAUSED_HOURS,
        )
        with cursors_checked():
            return int((await fetch_alone(self._pool, *query))[0][0])

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past a row, and keeps the reason. Raises CursorMovedError."""
        await self._pool.execute(
            *QUERIES.bind("set_contact_row_aside", partition=at[0], position=at[1], reason=reason)
        )
        await self.take(before, after, [])

    # ---- calls ----

    async def due(self, row_max: int) -> list[SubscriptionKey]:
        """Subscriptions with something to do, those looked at longest ago first."""
        rows = await self._pool.fetch(*QUERIES.bind("due_subscriptions", most=row_max))
        return [(row["team_id"], row["subscription_id"]) for row in rows]

    async def claim(self, key: SubscriptionKey, row_max: int) -> list[Due]:
        """Webhooks of a subscription, for LEASE_S."""
        asked = {"team_id": key[0], "subscription_id": key[1], "lease_s": LEASE_S, "most": row_max}
        rows = await fetch_alone(self._pool, *QUERIES.bind("claim_webhooks", **asked))
        return [Due(*row) for row in rows]

    async def note(
        self,
        key: SubscriptionKey,
        webhook: Due,
        called: Called,
        wait_s: float | None,
        *,
        is_ping: bool = False,
    ) -> None:
        """What a call came to, in one transaction."""
        place = {"team_id": key[0], "subscription_id": key[1]}
        async with transaction(self._pool, [key[0]]) as connection:
            await self._note_attempt(connection, place, webhook, called)
            if is_ping:
                return
            if called.is_taken:
                await connection.execute(
                    *QUERIES.bind("webhook_taken", **place, webhook_id=webhook.webhook_id)
                )
                await connection.execute(*QUERIES.bind("address_answered", **place))
                return
            failed = {"attempts": webhook.attempts + 1, "error": called.error, "wait_s": wait_s}
            await connection.execute(
                *QUERIES.bind("webhook_failed", **place, webhook_id=webhook.webhook_id, **failed)
            )
            if called.status == 410:
                await connection.execute(*QUERIES.bind("address_gone", **place))
                await connection.execute(*QUERIES.bind("waits_for_days", **place, hours=PAUSED_HOURS))
                return
            breaker = {"failures_max": FAILURES_MAX, "first_s": CLOSED_FIRST_S, "most_s": CLOSED_MOST_S}
            await connection.execute(*QUERIES.bind("address_failed", **place, **breaker))

    async def put_back(self, key: SubscriptionKey, webhooks: Sequence[Due]) -> None:
        """Leaves claimed webhooks to whoever calls the address next."""
        if not webhooks:
            return
        ids = [webhook.webhook_id for webhook in webhooks]
        async with transaction(self._pool, [key[0]]) as connection:
            await connection.execute(
                *QUERIES.bind("webhook_put_back", team_id=key[0], subscription_id=key[1], webhook_ids=ids)
            )

    @staticmethod
    async def _note_attempt(
        connection: Connection, place: Mapping[str, Any], webhook: Due, called: Called
    ) -> None:
        await connection.execute(
            *QUERIES.bind(
                "note_webhook_attempt",
                **place,
                attempt_id=new_id(),
                webhook_id=webhook.webhook_id,
                event_type=webhook.event_type,
                attempt=webhook.attempts + 1,
                status_code=called.status,
                reason=called.error if not called.status else "",
                duration_ms=called.duration_ms,
            )
        )
