"""Channel accounts: single resources and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.domain.model import Account, Channel
from services.channel_gateway.store.book import ADMIN, QUERIES, columns
from services.channel_gateway.store.content import DELETED, PageKey
from services.channel_gateway.store.facts import Written, write_facts
from services.channel_gateway.store.rows import account_of, json_of, written_row


async def create_account(connection: Connection, account: Account) -> Account:
    """Stores a new account."""
    row = await connection.fetchrow(
        ADMIN["create_account"],
        account.team_id,
        account.account_id,
        account.channel,
        account.display_name,
        json_of(account.connection),
        account.rate_per_second,
        account.concurrency_max,
        account.created_at,
    )
    return account_of(written_row(row))


async def update_account(connection: Connection, account: Account, now: datetime) -> Account:
    """Stores all that may change of an account."""
    row = await connection.fetchrow(
        ADMIN["update_account"],
        account.team_id,
        account.account_id,
        account.display_name,
        account.state,
        account.state_reason,
        json_of(account.connection),
        account.rate_per_second,
        account.concurrency_max,
        now,
    )
    return account_of(written_row(row))


async def delete_account(connection: Connection, team_id: UUID, account_id: UUID, now: datetime) -> Written:
    """Deletes an account with its templates; facts say that they are gone. Raises NotFound."""
    if not await connection.fetchval(ADMIN["delete_account"], team_id, account_id, now):
        raise NotFound.of("account", account_id)
    templates = await connection.fetch(ADMIN["delete_account_templates"], team_id, account_id, now)
    facts = [gone(team_id, GoneKind.ACCOUNT, account_id, DELETED, now)]
    facts += [gone(team_id, GoneKind.TEMPLATE, row["template_id"], DELETED, now) for row in templates]
    return await write_facts(connection, facts)


async def hold_account(connection: Connection, team_id: UUID, account_id: UUID) -> Account:
    """An account, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(ADMIN["hold_account"], team_id, account_id)
    if row is None:
        raise NotFound.of("account", account_id)
    return account_of(row)


class AccountStore:
    """Reads of single accounts and pages."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def account(self, team_id: UUID, account_id: UUID) -> Account:
        """One account. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(ADMIN["get_account"], team_id, account_id)
        if row is None:
            raise NotFound.of("account", account_id)
        return account_of(row)

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id; deleted ones are absent."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["find_accounts"], *columns(keys, 2))
        return {(row["team_id"], row["account_id"]): account_of(row) for row in rows}

    async def list_accounts(
        self, team_id: UUID, channel: Channel | None, after: PageKey | None, limit: int
    ) -> list[Account]:
        """A page of accounts, oldest first."""
        created_at, last_id = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                ADMIN["list_accounts"], team_id, channel or 0, created_at, last_id, limit
            )
        return [account_of(row) for row in rows]
