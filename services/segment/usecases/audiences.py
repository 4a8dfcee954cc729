"""Audiences: checked against what the team has, and saved under a name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from libs.common.audience.describing import describe
from libs.common.audience.expressions import Expression
from libs.common.audience.faults import Fault, attribute_faults, module_faults
from libs.common.audience.reading import Reading, read_audience
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.servicing import check_etag
from omnijourney.segment.v1 import audience_pb2
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute, Module, Team
from services.segment.domain.views import SavedAudience
from services.segment.store import audiences, teams
from services.segment.store.attributes import find_attributes, usable_attributes
from services.segment.usecases.edits import Edits, Once, Reply


class TeamSurvey(NamedTuple):
    """A team with what was asked about."""

    team: Team
    attributes: dict[str, Attribute]
    """By key; those that are not there are left out."""
    faults: list[list[Fault]]
    """Of each audience."""


class Audiences:
    """Each method raises NotFound for a team or an audience that is not there."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

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
        """The audience saved under the id, or the one given. Raises InvalidArgument `AUDIENCE_INVALID`."""
        async with transaction(self._pool, [team_id]) as connection:
            await teams.load_team(connection, team_id)
            if audience_id is not None:
                saved = await audiences.load_audience(connection, team_id, audience_id)
                given = audience_pb2.Audience.FromString(saved.audience)
            reading = await _require_sound(connection, team_id, given)
        return reading.expression

    async def create(
        self, once: Once[SavedAudience, Reply], team_id: UUID, name: str, audience: audience_pb2.Audience
    ) -> Reply:
        """A saved audience. Raises AlreadyExists for a name that is taken, InvalidArgument `AUDIENCE_INVALID`."""

        async def work(connection: Connection, _facts: list[Fact]) -> SavedAudience:
            await teams.load_team(connection, team_id)
            await _require_sound(connection, team_id, audience)
            now = self._edits.now()
            return await audiences.insert_audience(
                connection, team_id, new_id(epoch_ms(now)), name, _stored(audience), now=now
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
            present = await audiences.load_audience(connection, team_id, audience_id, lock=True)
            check_etag(etag, present.revision)
            once.note_before(present)
            if audience is not None:
                await _require_sound(connection, team_id, audience)
            return await audiences.update_audience(
                connection,
                team_id,
                audience_id,
                present.name if name is None else name,
                present.audience if audience is None else _stored(audience),
                now=self._edits.now(),
            )

        return await self._edits.once(once, work)

    async def delete(self, once: Once[None, Reply], team_id: UUID, audience_id: UUID) -> Reply:
        """It is gone then."""

        async def work(connection: Connection, _facts: list[Fact]) -> None:
            once.note_before(await audiences.load_audience(connection, team_id, audience_id, lock=True))
            await audiences.delete_audience(connection, team_id, audience_id)

        return await self._edits.once(once, work)

    async def get(self, team_id: UUID, audience_id: UUID) -> SavedAudience:
        """A saved audience."""
        async with transaction(self._pool, [team_id]) as connection:
            return await audiences.load_audience(connection, team_id, audience_id)

    async def described(self, team_id: UUID, audience: audience_pb2.Audience, language: str) -> str:
        """An audience as one line; attributes may be archived or gone. Raises InvalidArgument `AUDIENCE_INVALID`."""
        async with transaction(self._pool, [team_id]) as connection:
            team = await teams.load_team(connection, team_id)
        _refuse(read_audience(audience).faults)
        return describe(audience, language, team.settings.time_zone)

    async def page(self, team_id: UUID, after: UUID | None, row_max: int) -> list[SavedAudience]:
        """Saved audiences in the order of their ids; none for a team that is not there."""
        async with transaction(self._pool, [team_id]) as connection:
            return await audiences.list_audiences(connection, team_id, after, row_max)


async def _faults(connection: Connection, team_id: UUID, readings: Sequence[Reading]) -> list[list[Fault]]:
    team = await teams.load_team(connection, team_id)
    types = await usable_attributes(connection, team_id)
    has_points = Module.POINTS in team.settings.modules
    return [
        reading.faults
        or [
            *attribute_faults(reading.expression, types),
            *module_faults(reading.expression, has_points=has_points),
        ]
        for reading in readings
    ]


async def _require_sound(connection: Connection, team_id: UUID, audience: audience_pb2.Audience) -> Reading:
    reading = read_audience(audience)
    (faults,) = await _faults(connection, team_id, [reading])
    _refuse(faults)
    return reading


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        violations = [FieldViolation(f"audience.{fault.path}".rstrip("."), fault.message) for fault in faults]
        raise InvalidArgument("AUDIENCE_INVALID", "the audience has faults", violations=violations)


def _stored(audience: audience_pb2.Audience) -> bytes:
    return audience.SerializeToString(deterministic=True)
