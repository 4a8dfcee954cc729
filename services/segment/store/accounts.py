"""Channel accounts, as the gateway lets all services know them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from libs.common.db.pool import Connection, Pool, fetch_alone
from services.segment.store.base import BOOK

AccountKey = tuple[UUID, UUID]
"""Team and account."""


async def find_accounts(connection: Connection, keys: Collection[AccountKey]) -> frozenset[AccountKey]:
    """Those of the accounts that there are, and that were not deleted."""
    team_ids, account_ids = zip(*keys, strict=True)
    query = BOOK.bind("find_accounts", team_ids=list(team_ids), account_ids=list(account_ids))
    return frozenset((row["team_id"], row["account_id"]) for row in await connection.fetch(*query))


async def known_accounts(pool: Pool, keys: Collection[AccountKey]) -> frozenset[AccountKey]:
    """The same, by one statement that is a transaction of its own."""
    team_ids, account_ids = zip(*keys, strict=True)
    query = BOOK.bind("known_accounts", team_ids=list(team_ids), account_ids=list(account_ids))
    return frozenset((row["team_id"], row["account_id"]) for row in await fetch_alone(pool, *query))
