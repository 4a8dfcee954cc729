"""Shops, their signing keys, and the inbox as people see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.errors import ShopKeyLimit
from services.channel_gateway.domain.inbox import InboxRow, InboxSource, InboxState, Refusal
from services.channel_gateway.domain.views import Shop, ShopKey
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.errors import taken_values
from services.channel_gateway.store.vault import Vault

KEYS_MAX: Final = 4
"""Valid signing keys of a shop."""


async def create_shop(
    connection: Connection, team_id: UUID, shop_id: str, *, name: str, enabled: bool, now: datetime
) -> Shop:
    """Stores a new shop. Raises AlreadyExists for an id that is taken, by a deleted shop as well."""
    with taken_values():
        row = await connection.fetchrow(
            *QUERIES.bind(
                "create_shop", team_id=team_id, shop_id=shop_id, display_name=name, enabled=enabled, now=now
            )
        )
    assert row is not None, "the statement returns the row that it writes"
    return Shop(*row)


async def hold_shop(connection: Connection, team_id: UUID, shop_id: str) -> Shop:
    """A shop, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("hold_shop", team_id=team_id, shop_id=shop_id))
    if row is None:
        raise NotFound.of("shop", shop_id)
    return Shop(*row)


async def update_shop(connection: Connection, shop: Shop, now: datetime) -> Shop:
    """Stores all that may change of a shop."""
    row = await connection.fetchrow(
        *QUERIES.bind(
            "update_shop",
            team_id=shop.team_id,
            shop_id=shop.shop_id,
            display_name=shop.display_name,
            enabled=shop.enabled,
            now=now,
        )
    )
    assert row is not None, "the row is locked"
    return Shop(*row)


async def delete_shop(connection: Connection, team_id: UUID, shop_id: str, now: datetime) -> None:
    """Deletes a shop and its keys. Raises NotFound."""
    if not await connection.fetchval(*QUERIES.bind("delete_shop", team_id=team_id, shop_id=shop_id, now=now)):
        raise NotFound.of("shop", shop_id)
    await connection.execute(*QUERIES.bind("delete_shop_keys", team_id=team_id, shop_id=shop_id))


async def create_key(connection: Connection, vault: Vault, key: ShopKey, now: datetime) -> None:
    """Stores a key of a shop. Raises NotFound, or ShopKeyLimit."""
    await hold_shop(connection, key.team_id, key.shop_id)
    if (
        await connection.fetchval(
            *QUERIES.bind("count_shop_keys", team_id=key.team_id, shop_id=key.shop_id, now=now)
        )
        >= KEYS_MAX
    ):
        raise ShopKeyLimit(KEYS_MAX)
    await connection.execute(
        *QUERIES.bind(
            "create_shop_key",
            team_id=key.team_id,
            shop_id=key.shop_id,
            key_id=key.key_id,
            sealed=vault.sealed_key(key),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


async def find_key(
    connection: Connection, vault: Vault, team_id: UUID, shop_id: str, key_id: UUID
) -> ShopKey | None:
    """A key of a shop; None when it went with its shop."""
    row = await connection.fetchrow(
        *QUERIES.bind("find_shop_key", team_id=team_id, shop_id=shop_id, key_id=key_id)
    )
    return None if row is None else vault.key_of(row)


async def expire_key(
    connection: Connection, team_id: UUID, shop_id: str, key_id: UUID, *, at: datetime, now: datetime
) -> None:
    """Ends a key at a time; one that has ended stays as it is. Raises NotFound."""
    if not await connection.fetchval(
        *QUERIES.bind(
            "expire_shop_key", team_id=team_id, shop_id=shop_id, key_id=key_id, expires_at=at, now=now
        )
    ):
        raise NotFound.of("shop key", key_id)


async def restore(connection: Connection, team_id: UUID, sequence: int) -> InboxRow:
    """Lets a refused record be worked again; another one is left as it is. Raises NotFound."""
    if await connection.fetchval(*QUERIES.bind("restore_inbox", team_id=team_id, sequence=sequence)):
        await connection.execute(*QUERIES.bind("drop_refusals", team_id=team_id, sequence=sequence))
    return await load_record(connection, team_id, sequence)


class ShopStore:
    """Reads outside of writes."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens keys."""
        self._pool = pool
        self._vault = vault

    async def shop(self, team_id: UUID, shop_id: str) -> Shop:
        """One shop. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*QUERIES.bind("get_shop", team_id=team_id, shop_id=shop_id))
        if row is None:
            raise NotFound.of("shop", shop_id)
        return Shop(*row)

    async def list_shops(self, team_id: UUID, after: tuple[datetime, str] | None, limit: int) -> list[Shop]:
        """A page of shops, oldest first."""
        created_at, last_id = after or (None, "")
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_shops", team_id=team_id, after_time=created_at, after_id=last_id, most=limit
                )
            )
        return [Shop(*row) for row in rows]

    async def list_keys(
        self, team_id: UUID, shop_id: str, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[ShopKey]:
        """A page of a shop's keys, newest first. Raises NotFound for the shop."""
        created_at, last_id = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await hold_shop(connection, team_id, shop_id)
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_shop_keys",
                    team_id=team_id,
                    shop_id=shop_id,
                    before_time=created_at,
                    before_id=last_id,
                    most=limit,
                )
            )
        return [self._vault.key_of(row) for row in rows]

    async def list_inbox(
        self, team_id: UUID, state: int, origin: str, before: int | None, limit: int
    ) -> list[InboxRow]:
        """A page of webhooks that came in, newest first, without bodies."""
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_inbox",
                    team_id=team_id,
                    state=state,
                    origin=origin,
                    before_sequence=before,
                    most=limit,
                )
            )
            refusals = await _refusals(connection, team_id, [row["sequence"] for row in rows])
        return [_row_of(row, b"", refusals) for row in rows]

    async def inbox_row(self, team_id: UUID, sequence: int) -> InboxRow:
        """One webhook with its body. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await load_record(connection, team_id, sequence)


async def load_record(connection: Connection, team_id: UUID, sequence: int) -> InboxRow:
    row = await connection.fetchrow(*QUERIES.bind("get_inbox", team_id=team_id, sequence=sequence))
    if row is None:
        raise NotFound.of("inbox record", str(sequence))
    return _row_of(row, row["body"], await _refusals(connection, team_id, [sequence]))


async def _refusals(
    connection: Connection, team_id: UUID, sequences: Sequence[int]
) -> dict[int, list[Refusal]]:
    refusals: dict[int, list[Refusal]] = {}
    for row in await connection.fetch(
        *QUERIES.bind("get_refusals", team_id=team_id, sequences=list(sequences))
    ):
        refusals.setdefault(row["sequence"], []).append(Refusal(row["index"], row["reason"]))
    return refusals


def _row_of(row: Mapping[str, Any], body: bytes, refusals: Mapping[int, list[Refusal]]) -> InboxRow:
    return InboxRow(
        row["sequence"],
        InboxSource(row["source"]),
        row["team_id"],
        row["origin"],
        row["webhook_id"],
        body,
        row["event_count"],
        row["received_at"],
        InboxState(row["state"]),
        refusals.get(row["sequence"], []),
    )
