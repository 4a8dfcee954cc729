"""Who is let in, decided from the metadata alone: every RPC of every contract, each kind of caller."""

import importlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

import omnijourney
from libs.common.callers import Caller, StaticDirectory, scope_of
from libs.common.errors import DomainError
from libs.common.rpc.admission import Admission, method_of
from libs.common.rpc.reflection import DESCRIBED
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_WRITE,
    Scope,
)

TEAM = uuid.UUID(int=7)
ALL = [SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE, SCOPE_INTERNAL]
TEAMLESS = {
    "CreateTeam",
    "ListTeams",
    "GetLag",
    "GetClock",
    "SetClock",
    "ListPartitions",
    "ListProjectionStates",
}
"""Some public RPCs whose requests name no team that is there already."""


def _rpcs() -> Iterator[str]:
    """Every RPC, its contract imported."""
    for path in Path(next(iter(omnijourney.__path__))).rglob("*_service_pb2.py"):
        importlib.import_module(f"omnijourney.{path.parts[-3]}.{path.parts[-2]}.{path.stem}")
    for file in FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file:
        for service in file.service:
            yield from (f"{file.package}.{service.name}/{method.name}" for method in service.method)


RPCS = sorted(_rpcs())


def _decided(rpc: str, team: uuid.UUID | None, *scopes: int) -> str:
    """Empty for who is let in, else the reason."""
    directory = StaticDirectory({"known": Caller.of(uuid.UUID(int=9), "client", team, scopes)})
    decided = Admission(rpc, directory).admit((("user-agent", "x"), ("authorization", "Bearer known")))
    return decided.reason if isinstance(decided, DomainError) else ""


@pytest.mark.rule("X-02a")
@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_lets_in_who_has_its_scope_and_nobody_else(rpc: str) -> None:
    scope = scope_of(rpc)
    for given in ALL:
        held = Caller.of(uuid.UUID(int=9), "client", None, [given]).scopes
        assert _decided(rpc, None, given) == ("" if scope in held else "SCOPE_MISSING"), Scope.Name(given)
    assert _decided(rpc, None, *(each for each in ALL if scope not in _included(each))) == "SCOPE_MISSING"


def _included(scope: int) -> frozenset[int]:
    return Caller.of(uuid.UUID(int=9), "client", None, [scope]).scopes


PROVING_NOTHING: Final = (
    (),
    (("authorization", ""),),
    (("authorization", "Bearer "),),
    (("authorization", "known"),),
    (("authorization", "Bearer unknown"),),
    (("authorization", "Bearer \N{SNOWMAN}"),),
    (("x-authorization", "Bearer known"),),
    # Which of two is meant is not guessed.
    (("authorization", "Bearer unknown"), ("authorization", "Bearer known")),
    (("authorization", "Bearer known"), ("authorization", "Bearer unknown")),
    (("authorization", "Bearer known"), ("x", "y"), ("authorization", "Bearer known")),
    (("authorization", b"Bearer known"),),
    (("authorization", "Basic known"),),
    (("authorization", "Bearerxknown"),),
)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_in_any_case(scheme: str) -> None:
    known = Caller.of(uuid.UUID(int=9), "client", None, ALL)
    admission = Admission(RPCS[0], StaticDirectory({"known": known}))
    assert admission.admit((("authorization", f"{scheme} known"),)) is known


@pytest.mark.rule("X-02a")
@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_refuses_who_proves_nothing_in_one_way(rpc: str) -> None:
    directory = StaticDirectory({"known": Caller.of(uuid.UUID(int=9), "client", None, ALL)})
    for metadata in PROVING_NOTHING:
        decided = Admission(rpc, directory).admit(metadata)
        assert isinstance(decided, DomainError), metadata
        told = decided.reason, decided.message, decided.metadata
        assert told == ("TOKEN_INVALID", "a valid bearer token is required", {})


@pytest.mark.rule("X-02a")
@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if ".internal." not in rpc])
def test_what_concerns_the_installation_is_closed_to_a_teams_client(rpc: str) -> None:
    decided = _decided(rpc, TEAM, *ALL)
    assert _decided(rpc, None, *ALL) == ""
    if rpc.rpartition("/")[2] in TEAMLESS:
        assert decided == "INSTALLATION_ONLY"
    elif "team_id" in _form(rpc).fields_by_name:
        assert decided == ""
    else:
        # What names no team itself has items that do.
        assert decided == "INSTALLATION_ONLY" or any(field.is_repeated for field in _form(rpc).fields)


def _form(rpc: str) -> Descriptor:
    method = method_of(rpc)
    assert method is not None
    return method.input_type


def test_a_missing_scope_is_told_before_whom_the_call_concerns() -> None:
    assert _decided("omnijourney.segment.v1.SegmentService/ListTeams", TEAM, SCOPE_READ) == "SCOPE_MISSING"


def test_an_empty_token_names_nobody() -> None:
    with pytest.raises(ValueError, match="needs a token"):
        StaticDirectory({"": Caller.of(uuid.UUID(int=9), "client", None, ALL)})
