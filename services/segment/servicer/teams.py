# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Teams."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask

from libs.common.db.pool import Connection, transaction
from libs.common.ids import new_id
from libs.common.paging import page_key, page_size, page_token
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1 import team_pb2
from services.segment.convert.checks import NAME_LENGTH_MAX, Check
from services.segment.convert.teams import read_settings, team_message
from services.segment.domain.facts import Fact
from services.segment.servicer.base import Base, check_etag
from services.segment.store import teams

_NO_TEAM: Final = UUID(int=0)
_BATCH_MAX: Final = 500


class TeamCalls(Base):
    """See the contract."""

    async def CreateTeam(self, request: pb.CreateTeamRequest, context: Any) -> pb.CreateTeamResponse:
        """A new team."""
        check = Check()
        team_id = check.optional_uuid("team.team_id", request.team.team_id) or new_id()
        name = check.line("team.name", request.team.name, length_max=NAME_LENGTH_MAX)
        settings = read_settings(check, request.team.settings, "team.settings")
        check.done()

        async def work(connection: Connection, _facts: list[Fact]) -> pb.CreateTeamResponse:
            now = self._parts.clock.now()
            team = await teams.insert_team(connection, team_id, name, settings, now)
            return pb.CreateTeamResponse(team=team_message(team))

        return await self._write(_NO_TEAM, request, pb.CreateTeamResponse, work, teams=[team_id])

    async def GetTeam(self, request: pb.GetTeamRequest, context: Any) -> pb.GetTeamResponse:
        """A team."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        async with transaction(self._parts.pool, [team_id]) as connection:
            return pb.GetTeamResponse(team=team_message(await teams.load_team(connection, team_id)))

    async def UpdateTeam(self, request: pb.UpdateTeamRequest, context: Any) -> pb.UpdateTeamResponse:
        """The changed team."""
        check = Check()
        team_id = check.uuid("team.team_id", request.team.team_id)
        mask = _team_mask(check, request.update_mask)
        check.done()

        async def work(connection: Connection, _facts: list[Fact]) -> pb.UpdateTeamResponse:
            present = await teams.lock_team(connection, team_id)
            check_etag(request.team.etag, present.revision)
            wanted = team_message(present)
            mask.MergeMessage(request.team, wanted, replace_message_field=True, replace_repeated_field=True)
            recheck = Check()
            name = recheck.line("team.name", wanted.name, length_max=NAME_LENGTH_MAX)
            settings = read_settings(recheck, wanted.settings, "team.settings")
            recheck.done()
            now = self._parts.clock.now()
            changed = await teams.update_team(connection, team_id, name, settings, now)
            return pb.UpdateTeamResponse(team=team_message(changed))

        return await self._write(team_id, request, pb.UpdateTeamResponse, work)

    async def ListTeams(self, request: pb.ListTeamsRequest, context: Any) -> pb.ListTeamsResponse:
        """Teams in order of their ids."""
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "teams")
        found = await teams.list_teams(self._parts.pool, after, size + 1)
        token = page_token(found[size - 1].team_id, "teams") if len(found) > size else ""
        return pb.ListTeamsResponse(teams=map(team_message, found[:size]), next_page_token=token)


def _team_mask(check: Check, mask: FieldMask) -> FieldMask:
    """The mask; empty means name and settings."""
    known = {"name", "settings"} | {
        f"settings.{field.name}"
        for field in team_pb2.TeamSettings.DESCRIPTOR.fields
        if field.name not in {"team_id", "revision"}
    }
    for path in mask.paths:
        if path not in known:
            check.fault("update_mask", f"{path!r} cannot be changed")
    return mask if mask.paths else FieldMask(paths=["name", "settings"])
