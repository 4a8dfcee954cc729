"""A real server and client in the test's own process, serving the operations by a handler of the test."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from libs.common.callers import StaticDirectory
from libs.common.rpc import operations
from libs.common.rpc.client import channel
from libs.common.rpc.server import GrpcServer
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc

TOKEN = "of-the-test"
Serve = Callable[[object], contextlib.AbstractAsyncContextManager[Any]]


@pytest.fixture
def serve() -> Serve:
    """Serves a servicer of the InstallationService and gives a stub for it."""

    @contextlib.asynccontextmanager
    async def served(servicer: Any) -> AsyncIterator[Any]:
        server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN))
        server.add(pb_grpc.add_InstallationServiceServicer_to_server, servicer, operations.DESCRIPTOR)
        async with server, channel(f"127.0.0.1:{server.port}", TOKEN) as opened:
            yield pb_grpc.InstallationServiceStub(opened)

    return served
