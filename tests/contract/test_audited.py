"""Every write that a service serves to others leaves an entry in the audit log, whoever serves it.

The guard that stands around all handlers is asked with each RPC of the contracts, in front of a handler that only
answers: what the writes' own transactions add is tested with the services.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from uuid import UUID

import asyncpg
import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from libs.common.audit import is_write, teams_of
from libs.common.callers import Caller, StaticDirectory
from libs.common.db.audit import AuditLog
from libs.common.db.pool import open_pool
from libs.common.errors import DomainError
from libs.common.rpc.client import channel
from libs.common.rpc.server import GrpcServer
from libs.common.rpc.validation import check_of
from libs.testing.clients import make_known
from libs.testing.fixtures import Database, Databases
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_INTERNAL, SCOPE_OPERATE
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc, class_of, load_all
from tests.fuzz.valid import Maker
from tools.contracts.generate import image

PACKAGE: Final = "tests.integration.common.diary"
ANN: Final = Caller.of(UUID(int=9), "Ann's token", None, [SCOPE_ADMIN, SCOPE_OPERATE])
SERVICE: Final = Caller.of(UUID(int=8), "journey", None, [SCOPE_ADMIN, SCOPE_OPERATE, SCOPE_INTERNAL])
EXCUSED: Final = {
    "omnijourney.points.v1.PointsService/CheckLedger": "a read that moves a bookmark of its own",
    "omnijourney.points.v1.PointsService/UploadImportFile": "a stream, which is answered once with its entry",
}
"""Write to why the guard has no entry written for it."""


def _methods() -> Iterator[MethodDescriptor]:
    """Of all public services."""
    load_all()
    for file in image().file:
        for service in file.service if file.package.startswith("omnijourney.") else ():
            name = f"{file.package}.{service.name}"
            if not name.startswith("omnijourney.internal."):
                yield from descriptor_pool.Default().FindServiceByName(name).methods


def _answering(method: MethodDescriptor) -> Any:
    """A handler that answers with nothing in it."""
    answer = class_of(method.output_type)

    async def one(request: Any, context: Any) -> Message:
        if method.client_streaming:
            async for _ in request:
                pass
        return answer()

    async def many(request: Any, context: Any) -> AsyncIterator[Message]:
        yield answer()

    asks, answers = (
        "stream" if many else "unary" for many in (method.client_streaming, method.server_streaming)
    )
    make = getattr(grpc, f"{asks}_{answers}_rpc_method_handler")
    return make(
        many if method.server_streaming else one,
        class_of(method.input_type).FromString,
        answer.SerializeToString,
    )


def _register(methods: list[MethodDescriptor], server: Any) -> None:
    for service in {method.containing_service.full_name for method in methods}:
        own = {
            method.name: _answering(method)
            for method in methods
            if method.containing_service.full_name == service
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, own),))


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """The platform's tables, and the smallest service."""
    async with databases.fresh({"diary": PACKAGE}) as database:
        yield database


async def _call(opened: grpc.aio.Channel, method: MethodDescriptor, request: Message) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    asks, answers = (
        "stream" if many else "unary" for many in (method.client_streaming, method.server_streaming)
    )
    call = getattr(opened, f"{asks}_{answers}")(
        path, class_of(method.input_type).SerializeToString, class_of(method.output_type).FromString
    )
    given: Any = iter([request]) if method.client_streaming else request
    if method.server_streaming:
        async for _ in call(given, timeout=10):
            pass
    else:
        await call(given, timeout=10)


def _is_no_read(method: MethodDescriptor) -> bool:
    return is_write(f"{method.containing_service.full_name}/{method.name}")


async def _entries(connection: Any) -> list[str]:
    rows = await connection.fetch("DELETE FROM platform.audit_entry RETURNING method, actor, client_id")
    assert all((row["actor"], row["client_id"]) == (ANN.name, ANN.client_id) for row in rows)
    return [row["method"] for row in rows]


@pytest.mark.rule("X-02d")
async def test_every_write_of_the_contracts_leaves_an_entry(database: Database) -> None:
    methods = list(_methods())
    pool = await open_pool(database.dsn_of("diary"), name="test")
    callers = StaticDirectory({"ann": ANN, "journey": SERVICE})
    server = GrpcServer(host="127.0.0.1", port=0, callers=callers, audit=AuditLog(pool).note)
    service = methods[0].containing_service
    server.add(lambda _, guard: _register(methods, guard), None, service)
    owner = await asyncpg.connect(database.admin_dsn)
    async with pool, server:
        target = f"127.0.0.1:{server.port}"
        async with channel(target, "ann") as ann, channel(target, "journey") as itself:
            written = 0
            for method in filter(_is_no_read, methods):
                name = f"{method.containing_service.full_name}/{method.name}"
                request = _made(method)
                for team_id in teams_of(request):
                    await make_known(database, team_id)
                await _call(itself, method, request)
                assert await _entries(owner) == [], f"{name}: our own services' facts name them"
                await _call(ann, method, request)
                expected = name not in EXCUSED
                assert set(await _entries(owner)) == ({name} if expected else set()), name
                written += expected
            assert written > 60
    await owner.close()


def _made(method: MethodDescriptor) -> Message:
    """A request that the contract allows, always the same."""
    rpc = Rpc("segment", method, implemented=True)
    check = check_of(rpc.full_name)
    for seed in range(300):
        request = Maker(random.Random(seed), Pools()).request(rpc)
        with contextlib.suppress(DomainError):
            if check is not None:
                check(request)
            return request
    raise AssertionError(f"no request for {rpc.full_name}")
