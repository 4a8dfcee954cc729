"""Audiences: checked against what the team has, and saved under a name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from libs.common.audience.describing import describe
from libs.common.audience.expressions import AttributeType, Expression
from libs.common.audience.faults import Fault, attribute_faults, module_faults
from libs.common.audience.memberships import expanded, membership_faults, named_audiences, size_faults
from libs.common.audience.reading import Reading, read_audience
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import FieldViolation, InvalidArgument, Unavailable
from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.servicing import check_etag
from omnijourney.segment.v1 import audience_pb2
from services.segment.clients.journeys import JourneyUses
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute, Module, Team
from services.segment.domain.uses import USERS_SHOWN, User, UserKind, in_use
from services.segment.domain.views import SavedAudience
from services.segment.store import audiences, teams
from services.segment.store.attributes import find_attributes, usable_attributes
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.usecases.memberships import reached, read_saved


class TeamSurvey(NamedTuple):
    """A team with what was asked about."""

    team: Team
    attributes: dict[str, Attribute]
    """By key; those that are not there are left out."""
    faults: list[list[Fault]]
    """Of each audience."""


class Audiences:
    """Each method raises NotFound for a team or an audience that is not there."""

    def __init__(self, pool: Pool, edits: Edits, journeys: JourneyUses) -> None:
        """One per process. `journeys` say which of them name an audience."""
        self._pool = pool
        self._edits = edits
        self._journeys = journeys

    async def check(self, team_id: UUID, given: Sequence[audience_pb2.Audience]) -> list[list[Fault]]:
        """Every fault of each: of form, of attributes, of modules."""
        readings = [read_audience(audience) for audience in given]
        async with transaction(self._pool, [team_id]) as connection:
            return await _faults(connection, team_id, readings)

    async def survey(
        self, team_id: UUID, keys: Collection[str], given: Sequence[audience_pb2.Audience]
    ) -> TeamSurvey | None:
        """What a journey is held to; None for a team that is not there."""
        readings = [read_audience(audience) for audience in given]
        async with transaction(self._pool, [team_id]) as connection:
            team = (await teams.load_teams(connection, [team_id])).get(team_id)
            if team is None:
                return None
            found = await find_attributes(connection, [(team_id, key) for key in keys])
            faults = await _faults(connection, team_id, readings)
        return TeamSurvey(team, {key: attribute for (_, key), attribute in found.items()}, faults)

    async def resolve(
        self, team_id: UUID, audience_id: UUID | None, given: audience_pb2.Audience
    ) -> Expression:
        """The audience saved under the id, or the one given, with all that it names in its place. Raises
        InvalidArgument `AUDIENCE_INVALID`."""
        async with transaction(self._pool, [team_id]) as connection:
            await teams.load_team(connection, team_id)
            if audience_id is not None:
                saved = await audiences.load_audience(connection, team_id, audience_id)
                given = audience_pb2.Audience.FromString(saved.audience)
            return await _require_sound(connection, team_id, given)

    async def create(
        self, once: Once[SavedAudience, Reply], team_id: UUID, name: str, audience: audience_pb2.Audience
    ) -> Reply:
        """A saved audience. Raises AlreadyExists for a name that is taken, InvalidArgument `AUDIENCE_INVALID`."""

        async def work(connection: Connection, _facts: list[Fact]) -> SavedAudience:
            await teams.load_team(connection, team_id)
            await audiences.hold_audiences(connection, team_id)
            await _require_sound(connection, team_id, audience)
            now = self._edits.now()
            audience_id, named = new_id(epoch_ms(now)), _named(audience)
            return await audiences.insert_audience(
                connection, team_id, audience_id, name, _stored(audience), named=named, now=now
            )

        return await self._edits.once(once, work)

    async def update(
        self,
        once: Once[SavedAudience, Reply],
        team_id: UUID,
        audience_id: UUID,
        *,
        etag: str,
        name: str | None,
        audience: audience_pb2.Audience | None,
    ) -> Reply:
        """The changed audience; None: as it was. Raises as `create`."""

        async def work(connection: Connection, _facts: list[Fact]) -> SavedAudience:
            await audiences.hold_audiences(connection, team_id)
            present = await audiences.load_audience(connection, team_id, audience_id, lock=True)
            check_etag(etag, present.revision)
            once.note_before(present)
            if audience is not None:
                await _require_sound(connection, team_id, audience, audience_id)
            wanted = audience or audience_pb2.Audience.FromString(present.audience)
            return await audiences.update_audience(
                connection,
                team_id,
                audience_id,
                present.name if name is None else name,
                _stored(wanted),
                named=_named(wanted),
                now=self._edits.now(),
            )

        return await self._edits.once(once, work)

    async def delete(
        self, once: Once[list[User], Reply], team_id: UUID, audience_id: UUID, *, force: bool
    ) -> Reply:
        """It is gone then; who used it. Raises FailedPrecondition `IN_USE` and Unavailable, unless `force`."""

        async def work(connection: Connection, _facts: list[Fact]) -> list[User]:
            await audiences.hold_audiences(connection, team_id)
            once.note_before(await audiences.load_audience(connection, team_id, audience_id, lock=True))
            users = await self._users(connection, team_id, audience_id, force=force)
            if users and not force:
                raise in_use("the saved audience", users)
            await audiences.delete_audience(connection, team_id, audience_id)
            return users

        return await self._edits.once(once, work)

    async def _users(
        self, connection: Connection, team_id: UUID, audience_id: UUID, *, force: bool
    ) -> list[User]:
        naming = await audiences.naming_audiences(connection, team_id, audience_id, USERS_SHOWN)
        users = [User(UserKind.SAVED_AUDIENCE, each.audience_id, each.name) for each in naming]
        try:
            return [*await self._journeys.of_audience(team_id, audience_id), *users]
        except Unavailable:
            if force:
                return users
            raise

    async def get(self, team_id: UUID, audience_id: UUID) -> SavedAudience:
        """A saved audience."""
        async with transaction(self._pool, [team_id]) as connection:
            return await audiences.load_audience(connection, team_id, audience_id)

    async def described(self, team_id: UUID, audience: audience_pb2.Audience, language: str) -> str:
        """An audience as one line; attributes may be archived or gone. Raises InvalidArgument `AUDIENCE_INVALID`."""
        reading = read_audience(audience)
        named = set() if reading.faults else named_audiences(reading.expression)
        async with transaction(self._pool, [team_id]) as connection:
            team = await teams.load_team(connection, team_id)
            keys = [(team_id, UUID(each)) for each in named]
            saved = await audiences.reached_audiences(connection, keys) if keys else []
        _refuse(reading.faults)
        names = {str(each.audience_id): each.name for _, each in saved}
        return describe(audience, language, team.settings.time_zone, names)

    async def page(self, team_id: UUID, after: UUID | None, row_max: int) -> list[SavedAudience]:
        """Saved audiences in the order of their ids; none for a team that is not there."""
        async with transaction(self._pool, [team_id]) as connection:
            return await audiences.list_audiences(connection, team_id, after, row_max)


async def _faults(connection: Connection, team_id: UUID, readings: Sequence[Reading]) -> list[list[Fault]]:
    team = await teams.load_team(connection, team_id)
    types = await usable_attributes(connection, team_id)
    saved = await reached(connection, team_id, [reading.expression for reading in readings])
    has_points = Module.POINTS in team.settings.modules
    found: list[list[Fault]] = []
    for reading in readings:
        faults = reading.faults or size_faults(reading.expression, saved)
        if reading.faults or not faults:
            paths = {fault.path for fault in faults}
            others = _faults_of(expanded(reading.expression, saved), types, has_points=has_points)
            faults = [*faults, *(each for each in others if each.path not in paths)]
        found.append(faults)
    return found


def _faults_of(expression: Expression, types: dict[str, AttributeType], *, has_points: bool) -> list[Fault]:
    return [
        *membership_faults(expression),
        *attribute_faults(expression, types),
        *module_faults(expression, has_points=has_points),
    ]


async def _require_sound(
    connection: Connection,
    team_id: UUID,
    audience: audience_pb2.Audience,
    audience_id: UUID | None = None,
) -> Expression:
    """The audience with all that it names in its place. `audience_id` is the saved one that is to become this."""
    reading = read_audience(audience)
    (faults,) = await _faults(connection, team_id, [reading])
    if not faults and audience_id is not None:
        faults = await _faults_of_naming(connection, team_id, audience_id, reading.expression)
    _refuse(faults)
    return expanded(reading.expression, await reached(connection, team_id, [reading.expression]))


async def _faults_of_naming(
    connection: Connection, team_id: UUID, audience_id: UUID, expression: Expression
) -> list[Fault]:
    """What a change of a saved audience would do to itself and to those that name it."""
    naming = await audiences.reaching_audiences(connection, team_id, audience_id)
    outer = read_saved(naming)
    saved = {
        **await reached(connection, team_id, [expression, *outer.values()]),
        str(audience_id): expression,
    }
    if faults := size_faults(expression, saved):
        return faults
    return [
        Fault("", fault.reason, f"the saved audience {each.name}, which names this one, {fault.message}")
        for each in naming
        if str(each.audience_id) in outer
        for fault in size_faults(outer[str(each.audience_id)], saved)
    ]


def _named(audience: audience_pb2.Audience) -> set[UUID]:
    """The saved audiences that one without faults of form names itself."""
    return {UUID(each) for each in named_audiences(read_audience(audience).expression)}


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        violations = [FieldViolation(f"audience.{fault.path}".rstrip("."), fault.message) for fault in faults]
        raise InvalidArgument("AUDIENCE_INVALID", "the audience has faults", violations=violations)


def _stored(audience: audience_pb2.Audience) -> bytes:
    return audience.SerializeToString(deterministic=True)
