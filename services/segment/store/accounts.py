"""Channel accounts, as the gateway lets all services know them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection, Pool, fetch_alone
from services.segment.store.base import BOOK

AccountKey = tuple[UUID, UUID]
"""Team and account."""


async def find_accounts(connection: Connection, keys: Collection[AccountKey]) -> dict[AccountKey, int | None]:
    """Those of the accounts that there are, and that were not deleted, with their channels; None: of one that a process
    of the release before made."""
    team_ids, account_ids = zip(*keys, strict=True)
    query = BOOK.bind("find_accounts", team_ids=list(team_ids), account_ids=list(account_ids))
    return _channels(await connection.fetch(*query))


async def known_accounts(pool: Pool, keys: Collection[AccountKey]) -> dict[AccountKey, int | None]:
    """The same, by one statement that is a transaction of its own."""
    team_ids, account_ids = zip(*keys, strict=True)
    query = BOOK.bind("known_accounts", team_ids=list(team_ids), account_ids=list(account_ids))
    return _channels(await fetch_alone(pool, *query))


def _channels(rows: Iterable[Any]) -> dict[AccountKey, int | None]:
    return {(row["team_id"], row["account_id"]): row["channel"] for row in rows}
