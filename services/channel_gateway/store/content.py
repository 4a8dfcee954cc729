"""Accounts, bot modules and templates: single resources, and what channels tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    BotModule,
    Channel,
    Template,
    TemplateState,
)
from services.channel_gateway.store.book import ADMIN, QUERIES, columns
from services.channel_gateway.store.facts import Fact, FactKind, GoneKind, Written, write_facts
from services.channel_gateway.store.rows import account_of, module_of, template_of

DELETED: Final = "DELETED"
GONE_AT_CHANNEL: Final = "GONE_AT_CHANNEL"

PageKey = tuple[datetime, UUID]
"""When the last row shown was created, and its id."""


async def create_account(connection: Connection, account: Account) -> Account:
    """Stores a new account."""
    row = await connection.fetchrow(
        ADMIN["create_account"],
        account.team_id,
        account.account_id,
        account.channel,
        account.display_name,
        _json(account.connection),
        account.rate_per_second,
        account.concurrency_max,
        account.created_at,
    )
    return account_of(_present(row))


async def update_account(connection: Connection, account: Account, now: datetime) -> Account:
    """Stores all that may change of an account."""
    row = await connection.fetchrow(
        ADMIN["update_account"],
        account.team_id,
        account.account_id,
        account.display_name,
        account.state,
        account.state_reason,
        _json(account.connection),
        account.rate_per_second,
        account.concurrency_max,
        now,
    )
    return account_of(_present(row))


async def delete_account(connection: Connection, team_id: UUID, account_id: UUID, now: datetime) -> Written:
    """Deletes an account with its templates; facts say that they are gone. Raises NotFound."""
    if not await connection.fetchval(ADMIN["delete_account"], team_id, account_id, now):
        raise NotFound.of("account", account_id)
    templates = await connection.fetch(ADMIN["delete_account_templates"], team_id, account_id, now)
    facts = [gone(team_id, GoneKind.ACCOUNT, account_id, DELETED, now)]
    facts += [gone(team_id, GoneKind.TEMPLATE, row["template_id"], DELETED, now) for row in templates]
    return await write_facts(connection, facts)


async def create_module(connection: Connection, module: BotModule) -> BotModule:
    """Stores a new bot module."""
    row = await connection.fetchrow(
        ADMIN["create_module"],
        module.team_id,
        module.bot_module_id,
        module.name,
        _json(module.cards),
        module.created_at,
    )
    return module_of(_present(row))


async def update_module(connection: Connection, module: BotModule, now: datetime) -> BotModule:
    """Stores all that may change of a bot module."""
    row = await connection.fetchrow(
        ADMIN["update_module"], module.team_id, module.bot_module_id, module.name, _json(module.cards), now
    )
    return module_of(_present(row))


async def delete_module(connection: Connection, team_id: UUID, module_id: UUID, now: datetime) -> Written:
    """Deletes a bot module; a fact says so. Raises NotFound."""
    if not await connection.fetchval(ADMIN["delete_module"], team_id, module_id, now):
        raise NotFound.of("bot module", module_id)
    return await write_facts(connection, [gone(team_id, GoneKind.BOT_MODULE, module_id, DELETED, now)])


async def create_template(connection: Connection, template: Template) -> Template:
    """Stores a new template. The driver's UniqueViolationError tells of a name that is taken."""
    row = await connection.fetchrow(
        ADMIN["create_template"],
        template.team_id,
        template.template_id,
        template.account_id,
        template.name,
        template.language,
        template.state,
        template.category,
        list(template.parameter_names),
        template.parameter_count,
        template.created_at,
    )
    return template_of(_present(row))


async def update_template(connection: Connection, template: Template, now: datetime) -> Template:
    """Stores all that may change of a template."""
    row = await connection.fetchrow(
        ADMIN["update_template"],
        template.team_id,
        template.template_id,
        template.state,
        template.category,
        list(template.parameter_names),
        template.parameter_count,
        now,
    )
    return template_of(_present(row))


async def delete_template(connection: Connection, team_id: UUID, template_id: UUID, now: datetime) -> Written:
    """Deletes a template; a fact says so. Raises NotFound."""
    if not await connection.fetchval(ADMIN["delete_template"], team_id, template_id, now):
        raise NotFound.of("template", template_id)
    return await write_facts(connection, [gone(team_id, GoneKind.TEMPLATE, template_id, DELETED, now)])


