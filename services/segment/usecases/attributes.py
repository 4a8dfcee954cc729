"""Definitions of custom attributes. Every change becomes a fact, since running journeys may depend on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound, Unavailable
from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.servicing import check_etag
from services.segment.clients.journeys import JourneyUses
from services.segment.domain.attributes import fitted
from services.segment.domain.audience_changes import AudienceChange, ChangeState
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute
from services.segment.domain.uses import User, in_use
from services.segment.store import attributes, teams
from services.segment.store.audience_changes import insert_change, values_of_attribute
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.usecases.uses import naming_audiences
from services.segment.worker.writers import ids_of

PREVIEW_VALUES_MAX: Final = 100_000


class Retyped(NamedTuple):
    """A definition with a new type, and the work that converts its values."""

    attribute: Attribute
    change: AudienceChange | None


class Archived(NamedTuple):
    """A definition that is archived, and who named it."""

    attribute: Attribute
    users: Sequence[User]


class TypePreview(NamedTuple):
    """How many values there are, how many of them fit, and those that do not, each once."""

    value_count: int
    fitting_count: int
    misfits: list[str]


class Attributes:
    """Each method raises NotFound for a team or a definition that is not there."""

    def __init__(self, pool: Pool, edits: Edits, journeys: JourneyUses, wake: Callable[[], None]) -> None:
        """One per process; `journeys` says who names an attribute, `wake` is called when there are values to
        convert."""
        self._pool = pool
        self._edits = edits
        self._journeys = journeys
        self._wake = wake

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
            return await self._change(connection, facts, present, changes)

        return await self._edits.once(once, work)

    async def archive(
        self, once: Once[Archived, Reply], team_id: UUID, key: str, etag: str, *, unless_used: bool
    ) -> Reply:
        """The archived definition, and who named it. Raises FailedPrecondition `IN_USE` and Unavailable if it is to
        stay while anybody does (`unless_used`)."""
        journeys, away = await self._naming_journeys(team_id, key)

        async def work(connection: Connection, facts: list[Fact]) -> Archived:
            present = await attributes.lock_attribute(connection, team_id, key)
            check_etag(etag, present.revision)
            once.note_before(Archived(present, ()))
            if present.archived:
                return Archived(present, ())
            users = [*journeys, *await naming_audiences(connection, team_id, attribute_key=key)]
            if unless_used and away is not None:
                raise away
            if unless_used and users:
                raise in_use("the attribute", users, "ask without unless_used")
            return Archived(await self._change(connection, facts, present, {"archived": True}), users)

        return await self._edits.once(once, work)

    async def _naming_journeys(self, team_id: UUID, key: str) -> tuple[list[User], Unavailable | None]:
        """Asked outside of the transaction; the error where they could not be."""
        try:
            return await self._journeys.of_attribute(team_id, key), None
        except Unavailable as error:
            return [], error

    async def retype(
        self, once: Once[Retyped, Reply], team_id: UUID, key: str, etag: str, **changes: Any
    ) -> Reply:
        """As `change`; values that fit the new type are kept, by work that is started."""

        async def work(connection: Connection, facts: list[Fact]) -> Retyped:
            before = await attributes.lock_attribute(connection, team_id, key)
            check_etag(etag, before.revision)
            once.note_before(before)
            changed = await self._change(connection, facts, before, changes)
            if changed.type == before.type:
                return Retyped(changed, None)
            now = self._edits.now()
            change = AudienceChange(
                team_id=team_id,
                change_id=new_id(epoch_ms(now)),
                audience=b"",
                add_tags=(),
                remove_tags=(),
                keys=(),
                texts=(),
                triggers=False,
                of_tag=False,
                state=ChangeState.PENDING,
                reached=None,
                done_count=0,
                refused_count=0,
                total_count=0,
                reason="",
                message="",
                created_at=now,
                updated_at=now,
                convert_key=key,
                convert_from=int(before.type),
                convert_to=int(changed.type),
            )
            await insert_change(connection, change)
            return Retyped(changed, change)

        reply = await self._edits.once(once, work)
        self._wake()
        return reply

    async def _change(
        self, connection: Connection, facts: list[Fact], present: Attribute, changes: dict[str, Any]
    ) -> Attribute:
        wanted = msgspec.structs.replace(present, **changes)
        if wanted == present:
            return present
        now = self._edits.now()
        changed = await attributes.update_attribute(connection, wanted, now)
        facts += await attributes.save_definition_fact(connection, changed, present.type, now, ids_of(now))
        return changed

    async def preview(self, team_id: UUID, key: str, kind: AttributeType) -> TypePreview:
        """Which values of an attribute would fit the type."""
        async with transaction(self._pool, [team_id]) as connection:
            found = await attributes.find_attributes(connection, [(team_id, key)])
            if not found:
                raise NotFound.of("attribute", key)
            present = found[team_id, key].type
            values = await values_of_attribute(connection, team_id, key, present, PREVIEW_VALUES_MAX)
        misfits = [value for value in values if fitted(kind, value) is None]
        return TypePreview(len(values), len(values) - len(misfits), list(dict.fromkeys(misfits)))

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
