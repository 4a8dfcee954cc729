"""Keys of pixels: which pages may report to which shop."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.errors import PixelKeyLimit
from services.channel_gateway.domain.views import PixelKey
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.errors import absences
from services.channel_gateway.store.rows import Row
from services.channel_gateway.store.shops import hold_shop

PIXEL_KEYS_MAX = 100
"""Keys of one shop, ended ones among them."""


async def create_key(connection: Connection, key: PixelKey) -> None:
    """Stores a key. Raises NotFound for the shop, PixelKeyLimit."""
    await hold_shop(connection, key.team_id, key.shop_id)
    count = await connection.fetchval(
        *QUERIES.bind("count_pixel_keys", team_id=key.team_id, shop_id=key.shop_id)
    )
    if count >= PIXEL_KEYS_MAX:
        raise PixelKeyLimit(PIXEL_KEYS_MAX)
    await connection.execute(
        *QUERIES.bind(
            "create_pixel_key",
            team_id=key.team_id,
            key_id=key.key_id,
            shop_id=key.shop_id,
            origins=list(key.origins),
            created_at=key.created_at,
        )
    )


async def hold_key(connection: Connection, team_id: UUID, key_id: UUID) -> PixelKey:
    """A key, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("hold_pixel_key", team_id=team_id, key_id=key_id))
    if row is None:
        raise NotFound.of("pixel key", key_id)
    return _key(row)


async def revoke_key(connection: Connection, team_id: UUID, key_id: UUID, now: datetime) -> PixelKey:
    """Ends a key; one that has ended stays as it is. Raises NotFound."""
    row = await connection.fetchrow(
        *QUERIES.bind("revoke_pixel_key", team_id=team_id, key_id=key_id, now=now)
    )
    if row is None:
        raise NotFound.of("pixel key", key_id)
    return _key(row)


class PixelStore:
    """Reads outside of writes."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def usable_key(self, team_id: UUID, key_id: UUID) -> PixelKey | None:
        """A key that pages may use now. Raises Unavailable."""
        with absences():
            async with transaction(self._pool, [team_id]) as connection:
                row = await connection.fetchrow(
                    *QUERIES.bind("find_pixel_key", team_id=team_id, key_id=key_id)
                )
        return None if row is None else _key(row)

    async def list_keys(
        self, team_id: UUID, shop_id: str, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[PixelKey]:
        """A page of a shop's keys, newest first. Raises NotFound for the shop."""
        created_at, last_id = before or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await hold_shop(connection, team_id, shop_id)
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_pixel_keys",
                    team_id=team_id,
                    shop_id=shop_id,
                    before_time=created_at,
                    before_id=last_id,
                    most=limit,
                )
            )
        return [_key(row) for row in rows]


def _key(row: Row) -> PixelKey:
    return PixelKey(
        row["team_id"],
        row["shop_id"],
        row["key_id"],
        tuple(row["origins"]),
        row["created_at"],
        row["revoked_at"],
    )
