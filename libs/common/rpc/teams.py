"""Whose data a request of a client asks for: a team that the client does not see is one that there is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, Protocol
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.common.callers import Caller
from libs.common.errors import NotFound, PermissionDenied
from libs.common.ids import ALL_TEAMS
from libs.common.rpc.admission import method_of, names_team
from libs.common.rpc.validation import BY_ITEM, fields_to, reaches, values_of

ABOUT_THE_CALLER: Final = frozenset({"omnijourney.segment.v1.SegmentService/GetCaller"})
"""What a client asks about itself; it need not know its team."""
_OPERATIONS: Final = "omnijourney.common.v1.OperationsService"


class Teams(Protocol):
    """Knows which teams there are: `libs.common.team_directory`."""

    async def missing(self, team_ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of the teams that there are not."""
        ...


class TeamCheck:
    """Holds the requests of one RPC to the teams that its caller sees. Compiled once."""

    def __init__(self, rpc: str, teams: Teams | None) -> None:
        """`teams` None asks for none: what a client of the installation names is taken to be there."""
        method = method_of(rpc)
        form = method.input_type if method else None
        self._teams = teams
        self._may_be_of_all = rpc.startswith(f"{_OPERATIONS}/")
        self._may_be_empty = rpc in ABOUT_THE_CALLER or bool(method and method.client_streaming)
        # A request that names no team may hold one that is to be made.
        self._own = form is not None and "team_id" in form.fields_by_name
        self._deeper = form is not None and names_team(form) and rpc not in BY_ITEM and _is_deeper(form)
        self.is_needed = self._own or self._deeper
        """Whether requests name teams at all."""

    async def hold(self, request: Any, caller: Caller) -> None:
        """Raises NotFound for a team that the caller does not see or that there is not, PermissionDenied where it asks
        for all teams and is a client of one."""
        own = request.team_id if self._own else ""
        if self._own and not own and not self._may_be_empty and caller.team_id is not None:
            raise PermissionDenied.installation_only()
        named = set(_texts(request)) if self._deeper else {own}
        named -= {"", str(caller.team_id)}
        if named:
            await self._hold_to(sorted(named), caller)

    async def _hold_to(self, named: Iterable[str], caller: Caller) -> None:
        # What is no id is refused by whoever reads it.
        team_ids = [team_id for text in named if (team_id := _id_of(text)) is not None]
        for team_id in team_ids:
            if not caller.sees(team_id):
                raise NotFound.of("team", team_id)
        if caller.team_id is None and self._teams is not None:
            missing = await self._teams.missing(team_ids)
            if self._may_be_of_all:
                missing -= {ALL_TEAMS}
            for team_id in team_ids:
                if team_id in missing:
                    raise NotFound.of("team", team_id)


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _is_team(field: FieldDescriptor) -> bool:
    return field.name == "team_id"


@cache
def _is_own_alone(form: Descriptor) -> bool:
    """Whether a message names a team and none within it does, as items of batches do, of which there are many."""
    return fields_to(form, _is_team) == {"team_id"}


def _is_deeper(form: Descriptor) -> bool:
    """Whether messages within a request name teams, too."""
    within = [field.message_type for field in form.fields if field.message_type is not None]
    return any(reaches(each, _is_team) for each in within)


def _texts(message: Message) -> Iterator[str]:
    """All teams that a message names, however deep."""
    wanted = fields_to(message.DESCRIPTOR, _is_team)
    for field, value in message.ListFields():
        if field.is_repeated and field.message_type is not None and _is_own_alone(field.message_type):
            yield from {each.team_id for each in value}
        elif field.name in wanted:
            for _, each in values_of(field, "", value):
                if isinstance(each, Message):
                    yield from _texts(each)
                elif isinstance(each, str):
                    yield each
