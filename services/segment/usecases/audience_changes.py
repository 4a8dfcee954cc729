"""Tags renamed, merged and deleted, and traits changed of everyone in an audience: started here, done step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.values import ValueFault, canonical
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import AlreadyExists, FieldViolation, InvalidArgument, NotFound, Unavailable
from libs.common.ids import epoch_ms, new_id
from libs.common.text import fold
from omnijourney.segment.v1 import audience_pb2
from services.segment.clients.journeys import JourneyUses
from services.segment.domain.attributes import is_usable
from services.segment.domain.audience_changes import STEP_CUSTOMERS, AudienceChange, ChangeKey, ChangeState
from services.segment.domain.facts import Fact
from services.segment.domain.uses import User, in_use
from services.segment.store import audience_changes as store
from services.segment.store.attributes import find_attributes
from services.segment.store.teams import load_team
from services.segment.usecases.audiences import Audiences
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.usecases.evaluator import AudienceEvaluator
from services.segment.usecases.uses import naming_audiences


class Wanted(NamedTuple):
    """What is to be done to everyone in an audience."""

    audience: audience_pb2.Audience
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    values: Mapping[str, str] = {}
    triggers: bool = False
    of_tag: bool = False


class Started(NamedTuple):
    """A change that was accepted, and who names the tag that goes."""

    change: AudienceChange
    users: Sequence[User] = ()


class AudienceMembers:
    """See `worker.audience_changes.Members`."""

    def __init__(self, pool: Pool, audiences: Audiences, evaluator: AudienceEvaluator) -> None:
        """Of this process."""
        self._pool = pool
        self._audiences = audiences
        self._evaluator = evaluator

    async def first(self, change: AudienceChange) -> Sequence[UUID]:
        """See there."""
        if change.deletes_attribute:
            async with transaction(self._pool, [change.team_id]) as connection:
                return await store.customers_with_value(
                    connection, change.team_id, change.convert_key, STEP_CUSTOMERS
                )
        if change.convert_key:
            return await self._everyone(change)
        audience = audience_pb2.Audience.FromString(change.audience)
        expression = await self._audiences.resolve(change.team_id, None, audience)
        return await self._evaluator.first(change.team_id, expression, change.reached, STEP_CUSTOMERS)

    async def _everyone(self, change: AudienceChange) -> Sequence[UUID]:
        async with transaction(self._pool, [change.team_id]) as connection:
            found = await find_attributes(connection, [(change.team_id, change.convert_key)])
            attribute = found.get((change.team_id, change.convert_key))
            if attribute is None or attribute.type != change.convert_to:
                message = f"the attribute {change.convert_key} has another type by now"
                raise InvalidArgument("ATTRIBUTE_UNAVAILABLE", message)
            return await store.next_customers(connection, change.team_id, change.reached, STEP_CUSTOMERS)


class AudienceChanges:
    """Each method raises NotFound for a team or a change that is not there."""

    def __init__(
        self,
        changes: store.AudienceChangeStore,
        edits: Edits,
        audiences: Audiences,
        evaluator: AudienceEvaluator,
        journeys: JourneyUses,
        *,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """One per process; `wake` is called when there is something to do."""
        self._changes = changes
        self._edits = edits
        self._audiences = audiences
        self._evaluator = evaluator
        self._journeys = journeys
        self._clock = clock
        self._wake = wake

    async def rename_tag(
        self, once: Once[Started, Reply], team_id: UUID, tag: str, new_tag: str, *, merge: bool
    ) -> Reply:
        """Raises AlreadyExists for a tag that customers have, unless `merge`; Unavailable."""
        wanted = Wanted(_having(tag), [new_tag], [tag], of_tag=True)

        async def check(connection: Connection) -> Sequence[User]:
            await _require_tag(connection, team_id, tag)
            other = fold(tag) != fold(new_tag)
            if other and not merge and await store.has_tag(connection, team_id, new_tag):
                raise AlreadyExists.value_taken("new_tag")
            return await self._users(connection, team_id, tag) if other else ()

        return await self._start(once, team_id, wanted, check)

    async def delete_tag(self, once: Once[Started, Reply], team_id: UUID, tag: str, *, force: bool) -> Reply:
        """Raises FailedPrecondition `IN_USE` and Unavailable, unless `force`."""
        wanted = Wanted(_having(tag), (), [tag], of_tag=True)

        async def check(connection: Connection) -> Sequence[User]:
            await _require_tag(connection, team_id, tag)
            try:
                users = await self._users(connection, team_id, tag)
            except Unavailable:
                if not force:
                    raise
                users = await naming_audiences(connection, team_id, tag=fold(tag))
            if users and not force:
                raise in_use("the tag", users)
            return users

        return await self._start(once, team_id, wanted, check)

    async def change(self, once: Once[Started, Reply], team_id: UUID, wanted: Wanted) -> Reply:
        """Raises InvalidArgument for an audience, an attribute or a value with faults."""

        async def check(connection: Connection) -> Sequence[User]:
            await _require_values(connection, team_id, wanted.values)
            return ()

        return await self._start(once, team_id, wanted, check)

    async def _start(
        self,
        once: Once[Started, Reply],
        team_id: UUID,
        wanted: Wanted,
        check: Callable[[Connection], Awaitable[Sequence[User]]],
    ) -> Reply:
        expression = await self._audiences.resolve(team_id, None, wanted.audience)
        total = await self._evaluator.count(team_id, expression)

        async def work(connection: Connection, _facts: list[Fact]) -> Started:
            await load_team(connection, team_id)
            users = await check(connection)
            now = self._clock.now()
            change = AudienceChange(
                team_id=team_id,
                change_id=new_id(epoch_ms(now)),
                audience=wanted.audience.SerializeToString(deterministic=True),
                add_tags=tuple(wanted.add_tags),
                remove_tags=tuple(wanted.remove_tags),
                keys=tuple(wanted.values),
                texts=tuple(wanted.values.values()),
                triggers=wanted.triggers,
                of_tag=wanted.of_tag,
                state=ChangeState.PENDING,
                reached=None,
                done_count=0,
                refused_count=0,
                total_count=total,
                reason="",
                message="",
                created_at=now,
                updated_at=now,
            )
            await store.insert_change(connection, change)
            return Started(change, users)

        reply = await self._edits.once(once, work)
        self._wake()
        return reply

    async def cancel(self, once: Once[AudienceChange, Reply], key: ChangeKey) -> Reply:
        """Ends one early; one that has ended stays."""

        async def work(connection: Connection, _facts: list[Fact]) -> AudienceChange:
            present = await store.lock_change(connection, key)
            once.note_before(present)
            if present.state.has_ended:
                return present
            ended = msgspec.structs.replace(
                present, state=ChangeState.CANCELLED, updated_at=self._clock.now()
            )
            await store.move_change(connection, ended)
            return ended

        return await self._edits.once(once, work)

    async def read(self, key: ChangeKey) -> AudienceChange:
        """One."""
        return await self._changes.read(key)

    async def page(
        self, team_id: UUID, before: tuple[datetime, UUID] | None, row_max: int
    ) -> list[AudienceChange]:
        """Of a team, newest first."""
        return await self._changes.page(team_id, before, row_max)

    async def _users(self, connection: Connection, team_id: UUID, tag: str) -> list[User]:
        return [
            *await self._journeys.of_tag(team_id, tag),
            *await naming_audiences(connection, team_id, tag=fold(tag)),
        ]


def _having(tag: str) -> audience_pb2.Audience:
    return audience_pb2.Audience(
        tags=audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=[tag])
    )


async def _require_tag(connection: Connection, team_id: UUID, tag: str) -> None:
    if not await store.has_tag(connection, team_id, tag):
        raise NotFound.of("tag", tag)


async def _require_values(connection: Connection, team_id: UUID, values: Mapping[str, str]) -> None:
    found = await find_attributes(connection, [(team_id, key) for key in values])
    faults: list[FieldViolation] = []
    for key, text in values.items():
        attribute = found.get((team_id, key))
        field = f"set_attributes[{key}]"
        if attribute is None or not is_usable(attribute):
            faults.append(
                FieldViolation(field, "the attribute is missing or archived", "ATTRIBUTE_UNAVAILABLE")
            )
            continue
        try:
            canonical(attribute.type, text)
        except ValueFault as fault:
            faults.append(FieldViolation(field, str(fault)))
    if faults:
        raise InvalidArgument.of(*faults)
