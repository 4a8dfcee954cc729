"""Webhooks as they came: stored first, read again to be worked, marked when done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.retention import Cutoffs
from services.channel_gateway.domain.inbox import (
    InboxSource,
    InboxState,
    Incoming,
    Receipt,
    StoredWebhook,
    Worked,
)
from services.channel_gateway.domain.model import Account
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.errors import absences
from services.channel_gateway.store.vault import Vault

READ_ROWS_MAX: Final = 500
READ_BYTES_MAX: Final = 512 * 1024
"""Bodies of a team read at once, unless one alone is larger: what many teams have in memory at once stays small."""
REASON_MAX: Final = 1_000
"""Characters kept of why an event was refused."""
INBOX_CHANNEL: Final = "omnijourney_gateway_inbox"
"""Notified when webhooks were stored."""

_Key = tuple[UUID, int, str, str]


class InboxStore:
    """The table of webhooks."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens the shops' keys."""
        self._pool = pool
        self._vault = vault

    async def shop_keys(self, team_id: UUID, shop_id: str, now: datetime) -> list[bytes]:
        """Valid signing keys of a shop that takes webhooks; none for an unknown one. Raises Unavailable."""
        with absences():
            async with transaction(self._pool, [team_id]) as connection:
                rows = await connection.fetch(
                    *QUERIES.bind("find_shop_keys", team_id=team_id, shop_id=shop_id, now=now)
                )
        keys = (self._vault.key_of(row).secret for row in rows)
        return [key for key in keys if key]

    async def heard_accounts(self, team_id: UUID, most: int) -> list[Account]:
        """A team's accounts that webhooks may come from, the oldest first: those whose secrets can be opened. Raises
        Unavailable."""
        with absences():
            async with transaction(self._pool, [team_id]) as connection:
                rows = await connection.fetch(
                    *QUERIES.bind("find_heard_accounts", team_id=team_id, most=most)
                )
        return [account for row in rows if (account := self._vault.opened_account_of(row)) is not None]

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

    async def waiting_events(self, most: int) -> dict[UUID, int]:
        """Events of webhooks that are not worked, by team; `most` webhooks are counted at most. Raises Unavailable."""
        with absences():
            rows = await self._pool.fetch(*QUERIES.bind("waiting_events", most=most))
        return {row["team_id"]: row["event_count"] for row in rows}

    async def waiting_teams(self, after: UUID, most: int) -> list[UUID]:
        """Up to `most` teams with webhooks to be worked, after one of them in the order of ids."""
        rows = await self._pool.fetch(*QUERIES.bind("waiting_teams", after=after, most=most))
        return [row["team_id"] for row in rows]

    async def next(self, team_id: UUID, events_max: int) -> list[StoredWebhook]:
        """A team's next webhooks, in order of receipt: at least one, else up to the bounds.

        The bounds are `events_max` events and READ_BYTES_MAX bytes.
        """
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "next_webhooks",
                    team_id=team_id,
                    rows_max=READ_ROWS_MAX,
                    events_max=events_max,
                    bytes_max=READ_BYTES_MAX,
                )
            )
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

    async def set_aside_next(self, team_id: UUID, reason: str) -> int | None:
        """Marks a team's next webhook as refused without reading it; its sequence, None if there is none."""
        async with transaction(self._pool, [team_id]) as connection:
            sequence: int | None = await connection.fetchval(
                *QUERIES.bind("refuse_next_webhook", team_id=team_id)
            )
            if sequence is not None:
                refusals = [(team_id, sequence, 0, _text(reason))]
                await connection.execute(QUERIES["keep_refusals"], *columns(refusals, 4))
        return sequence

    async def forget(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes the oldest worked webhooks that were received before their cutoff, up to `row_max`; returns how
        many."""
        forgotten: int = await self._pool.fetchval(
            *QUERIES.bind("forget_webhooks", **cutoffs._asdict(), row_max=row_max)
        )
        return forgotten

    async def finish(self, worked: Sequence[Worked]) -> None:
        """Marks webhooks as recorded, or refused in part, and keeps the reasons: one transaction. Those that are marked
        already are left alone."""
        states = [InboxState.REFUSED if item.refusals else InboxState.RECORDED for item in worked]
        async with transaction(self._pool, {item.webhook.team_id for item in worked}) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "mark_webhooks", sequences=[item.webhook.sequence for item in worked], states=states
                )
            )
            marked = {row["sequence"] for row in rows}
            refusals = [
                (item.webhook.team_id, item.webhook.sequence, refusal.event_index, _text(refusal.reason))
                for item in worked
                for refusal in item.refusals
                if item.webhook.sequence in marked
            ]
            if refusals:
                await connection.execute(QUERIES["keep_refusals"], *columns(refusals, 4))


def _text(reason: str) -> str:
    """As much of a reason as is kept, as text that the table takes: it may quote what came in."""
    return reason[:REASON_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


async def _digests(connection: Connection, items: Sequence[Incoming]) -> dict[_Key, bytes]:
    """Of stored webhooks that have the ids of `items`."""
    if not items:
        return {}
    found = await connection.fetch(QUERIES["find_webhooks"], *columns([_key(item) for item in items], 4))
    return {tuple(row[:4]): row["digest"] for row in found}


def _key(item: Incoming) -> _Key:
    return (item.team_id, int(item.source), item.origin, item.webhook_id)


def _receipt(
    item: Incoming, first: dict[_Key, Incoming], stored: set[_Key], digests: dict[_Key, bytes]
) -> Receipt:
    key = _key(item)
    if key in stored and first[key] is item:
        return Receipt.STORED
    return Receipt.REPEATED if digests.get(key) == item.digest else Receipt.CONFLICT
