"""Definitions of custom attributes. Every change becomes a fact, since running journeys may depend on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.rpc.servicing import check_etag
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute
from services.segment.store import attributes, teams
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.worker.writers import ids_of


class Attributes:
    """Each method raises NotFound for a team or a definition that is not there."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

    async def create(
        self, once: Once[Attribute, Reply], team_id: UUID, key: str, display_name: str, kind: AttributeType
    ) -> Reply:
        """A new definition. Raises AlreadyExists when the key is taken, also by an archived one."""

        async def work(connection: Connection, facts: list[Fact]) -> Attribute:
            await teams.load_team(connection, team_id)
            now = self._edits.now()
            defined = await attributes.insert_attribute(connection, team_id, key, display_name, kind, now=now)
            facts += await attributes.save_definition_fact(connection, defined, 0, now, ids_of(now))
            return defined

        return await self._edits.once(once, work)

    async def change(
        self, once: Once[Attribute, Reply], team_id: UUID, key: str, etag: str, **changes: Any
    ) -> Reply:
        """The definition with the fields in `changes`; where all of them are as they were there is no fact."""

        async def work(connection: Connection, facts: list[Fact]) -> Attribute:
            present = await attributes.lock_attribute(connection, team_id, key)
            check_etag(etag, present.revision)
            once.note_before(present)
            wanted = msgspec.structs.replace(present, **changes)
            if wanted == present:
                return present
            now = self._edits.now()
            changed = await attributes.update_attribute(connection, wanted, now)
            facts += await attributes.save_definition_fact(
                connection, changed, present.type, now, ids_of(now)
            )
            return changed

        return await self._edits.once(once, work)

    async def get(self, team_id: UUID, key: str) -> Attribute:
        """A definition."""
        found = await self.find([(team_id, key)])
        if not found:
            raise NotFound.of("attribute", key)
        return found[team_id, key]

    async def find(self, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Attribute]:
        """Definitions by team and key; those that are not there are left out."""
        async with transaction(self._pool, {team for team, _ in keys}) as connection:
            return await attributes.find_attributes(connection, keys)

    async def page(
        self, team_id: UUID, *, after: str, archived: bool | None, row_max: int
    ) -> list[Attribute]:
        """Definitions in the order of their keys; `archived` None: all."""
        async with transaction(self._pool, [team_id]) as connection:
            return await attributes.list_attributes(
                connection, team_id, after=after, archived=archived, row_max=row_max
            )
