"""Definitions of custom attributes. Every change becomes a fact, since running journeys may depend on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import FailedPrecondition, NotFound, Unavailable
from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.servicing import check_etag
from services.segment.clients.journeys import JourneyUses
from services.segment.domain.attributes import check_merge, fitted
from services.segment.domain.audience_changes import DELETED, MERGED, AudienceChange, ChangeState
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute
from services.segment.domain.uses import User, in_use
from services.segment.store import attributes, teams
from services.segment.store import audience_changes as store
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


class Deletion(NamedTuple):
    """The work that deletes a definition with its values or merges it into another, and who named it."""

    change: AudienceChange
    users: Sequence[User] = ()


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

    async def delete(
        self, once: Once[Deletion, Reply], team_id: UUID, key: str, etag: str, *, force: bool
    ) -> Reply:
        """Archives the definition and starts the work that deletes it with its values. Raises
        FailedPrecondition `IN_USE` and Unavailable, unless `force`; `ATTRIBUTE_UNAVAILABLE` while it is merged."""
        may_go = await self._may_go(team_id, key, force=force)
        async with transaction(self._pool, [team_id]) as reading:
            total = await store.count_values(reading, team_id, key)

        async def work(connection: Connection, facts: list[Fact]) -> Deletion:
            present = await attributes.lock_attribute(connection, team_id, key)
            check_etag(etag, present.revision)
            once.note_before(present)
            for going_on in await store.unfinished_works_on_values(connection, team_id, [key]):
                if going_on.merge_into:
                    raise _busy(going_on)
                if going_on.deletes_attribute:
                    return Deletion(going_on)
            users = await may_go(connection)
            await self._change(connection, facts, present, {"archived": True})
            change = _of_values(present, self._edits.now(), convert_to=DELETED, total_count=total)
            await store.insert_change(connection, change)
            return Deletion(change, users)

        reply = await self._edits.once(once, work)
        self._wake()
        return reply

    async def merge(
        self, once: Once[Deletion, Reply], team_id: UUID, key: str, into_key: str, etag: str, *, force: bool
    ) -> Reply:
        """Archives the definition `key` and starts the work that gives its values to `into_key`, then deletes it.
        Raises InvalidArgument for another type; FailedPrecondition `ATTRIBUTE_UNAVAILABLE`; as `delete`."""
        may_go = await self._may_go(team_id, key, force=force)
        async with transaction(self._pool, [team_id]) as reading:
            total = await store.count_values(reading, team_id, key)

        async def work(connection: Connection, facts: list[Fact]) -> Deletion:
            both = sorted({key, into_key})
            locked = {each: await attributes.lock_attribute(connection, team_id, each) for each in both}
            present, into = locked[key], locked[into_key]
            check_etag(etag, present.revision)
            once.note_before(present)
            for going_on in await store.unfinished_works_on_values(connection, team_id, both):
                if (going_on.convert_key, going_on.merge_into) == (key, into_key):
                    return Deletion(going_on)
                raise _busy(going_on)
            check_merge(present, into)
            users = await may_go(connection)
            await self._change(connection, facts, present, {"archived": True})
            change = _of_values(
                present, self._edits.now(), convert_to=MERGED, merge_into=into_key, total_count=total
            )
            await store.insert_change(connection, change)
            return Deletion(change, users)

        reply = await self._edits.once(once, work)
        self._wake()
        return reply

    async def _may_go(
        self, team_id: UUID, key: str, *, force: bool
    ) -> Callable[[Connection], Awaitable[Sequence[User]]]:
        """Asks the journeys, outside of the transaction; what it answers says in the transaction who names the
        attribute that is to go. That raises FailedPrecondition `IN_USE` and Unavailable, unless `force`."""
        journeys, away = await self._naming_journeys(team_id, key)

        async def check(connection: Connection) -> Sequence[User]:
            if away is not None and not force:
                raise away
            users = [*journeys, *await naming_audiences(connection, team_id, attribute_key=key)]
            if users and not force:
                raise in_use("the attribute", users)
            return users

        return check

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
            change = _of_values(before, self._edits.now(), convert_to=int(changed.type))
            await store.insert_change(connection, change)
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
        for going_on in await store.unfinished_works_on_values(connection, present.team_id, [present.key]):
            is_named_only = going_on.merge_into == present.key and changes.keys() <= {"display_name"}
            if going_on.deletes_attribute and not is_named_only:
                raise _busy(going_on)
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
            values = await store.values_of_attribute(connection, team_id, key, present, PREVIEW_VALUES_MAX)
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


def _busy(work: AudienceChange) -> FailedPrecondition:
    """What the work that goes on does not let happen to an attribute that it is about."""
    if work.merge_into:
        doing = f"the attribute {work.convert_key} is being merged into {work.merge_into}"
    elif work.deletes_attribute:
        doing = f"the attribute {work.convert_key} is being deleted"
    else:
        doing = f"values of the attribute {work.convert_key} are being converted"
    message = f"{doing}: wait until that is done, or cancel the operation {work.change_id}"
    return FailedPrecondition("ATTRIBUTE_UNAVAILABLE", message, metadata={"key": work.convert_key})


def _of_values(
    attribute: Attribute, now: datetime, *, convert_to: int, merge_into: str = "", total_count: int = 0
) -> AudienceChange:
    """Work on everyone's values of an attribute, see `AudienceChange.convert_to`."""
    return AudienceChange(
        team_id=attribute.team_id,
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
        total_count=total_count,
        reason="",
        message="",
        created_at=now,
        updated_at=now,
        convert_key=attribute.key,
        convert_from=int(attribute.type),
        convert_to=convert_to,
        merge_into=merge_into,
    )
