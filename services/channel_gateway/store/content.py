"""Bot modules and templates: single resources and pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.content import BotModule, Template
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.errors import taken_values
from services.channel_gateway.store.facts import Written, write_facts
from services.channel_gateway.store.rows import json_of, module_of, template_of, written_row

DELETED: Final = "DELETED"

PageKey = tuple[datetime, UUID]
"""When the last row shown was created, and its id."""


async def create_module(connection: Connection, module: BotModule) -> BotModule:
    """Stores a new bot module."""
    row = await connection.fetchrow(
        *QUERIES.bind(
            "create_module",
            team_id=module.team_id,
            bot_module_id=module.bot_module_id,
            name=module.name,
            cards=json_of(module.cards),
            now=module.created_at,
        ),
    )
    return module_of(written_row(row))


async def update_module(connection: Connection, module: BotModule, now: datetime) -> BotModule:
    """Stores all that may change of a bot module."""
    row = await connection.fetchrow(
        *QUERIES.bind(
            "update_module",
            team_id=module.team_id,
            bot_module_id=module.bot_module_id,
            name=module.name,
            cards=json_of(module.cards),
            now=now,
        )
    )
    return module_of(written_row(row))


async def delete_module(connection: Connection, team_id: UUID, module_id: UUID, now: datetime) -> Written:
    """Deletes a bot module; a fact says so. Raises NotFound."""
    if not await connection.fetchval(
        *QUERIES.bind("delete_module", team_id=team_id, bot_module_id=module_id, now=now)
    ):
        raise NotFound.of("bot module", module_id)
    return await write_facts(connection, [gone(team_id, GoneKind.BOT_MODULE, module_id, DELETED, now)])


async def create_template(connection: Connection, template: Template) -> Template:
    """Stores a new template. Raises AlreadyExists for a name that the account has in this language."""
    with taken_values():
        row = await connection.fetchrow(
            *QUERIES.bind(
                "create_template",
                team_id=template.team_id,
                template_id=template.template_id,
                account_id=template.account_id,
                name=template.name,
                language=template.language,
                state=template.state,
                category=template.category,
                parameter_names=list(template.parameter_names),
                parameter_count=template.parameter_count,
                shape=None if template.shape is None else json_of(template.shape),
                rejected_reason=template.rejected_reason,
                now=template.created_at,
            ),
        )
    return template_of(written_row(row))


async def update_template(connection: Connection, template: Template, now: datetime) -> Template:
    """Stores all that may change of a template."""
    row = await connection.fetchrow(
        *QUERIES.bind(
            "update_template",
            team_id=template.team_id,
            template_id=template.template_id,
            state=template.state,
            category=template.category,
            parameter_names=list(template.parameter_names),
            parameter_count=template.parameter_count,
            shape=None if template.shape is None else json_of(template.shape),
            rejected_reason=template.rejected_reason,
            now=now,
        ),
    )
    return template_of(written_row(row))


async def delete_template(connection: Connection, team_id: UUID, template_id: UUID, now: datetime) -> Written:
    """Deletes a template; a fact says so. Raises NotFound."""
    if not await connection.fetchval(
        *QUERIES.bind("delete_template", team_id=team_id, template_id=template_id, now=now)
    ):
        raise NotFound.of("template", template_id)
    return await write_facts(connection, [gone(team_id, GoneKind.TEMPLATE, template_id, DELETED, now)])


async def hold_module(connection: Connection, team_id: UUID, module_id: UUID) -> BotModule:
    """A bot module, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("hold_module", team_id=team_id, bot_module_id=module_id))
    if row is None:
        raise NotFound.of("bot module", module_id)
    return module_of(row)


async def hold_template(connection: Connection, team_id: UUID, template_id: UUID) -> Template:
    """A template, locked until the commit. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("hold_template", team_id=team_id, template_id=template_id))
    if row is None:
        raise NotFound.of("template", template_id)
    return template_of(row)


async def hold_templates(connection: Connection, team_id: UUID, account_id: UUID) -> list[Template]:
    """The templates of an account, locked until the commit."""
    rows = await connection.fetch(*QUERIES.bind("hold_templates", team_id=team_id, account_id=account_id))
    return [template_of(row) for row in rows]


class ContentStore:
    """Reads of single resources and pages."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def module(self, team_id: UUID, module_id: UUID) -> BotModule:
        """One bot module. Raises NotFound."""
        row = await self._row(*QUERIES.bind("get_module", team_id=team_id, bot_module_id=module_id))
        if row is None:
            raise NotFound.of("bot module", module_id)
        return module_of(row)

    async def template(self, team_id: UUID, template_id: UUID) -> Template:
        """One template. Raises NotFound."""
        row = await self._row(*QUERIES.bind("get_template", team_id=team_id, template_id=template_id))
        if row is None:
            raise NotFound.of("template", template_id)
        return template_of(row)

    async def list_modules(self, team_id: UUID, after: PageKey | None, limit: int) -> list[BotModule]:
        """A page of bot modules, oldest first."""
        created_at, last_id = after or (None, None)
        rows = await self._rows(
            *QUERIES.bind(
                "list_modules", team_id=team_id, after_time=created_at, after_id=last_id, most=limit
            )
        )
        return [module_of(row) for row in rows]

    async def list_templates(
        self, team_id: UUID, account_id: UUID | None, after: PageKey | None, limit: int
    ) -> list[Template]:
        """A page of templates, oldest first."""
        created_at, last_id = after or (None, None)
        rows = await self._rows(
            *QUERIES.bind(
                "list_templates",
                team_id=team_id,
                account_id=account_id,
                after_time=created_at,
                after_id=last_id,
                most=limit,
            )
        )
        return [template_of(row) for row in rows]

    async def _row(self, sql: str, team_id: UUID, resource_id: UUID) -> Any:
        async with transaction(self._pool, [team_id]) as connection:
            return await connection.fetchrow(sql, team_id, resource_id)

    async def _rows(self, sql: str, team_id: UUID, *arguments: Any) -> list[Any]:
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            return await connection.fetch(sql, team_id, *arguments)
