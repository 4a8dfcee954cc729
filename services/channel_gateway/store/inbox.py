"""Webhooks as they came: stored first, read again to be worked, marked when done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from services.channel_gateway.domain.inbox import (
    InboxSource,
    InboxState,
    Incoming,
    Receipt,
    StoredWebhook,
    Worked,
)
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.errors import absences

READ_ROWS_MAX: Final = 500
READ_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bodies read at once, unless one alone is larger."""
INBOX_CHANNEL: Final = "omnijourney_gateway_inbox"
"""Notified when webhooks were stored."""

_Key = tuple[UUID, int, str, str]


class InboxStore:
    """The table of webhooks."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def shop_keys(self, team_id: UUID, shop_id: str, now: datetime) -> list[bytes]:
        """Valid signing keys of a shop that takes webhooks; none for an unknown one. Raises Unavailable."""
        with absences():
            async with transaction(self._pool, [team_id]) as connection:
                rows = await connection.fetch(
                    *QUERIES.bind("find_shop_keys", team_id=team_id, shop_id=shop_id, now=now)
                )
        return [row["secret"] for row in rows]

    async def store(self, items: Sequence[Incoming]) -> list[Receipt]:
        """Stores webhooks in one transaction, in order; those whose id is stored are left alone. Raises Unavailable."""
        first = {_key(item): item for item in reversed(items)}
        rows = [(*item, InboxState.STORED) for item in items if first[_key(item)] is item]
        with absences():
            async with transaction(self._pool, {item.team_id for item in items}) as connection:
                stored = {
                    tuple(row) for row in await connection.fetch(QUERIES["store_webhooks"], *columns(rows, 9))
                }
                others = [item for item in items if first[_key(item)] is not item or _key(item) not in stored]
                digests = await _digests(connection, others)
                if stored:
                    await connection.execute("SELECT pg_notify($1, '')", INBOX_CHANNEL)
        return [_receipt(item, first, stored, digests) for item in items]

    async def waiting_events(self, most: int) -> int:
        """Events of webhooks that are not forwarded; `most` webhooks are counted at most. Raises Unavailable."""
        with absences():
            return int(await self._pool.fetchval(*QUERIES.bind("count_stored_events", most=most)))

    async def next(self, events_max: int) -> list[StoredWebhook]:
        """The next webhooks to be worked, in order of receipt: at least one, else up to the bounds.

        The bounds are `events_max` events and READ_BYTES_MAX bytes.
        """
        chosen: list[int] = []
        teams: set[UUID] = set()
        events = 0
        for row in await self._pool.fetch(*QUERIES.bind("stored_webhooks", most=READ_ROWS_MAX)):
            events += row["event_count"]
            if chosen and events > events_max:
                break
            chosen.append(row["sequence"])
            teams.add(row["team_id"])
        if not chosen:
            return []
        async with transaction(self._pool, teams) as connection:
            sizes = await connection.fetch(*QUERIES.bind("webhook_sizes", sequences=chosen))
            rows = await connection.fetch(*QUERIES.bind("read_webhooks", sequences=_fitting(sizes)))
        return [
            StoredWebhook(
                row["sequence"],
                row["team_id"],
                InboxSource(row["source"]),
                row["origin"],
                row["webhook_id"],
                row["body"],
                row["received_at"],
            )
            for row in rows
        ]

    async def finish(self, worked: Sequence[Worked]) -> None:
        """Marks webhooks as recorded, or refused in part, and keeps the reasons: one transaction."""
        refusals = [
            (item.webhook.team_id, item.webhook.sequence, refusal.event_index, refusal.reason)
            for item in worked
            for refusal in item.refusals
        ]
        states = [InboxState.REFUSED if item.refusals else InboxState.RECORDED for item in worked]
        async with transaction(self._pool, {item.webhook.team_id for item in worked}) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "mark_webhooks", sequences=[item.webhook.sequence for item in worked], states=states
                )
            )
            if refusals:
                await connection.execute(QUERIES["keep_refusals"], *columns(refusals, 4))


async def _digests(connection: Connection, items: Sequence[Incoming]) -> dict[_Key, bytes]:
    """Of stored webhooks that have the ids of `items`."""
    if not items:
        return {}
    found = await connection.fetch(QUERIES["find_webhooks"], *columns([_key(item) for item in items], 4))
    return {tuple(row[:4]): row["digest"] for row in found}


def _fitting(sizes: Iterable[Mapping[str, int]]) -> list[int]:
    """Sequences of the first webhooks that are together at most READ_BYTES_MAX; the first one always."""
    fitting: list[int] = []
    total = 0
    for row in sizes:
        total += row["size"]
        if fitting and total > READ_BYTES_MAX:
            break
        fitting.append(row["sequence"])
    return fitting


def _key(item: Incoming) -> _Key:
    return (item.team_id, int(item.source), item.origin, item.webhook_id)


def _receipt(
    item: Incoming, first: dict[_Key, Incoming], stored: set[_Key], digests: dict[_Key, bytes]
) -> Receipt:
    key = _key(item)
    if key in stored and first[key] is item:
        return Receipt.STORED
    return Receipt.REPEATED if digests.get(key) == item.digest else Receipt.CONFLICT