async def hold_account(connection: Connection, team_id: UUID, account_id: UUID) -> Account:
    """An account, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(ADMIN["hold_account"], team_id, account_id)
    if row is None:
        raise NotFound.of("account", account_id)
    return account_of(row)


async def hold_module(connection: Connection, team_id: UUID, module_id: UUID) -> BotModule:
    """A bot module, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(ADMIN["hold_module"], team_id, module_id)
    if row is None:
        raise NotFound.of("bot module", module_id)
    return module_of(row)


async def hold_template(connection: Connection, team_id: UUID, template_id: UUID) -> Template:
    """A template, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(ADMIN["hold_template"], team_id, template_id)
    if row is None:
        raise NotFound.of("template", template_id)
    return template_of(row)


class ContentStore:
    """Reads of single resources and pages."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def account(self, team_id: UUID, account_id: UUID) -> Account:
        """One account. Raises NotFound."""
        row = await self._row(ADMIN["get_account"], team_id, account_id)
        if row is None:
            raise NotFound.of("account", account_id)
        return account_of(row)

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id; deleted ones are absent."""
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["find_accounts"], *columns(keys, 2))
        return {(row["team_id"], row["account_id"]): account_of(row) for row in rows}

    async def module(self, team_id: UUID, module_id: UUID) -> BotModule:
        """One bot module. Raises NotFound."""
        row = await self._row(ADMIN["get_module"], team_id, module_id)
        if row is None:
            raise NotFound.of("bot module", module_id)
        return module_of(row)

    async def template(self, team_id: UUID, template_id: UUID) -> Template:
        """One template. Raises NotFound."""
        row = await self._row(ADMIN["get_template"], team_id, template_id)
        if row is None:
            raise NotFound.of("template", template_id)
        return template_of(row)

    async def list_accounts(
        self, team_id: UUID, channel: Channel | None, after: PageKey | None, limit: int
    ) -> list[Account]:
        """A page of accounts, oldest first."""
        created_at, last_id = after or (None, None)
        rows = await self._rows(ADMIN["list_accounts"], team_id, channel or 0, created_at, last_id, limit)
        return [account_of(row) for row in rows]

    async def list_modules(self, team_id: UUID, after: PageKey | None, limit: int) -> list[BotModule]:
        """A page of bot modules, oldest first."""
        created_at, last_id = after or (None, None)
        rows = await self._rows(ADMIN["list_modules"], team_id, created_at, last_id, limit)
        return [module_of(row) for row in rows]

    async def list_templates(
        self, team_id: UUID, account_id: UUID | None, after: PageKey | None, limit: int
    ) -> list[Template]:
        """A page of templates, oldest first."""
        created_at, last_id = after or (None, None)
        rows = await self._rows(ADMIN["list_templates"], team_id, account_id, created_at, last_id, limit)
        return [template_of(row) for row in rows]

    async def _row(self, sql: str, team_id: UUID, resource_id: UUID) -> Any:
        async with transaction(self._pool, [team_id]) as connection:
            return await connection.fetchrow(sql, team_id, resource_id)

    async def _rows(self, sql: str, team_id: UUID, *arguments: Any) -> list[Any]:
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            return await connection.fetch(sql, team_id, *arguments)


class TroubleStore:
    """Keeps what channels tell of accounts and templates while sending."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`pool` of the service's own role."""
        self._pool = pool
        self._clock = clock

    async def account_unusable(self, account: Account, reason: str) -> Written:
        """An active account becomes unusable until somebody renews it."""
        async with transaction(self._pool, [account.team_id]) as connection:
            await connection.execute(
                QUERIES["set_account_state"],
                account.team_id,
                account.account_id,
                AccountState.UNUSABLE,
                reason[:500],
                self._clock.now(),
            )
        return Written([], {})

    async def template_gone(self, team_id: UUID, template_id: UUID) -> Written:
        """A template is disabled, and a fact says so, once."""
        now = self._clock.now()
        async with transaction(self._pool, [team_id]) as connection:
            changed = await connection.fetchval(
                QUERIES["set_template_state"], team_id, template_id, TemplateState.DISABLED, now
            )
            facts = [gone(team_id, GoneKind.TEMPLATE, template_id, GONE_AT_CHANNEL, now)] if changed else []
            return await write_facts(connection, facts)


def gone(team_id: UUID, kind: GoneKind, content_id: UUID, reason: str, now: datetime) -> Fact:
    """The fact that content can no longer be sent."""
    return Fact(FactKind.CONTENT_GONE, team_id, now, content_id, kind, reason)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _present(row: Any) -> Any:
    assert row is not None, "the statement returns the row that it writes"
    return row
