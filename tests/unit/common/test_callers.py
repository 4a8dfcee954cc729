"""Callers, and the scopes that RPCs declare."""

import uuid
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from libs.common.callers import ITSELF, Caller, caller, calling, scope_of
from libs.common.rpc.reflection import DESCRIBED
from omnijourney.common.v1 import installation_service_pb2, options_pb2
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_UNSPECIFIED,
    SCOPE_WRITE,
)
from omnijourney.segment.v1 import segment_service_pb2

SEGMENT = segment_service_pb2.DESCRIPTOR.services_by_name["SegmentService"].full_name
INSTALLATION = installation_service_pb2.DESCRIPTOR.services_by_name["InstallationService"].full_name


def _declared() -> Iterator[tuple[str, int]]:
    """All RPCs, each as `package.Service/Method` with the scope that it declares."""
    for file in FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file:
        for service in file.service:
            for method in service.method:
                scope: int = method.options.Extensions[options_pb2.scope]
                yield f"{file.package}.{service.name}/{method.name}", scope


def test_every_rpc_declares_its_scope() -> None:
    declared = dict(_declared())
    assert len(declared) > 200
    assert [rpc for rpc, scope in declared.items() if scope == SCOPE_UNSPECIFIED] == []


def test_internal_rpcs_and_no_others_are_internal() -> None:
    for rpc, scope in _declared():
        assert (scope == SCOPE_INTERNAL) == rpc.startswith("omnijourney.internal."), rpc


def test_the_scope_of_an_rpc_is_the_one_it_declares() -> None:
    assert scope_of(f"{SEGMENT}/GetCustomer") == SCOPE_READ
    assert scope_of(f"{SEGMENT}/CreateApiClient") == SCOPE_ADMIN
    assert scope_of(f"{INSTALLATION}/SetClock") == SCOPE_OPERATE
    with pytest.raises(KeyError):
        scope_of("grpc.health.v1.Health/Nothing")


@pytest.mark.parametrize(
    ("given", "all_of_them"),
    [
        (SCOPE_READ, {SCOPE_READ}),
        (SCOPE_WRITE, {SCOPE_READ, SCOPE_WRITE}),
        (SCOPE_ADMIN, {SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN}),
        (SCOPE_OPERATE, {SCOPE_OPERATE}),
        (SCOPE_INTERNAL, {SCOPE_INTERNAL}),
    ],
)
def test_a_scope_includes_smaller_ones(given: int, all_of_them: set[int]) -> None:
    assert Caller.of(uuid.UUID(int=1), "shop", None, [given]).scopes == all_of_them


def test_a_client_of_a_team_sees_that_team_only() -> None:
    team, other = uuid.UUID(int=2), uuid.UUID(int=3)
    client = Caller.of(uuid.UUID(int=1), "shop", team, [SCOPE_READ])
    assert (client.sees(team), client.sees(other)) == (True, False)
    assert ITSELF.sees(other)


def test_the_caller_is_set_for_a_block_only() -> None:
    client = Caller.of(uuid.UUID(int=1), "shop", None, [SCOPE_READ])
    assert caller() is ITSELF
    with calling(client):
        assert caller() is client
    assert caller() is ITSELF
