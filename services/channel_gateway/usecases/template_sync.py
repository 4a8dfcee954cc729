"""Templates brought up to date with what their channel has, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.feeds.publisher import CommitPublisher
from libs.common.ids import epoch_ms, new_id
from services.channel_gateway.domain.content import Template
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.domain.templates import ListedTemplate, TemplateChanges, compared
from services.channel_gateway.store import accounts as account_store
from services.channel_gateway.store import content as store
from services.channel_gateway.store.facts import Written, write_facts
from services.channel_gateway.store.trouble import GONE_AT_CHANNEL
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.usecases.call import Call, Reply, once


class TemplateSync:
    """Writes what a channel's list of templates changes."""

    def __init__(self, pool: Pool, vault: Vault, publisher: CommitPublisher, clock: Clock) -> None:
        """`vault` opens accounts, `publisher` publishes that content is gone."""
        self._pool = pool
        self._vault = vault
        self._publisher = publisher
        self._clock = clock

    async def sync(
        self, call: Call[TemplateChanges, Reply], account_id: UUID, found: Sequence[ListedTemplate]
    ) -> Reply:
        """`found` are all templates of the account. Raises NotFound."""
        facts: list[Written] = []

        async def sync(connection: Connection) -> TemplateChanges:
            await account_store.hold_account(connection, self._vault, call.team_id, account_id)
            ours = await store.hold_templates(connection, call.team_id, account_id)
            changes = compared(ours, found)
            facts.append(await self._write(connection, call.team_id, account_id, changes))
            return changes

        reply = await once(self._pool, call, sync)
        # A repeated call committed nothing: there is nothing to publish.
        for written in facts:
            self._publisher.publish(*written)
        return reply

    async def _write(
        self, connection: Connection, team_id: UUID, account_id: UUID, changes: TemplateChanges
    ) -> Written:
        now = self._clock.now()
        for found in changes.added:
            await store.create_template(connection, _new(team_id, account_id, found, now))
        for template in (*changes.changed, *changes.gone):
            await store.update_template(connection, template, now)
        return await write_facts(
            connection,
            [gone(team_id, GoneKind.TEMPLATE, each, GONE_AT_CHANNEL, now) for each in changes.stopping],
        )


def _new(team_id: UUID, account_id: UUID, found: ListedTemplate, now: datetime) -> Template:
    return Template(
        team_id,
        new_id(epoch_ms(now)),
        account_id,
        found.name,
        found.language,
        found.state,
        found.category,
        found.parameter_names,
        found.parameter_count,
        now,
        now,
        1,
        found.shape,
        found.rejected_reason,
    )
