"""Each service, started alone, serves its contract: all RPCs are there, and those without an implementation say so.

Nothing but a port and reflection is used, as by a caller who has no proto files.
"""

import importlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.testing.fixtures import Databases, Servers
from tools.contracts import unimplemented

SERVICES = ("channel_gateway", "journey", "points", "segment", "stats")
SHARED = ("omnijourney.common.v1.InstallationService", "omnijourney.common.v1.OperationsService")
INTERNAL = {
    "channel_gateway": ("sends", "consents", "history", "mail"),
    "journey": ("history", "mail"),
    "points": ("ledger", "history"),
    "segment": ("customers", "history", "mail"),
    "stats": (),
}
"""What each serves to the others, of `omnijourney.internal.v1`."""

# An implementation may take its time (a long poll); a missing one answers at once.
_CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Served:
    """A running service: its name, its port on this machine, a channel with the right token."""

    service: str
    port: int
    channel: grpc.aio.Channel

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"


def _full_name(service: str) -> str:
    words = "".join(word.capitalize() for word in service.split("_"))
    return f"omnijourney.{service}.v1.{words}Service"


@pytest.fixture(params=SERVICES)
async def served(
    request: pytest.FixtureRequest, servers: Servers, databases: Databases
) -> AsyncIterator[Served]:
    """A service; no other one runs."""
    service: str = request.param
    package = f"services.{service}"
    app: Any = importlib.import_module(f"{package}.app").app
    settings: Any = importlib.import_module(f"{package}.config").Settings
    async with (
        databases.fresh({service: package}) as database,
        app(servers.settings(settings, database)) as running,
        servers.channel(running.port) as channel,
    ):
        yield Served(service, running.port, channel)


async def test_reflection_lists_the_service_without_a_token(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.target) as anybody:
        make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # its types know blocking channels only
        stub = make_stub(anybody)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (answer,) = [reply async for reply in stub.ServerReflectionInfo(asked, timeout=_CALL_TIMEOUT_S)]
    names = {entry.name for entry in answer.list_services_response.service}
    assert names >= {_full_name(served.service), *SHARED, "grpc.health.v1.Health"}


async def test_reflection_serves_the_comments(served: Served) -> None:
    name = _full_name(served.service)
    async with grpc.aio.insecure_channel(served.target) as anybody:
        make_stub: Any = reflection_pb2_grpc.ServerReflectionStub
        asked = iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)])
        replies = make_stub(anybody).ServerReflectionInfo(asked, timeout=_CALL_TIMEOUT_S)
        (answer,) = [reply async for reply in replies]
    files = map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
    (file,) = (file for file in files if file.name.endswith(f"/{served.service}_service.proto"))
    commented = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments}
    assert {(6, 0, 2, index) for index in range(len(file.service[0].method))} <= commented


async def test_health_says_serving_for_each_name_without_a_token(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.target) as anybody:
        stub: Any = health_pb2_grpc.HealthStub(anybody)
        for name in ("", _full_name(served.service), *SHARED):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=_CALL_TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_exactly_the_listed_rpcs_answer_unimplemented(served: Served) -> None:
    states = {state.name: state for state in unimplemented.services()}
    for name, described in _described(served.service).items():
        answered = {
            method.name
            for method in described.methods
            if await _code(served.channel, method) is grpc.StatusCode.UNIMPLEMENTED
        }
        assert answered == set(states[name].missing)


def _described(service: str) -> Mapping[str, ServiceDescriptor]:
    own = importlib.import_module(f"omnijourney.{service}.v1.{service}_service_pb2")
    shared = [
        importlib.import_module(f"omnijourney.common.v1.{name}_service_pb2")
        for name in ("installation", "operations")
    ]
    internal = [
        importlib.import_module(f"omnijourney.internal.v1.{name}_service_pb2") for name in INTERNAL[service]
    ]
    return {
        described.full_name: described
        for file in (own.DESCRIPTOR, *(each.DESCRIPTOR for each in (*shared, *internal)))
        for described in file.services_by_name.values()
    }


async def _code(channel: grpc.aio.Channel, method: MethodDescriptor) -> grpc.StatusCode:
    """The status of a call with an empty request."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    asks, answers = (
        "stream" if many else "unary" for many in (method.client_streaming, method.server_streaming)
    )
    call: Any = getattr(channel, f"{asks}_{answers}")(path)
    try:
        if method.server_streaming:
            async for _ in call(iter([b""]) if method.client_streaming else b"", timeout=_CALL_TIMEOUT_S):
                break
        else:
            await call(iter([b""]) if method.client_streaming else b"", timeout=_CALL_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
