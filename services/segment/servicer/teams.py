# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Teams."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask

from libs.common.hints import NAME_LENGTH_MAX
from libs.common.ids import ALL_TEAMS, new_id
from libs.common.paging import page_key, page_of, page_size
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1 import team_pb2
from services.segment.convert.checks import Check
from services.segment.convert.teams import read_settings, team_message
from services.segment.domain.model import Team, TeamSettings
from services.segment.servicer.base import NO_TEAM, Base
from services.segment.usecases.edits import Once

_CHANGEABLE: Final = {"name", "settings"} | {
    f"settings.{field.name}"
    for field in team_pb2.TeamSettings.DESCRIPTOR.fields
    if field.name not in {"team_id", "revision"}
}


class TeamRpcs(Base):
    """See the contract."""

    async def CreateTeam(self, request: pb.CreateTeamRequest, context: Any) -> pb.CreateTeamResponse:
        """A new team."""
        check = Check()
        team_id = check.optional_uuid("team.team_id", request.team.team_id)
        if team_id == ALL_TEAMS:
            check.fault(
                "team.team_id", "must not be nil, which stands for all teams: leave it empty for a new id"
            )
        name = check.name("team.name", request.team.name, length_max=NAME_LENGTH_MAX)
        settings = read_settings(check, request.team.settings, "team.settings")
        check.done()
        once = Once(NO_TEAM, request, pb.CreateTeamResponse, _create_reply)
        return await self._deps.teams.create(once, team_id or new_id(), name, settings)

    async def GetTeam(self, request: pb.GetTeamRequest, context: Any) -> pb.GetTeamResponse:
        """A team."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        return pb.GetTeamResponse(team=team_message(await self._deps.teams.get(team_id)))

    async def UpdateTeam(self, request: pb.UpdateTeamRequest, context: Any) -> pb.UpdateTeamResponse:
        """The changed team."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        mask = _team_mask(check, request.update_mask, request.team)
        check.done()

        def change(present: Team) -> tuple[str, TeamSettings]:
            wanted, given = team_message(present), team_pb2.Team()
            wanted.settings.country_code = present.settings.country_code  # the default goes on being one
            given.CopyFrom(request.team)
            given.settings.SetInParent()  # a field of absent settings is one that is to be cleared, too
            mask.MergeMessage(given, wanted, replace_message_field=True, replace_repeated_field=True)
            recheck = Check()
            name = recheck.name("team.name", wanted.name, length_max=NAME_LENGTH_MAX)
            settings = read_settings(recheck, wanted.settings, "team.settings")
            recheck.done()
            return name, settings

        once = Once(team_id, request, pb.UpdateTeamResponse, _update_reply)
        return await self._deps.teams.update(once, team_id, request.etag, change)

    async def ListTeams(self, request: pb.ListTeamsRequest, context: Any) -> pb.ListTeamsResponse:
        """Teams in order of their ids."""
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "teams")
        found = await self._deps.teams.page(after, size + 1)
        page = page_of(found, size, lambda team: team.team_id, "teams")
        return pb.ListTeamsResponse(teams=map(team_message, page.rows), next_page_token=page.next_token)


def _create_reply(team: Team) -> pb.CreateTeamResponse:
    return pb.CreateTeamResponse(team=team_message(team))


def _update_reply(team: Team) -> pb.UpdateTeamResponse:
    return pb.UpdateTeamResponse(team=team_message(team))


def _team_mask(check: Check, mask: FieldMask, team: team_pb2.Team) -> FieldMask:
    """What changes; an empty mask names what is set in the team."""
    if not mask.paths:
        set_in_settings = {f"settings.{field.name}" for field, _ in team.settings.ListFields()} & _CHANGEABLE
        return FieldMask(paths=sorted(set_in_settings) + ["name"] * bool(team.name))
    for path in mask.paths:
        if path not in _CHANGEABLE:
            check.fault("update_mask", f"{path!r} cannot be changed")
    return mask
