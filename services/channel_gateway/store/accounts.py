"""Channel accounts: single resources and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import AlreadyExists, NotFound
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.domain.model import PUBLIC_NAMES, Account, Channel
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.content import DELETED, PageKey
from services.channel_gateway.store.facts import Written, write_facts
from services.channel_gateway.store.rows import written_row
from services.channel_gateway.store.vault import Vault


async def create_account(connection: Connection, vault: Vault, account: Account) -> Account:
    """Stores a new account."""
    stored = vault.sealed_connection(account)
    row = await connection.fetchrow(
        *QUERIES.bind(
            "create_account",
            team_id=account.team_id,
            account_id=account.account_id,
            channel=account.channel,
            display_name=account.display_name,
            connection=stored.connection,
            sealed=stored.sealed,
            rate_per_second=account.rate_per_second,
            concurrency_max=account.concurrency_max,
            now=account.created_at,
        ),
    )
    return vault.account_of(written_row(row))


async def hold_ids(connection: Connection, account: Account, before: Account | None) -> None:
    """Makes sure, until the commit, that no other account of the team is named alike by its channel: what the channel
    tells would be taken twice. What `before` had already stays. Raises AlreadyExists `DUPLICATE_VALUE`."""
    ids = account.connection.names
    kept = before.connection.names if before is not None else {}
    fresh = {field: text for field, text in ids.items() if text and text != kept.get(field)}
    if not fresh:
        return
    await connection.execute(*QUERIES.bind("hold_account_ids", team_id=account.team_id))
    for field, text in fresh.items():
        query = QUERIES.bind(
            "find_account_of_id",
            team_id=account.team_id,
            account_id=account.account_id,
            kind=account.connection.kind.value,
            field=field,
            id=text,
        )
        if await connection.fetchval(*query):
            kind = account.connection.kind
            raise AlreadyExists.value_taken(f"account.{kind.value}.{PUBLIC_NAMES[kind][field]}")


async def update_account(connection: Connection, vault: Vault, account: Account, now: datetime) -> Account:
    """Stores all that may change of an account."""
    stored = vault.sealed_connection(account)
    row = await connection.fetchrow(
        *QUERIES.bind(
            "update_account",
            team_id=account.team_id,
            account_id=account.account_id,
            display_name=account.display_name,
            state=account.state,
            state_reason=account.state_reason,
            connection=stored.connection,
            sealed=stored.sealed,
            shut=account.secrets_shut,
            rate_per_second=account.rate_per_second,
            concurrency_max=account.concurrency_max,
            now=now,
        ),
    )
    return vault.account_of(written_row(row))


async def delete_account(connection: Connection, team_id: UUID, account_id: UUID, now: datetime) -> Written:
    """Deletes an account with its templates; facts say that they are gone. Raises NotFound."""
    if not await connection.fetchval(
        *QUERIES.bind("delete_account", team_id=team_id, account_id=account_id, now=now)
    ):
        raise NotFound.of("account", account_id)
    templates = await connection.fetch(
        *QUERIES.bind("delete_account_templates", team_id=team_id, account_id=account_id, now=now)
    )
    facts = [gone(team_id, GoneKind.ACCOUNT, account_id, DELETED, now)]
    facts += [gone(team_id, GoneKind.TEMPLATE, row["template_id"], DELETED, now) for row in templates]
    return await write_facts(connection, facts)


async def hold_account(connection: Connection, vault: Vault, team_id: UUID, account_id: UUID) -> Account:
    """An account, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("hold_account", team_id=team_id, account_id=account_id))
    if row is None:
        raise NotFound.of("account", account_id)
    return vault.account_of(row)


class AccountStore:
    """Reads of single accounts and pages."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens the accounts' secrets."""
        self._pool = pool
        self.vault = vault

    async def account(self, team_id: UUID, account_id: UUID) -> Account:
        """One account. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(
                *QUERIES.bind("get_account", team_id=team_id, account_id=account_id)
            )
        if row is None:
            raise NotFound.of("account", account_id)
        return self.vault.account_of(row)

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id; deleted ones are absent."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["find_accounts"], *columns(keys, 2))
        return {(row["team_id"], row["account_id"]): self.vault.account_of(row) for row in rows}

    async def list_accounts(
        self, team_id: UUID, channel: Channel | None, after: PageKey | None, limit: int
    ) -> list[Account]:
        """A page of accounts, oldest first."""
        created_at, last_id = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_accounts",
                    team_id=team_id,
                    channel=channel or 0,
                    after_time=created_at,
                    after_id=last_id,
                    most=limit,
                )
            )
        return [self.vault.account_of(row) for row in rows]
