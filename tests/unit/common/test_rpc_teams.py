"""Whose data a request asks for: of every RPC, a team that the caller does not see is one that there is not."""

import importlib
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

import omnijourney
from libs.common.callers import ALL_BUT_INTERNAL, Caller
from libs.common.errors import DomainError
from libs.common.rpc.admission import method_of, names_team
from libs.common.rpc.reflection import DESCRIBED
from libs.common.rpc.teams import TeamCheck
from libs.common.rpc.validation import BY_ITEM

OWN, OTHER, NONE = (str(uuid.UUID(int=n)) for n in (7, 8, 9))
OF_TEAM: Final = Caller.of(uuid.UUID(int=1), "shop", uuid.UUID(OWN), ALL_BUT_INTERNAL)
OF_ALL: Final = Caller.of(uuid.UUID(int=2), "console", None, ALL_BUT_INTERNAL)


class Known:
    """Knows two teams."""

    async def missing(self, team_ids: Iterable[uuid.UUID]) -> frozenset[uuid.UUID]:
        """See `Teams`."""
        return frozenset(team_ids) - {uuid.UUID(OWN), uuid.UUID(OTHER)}


def _rpcs() -> Iterator[str]:
    for path in Path(next(iter(omnijourney.__path__))).rglob("*_service_pb2.py"):
        importlib.import_module(f"omnijourney.{path.parts[-3]}.{path.parts[-2]}.{path.stem}")
    for file in FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file:
        for service in file.service:
            yield from (f"{file.package}.{service.name}/{method.name}" for method in service.method)


PUBLIC: Final = sorted(rpc for rpc in _rpcs() if ".internal." not in rpc)


def _requests(rpc: str, team: str) -> Iterator[Message]:
    """Requests that name a team, each in one place, and the caller's own in the request itself."""
    form = _form(rpc)
    make: Any = message_factory.GetMessageClass(form)
    for path in _places(form, ()):
        request = make(team_id=OWN) if "team_id" in form.fields_by_name else make()
        at: Any = request
        for name in path[:-1]:
            at = getattr(at, name)
            at = at if isinstance(at, Message) else at.add()
        setattr(at, path[-1], team)
        yield request


def _form(rpc: str) -> Descriptor:
    method = method_of(rpc)
    assert method is not None
    return method.input_type


def _places(form: Descriptor, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for field in form.fields:
        if field.name == "team_id":
            yield (*above, "team_id")
        elif field.message_type is not None and len(above) < 2 and not _is_map(field.message_type):
            yield from _places(field.message_type, (*above, field.name))


def _is_map(form: Descriptor) -> bool:
    return bool(form.GetOptions().map_entry)


async def _told(rpc: str, request: Message, client: Caller) -> tuple[str, dict[str, str]]:
    try:
        await TeamCheck(rpc, Known()).hold(request, client)
    except DomainError as error:
        return error.reason, error.metadata
    return "", {}


@pytest.mark.rule("X-02b")
@pytest.mark.parametrize("rpc", [rpc for rpc in PUBLIC if names_team(_form(rpc)) and rpc not in BY_ITEM])
async def test_another_teams_is_told_as_what_does_not_exist(rpc: str) -> None:
    places = 0
    for own, other, none in zip(*(_requests(rpc, team) for team in (OWN, OTHER, NONE)), strict=True):
        places += 1
        assert await _told(rpc, own, OF_TEAM) == ("", {})
        assert await _told(rpc, other, OF_TEAM) == ("RESOURCE_NOT_FOUND", {"resource": "team", "id": OTHER})
        assert await _told(rpc, none, OF_TEAM) == ("RESOURCE_NOT_FOUND", {"resource": "team", "id": NONE})
        assert await _told(rpc, none, OF_ALL) == ("RESOURCE_NOT_FOUND", {"resource": "team", "id": NONE})
        assert await _told(rpc, other, OF_ALL) == ("", {})
    assert places


@pytest.mark.rule("X-02b")
@pytest.mark.parametrize("rpc", [rpc for rpc in PUBLIC if rpc in BY_ITEM])
async def test_a_batch_that_answers_by_item_is_not_refused_for_an_items_team(rpc: str) -> None:
    for request in _requests(rpc, OTHER):
        of_itself = getattr(request, "team_id", "") == OTHER
        assert (await _told(rpc, request, OF_TEAM))[0] == ("RESOURCE_NOT_FOUND" if of_itself else "")


@pytest.mark.rule("X-02b")
async def test_a_teams_client_does_not_ask_about_all_teams() -> None:
    rpc = "omnijourney.stats.v1.StatsService/CheckProjections"
    request = message_factory.GetMessageClass(_form(rpc))()
    assert (await _told(rpc, request, OF_TEAM))[0] == "INSTALLATION_ONLY"
    assert await _told(rpc, request, OF_ALL) == ("", {})


async def test_a_team_that_is_to_be_made_need_not_be_there() -> None:
    rpc = "omnijourney.segment.v1.SegmentService/CreateTeam"
    (first, *_) = _requests(rpc, NONE)
    assert await _told(rpc, first, OF_ALL) == ("", {})


async def test_ids_are_compared_as_ids_and_not_as_texts() -> None:
    rpc = "omnijourney.segment.v1.SegmentService/GetTeam"
    make: Any = message_factory.GetMessageClass(_form(rpc))
    team = uuid.UUID("0198c0de-0000-7000-8000-00000000abcd")
    client = Caller.of(uuid.UUID(int=1), "shop", team, ALL_BUT_INTERNAL)
    assert await _told(rpc, make(team_id=str(team).upper()), client) == ("", {})
    # What is no id is refused by whoever reads it, with its field.
    assert await _told(rpc, make(team_id="mine"), client) == ("", {})


@pytest.mark.rule("X-02b")
async def test_an_operation_of_all_teams_is_there_for_who_may_see_all() -> None:
    everybody = str(uuid.UUID(int=0))
    missing = ("RESOURCE_NOT_FOUND", {"resource": "team", "id": everybody})
    for rpc in (each for each in PUBLIC if ".OperationsService/" in each):
        request = next(_requests(rpc, everybody))
        assert await _told(rpc, request, OF_ALL) == ("", {})
        assert await _told(rpc, request, OF_TEAM) == missing
    started = "omnijourney.stats.v1.StatsService/StartRebuild"
    assert await _told(started, next(_requests(started, everybody)), OF_ALL) == missing
