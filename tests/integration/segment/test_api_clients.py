"""Clients of the API: made, changed, rotated and revoked by RPC, and what their tokens open."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from libs.common.db.clients import configured_client_id, register_client
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_WRITE,
    Scope,
)
from omnijourney.segment.v1 import api_client_pb2, segment_service_pb2_grpc
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.integration.segment.conftest import TIMEOUT_S, Segment

if TYPE_CHECKING:
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub


async def make(segment: Segment, name: str, *scopes: Scope.ValueType, **fields: Any) -> Any:
    wanted = api_client_pb2.ApiClient(name=name, scopes=scopes, expire_time=fields.pop("expire_time", None))
    return await segment.call("CreateApiClient", api_client=wanted, **fields)


@contextlib.asynccontextmanager
async def caller(segment: Segment, token: str) -> AsyncIterator[SegmentServiceAsyncStub]:
    async with channel(f"127.0.0.1:{segment.port}", token) as opened:
        yield segment_service_pb2_grpc.SegmentServiceStub(opened)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    return remote_error(error).reason


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def until(segment: Segment, token: str, code: grpc.StatusCode) -> None:
    """Waits until a read with the token is answered so."""
    async with caller(segment, token) as stub, asyncio.timeout(TIMEOUT_S):
        while (
            await code_of(stub.GetTeam(pb.GetTeamRequest(team_id=str(segment.team_id)), timeout=TIMEOUT_S))
            is not code
        ):
            await asyncio.sleep(0.02)


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


async def test_a_token_opens_what_its_scopes_say_and_its_team_alone(segment: Segment) -> None:
    made = await make(segment, "shop", SCOPE_READ)
    other = new_id()
    await segment.create_team(other)
    await until(segment, made.token, grpc.StatusCode.OK)
    async with caller(segment, made.token) as stub:
        create = pb.CreateAttributeRequest(team_id=str(segment.team_id), request_id="1")
        assert (
            await code_of(stub.CreateAttribute(create, timeout=TIMEOUT_S))
            is grpc.StatusCode.PERMISSION_DENIED
        )
        assert (
            await code_of(stub.ListTeams(pb.ListTeamsRequest(), timeout=TIMEOUT_S))
            is grpc.StatusCode.PERMISSION_DENIED
        )
        itself = await stub.GetCaller(pb.GetCallerRequest(), timeout=TIMEOUT_S)
        assert (itself.name, itself.team_id, list(itself.scopes)) == (
            "shop",
            str(segment.team_id),
            [SCOPE_READ],
        )
        foreign = pb.GetCallerRequest(team_id=str(other))
        assert await code_of(stub.GetCaller(foreign, timeout=TIMEOUT_S)) is grpc.StatusCode.NOT_FOUND


async def test_a_token_is_shown_once_and_kept_as_its_digest(segment: Segment) -> None:
    made = await make(segment, "shop", SCOPE_WRITE, request_id="once")
    again = await make(segment, "shop", SCOPE_WRITE, request_id="once")
    assert made.token.startswith("oj_")
    assert len(made.token) == len("oj_") + 43, "256 bits"
    assert (again.token, again.api_client) == ("", made.api_client)
    rotated = await segment.call(
        "RotateApiClientToken", api_client_id=made.api_client.api_client_id, request_id="turn"
    )
    again = await segment.call(
        "RotateApiClientToken", api_client_id=made.api_client.api_client_id, request_id="turn"
    )
    assert rotated.token not in {"", made.token}
    assert (again.token, again.api_client) == ("", rotated.api_client)
    connection = await asyncpg.connect(segment.dsn)
    try:
        digest = await connection.fetchval("SELECT token_sha256 FROM platform.api_client WHERE name = 'shop'")
        assert digest == hashlib.sha256(rotated.token.encode()).digest()
        async with connection.transaction():
            await connection.execute("SELECT platform.bind($1)", [segment.team_id])
            answers = await connection.fetch("SELECT answer FROM request_log")
        assert len(answers) >= 2
        assert not any(token.encode() in row[0] for row in answers for token in (made.token, rotated.token))
    finally:
        await connection.close()


async def test_a_rotated_token_works_until_the_overlap_ends(segment: Segment) -> None:
    made = await make(segment, "shop", SCOPE_READ)
    client_id = made.api_client.api_client_id
    await until(segment, made.token, grpc.StatusCode.OK)
    turned = await segment.call(
        "RotateApiClientToken", api_client_id=client_id, old_token_expire_time=timestamp(in_hours(1))
    )
    await until(segment, turned.token, grpc.StatusCode.OK)
    await until(segment, made.token, grpc.StatusCode.OK)
    last = await segment.call("RotateApiClientToken", api_client_id=client_id)
    await until(segment, made.token, grpc.StatusCode.UNAUTHENTICATED)
    await until(segment, turned.token, grpc.StatusCode.UNAUTHENTICATED)
    await until(segment, last.token, grpc.StatusCode.OK)
    with pytest.raises(grpc.aio.AioRpcError, match="old_token_expire_time"):
        await segment.call(
            "RotateApiClientToken", api_client_id=client_id, old_token_expire_time=timestamp(in_hours(169))
        )
    with pytest.raises(grpc.aio.AioRpcError, match="old_token_expire_time"):
        await segment.call(
            "RotateApiClientToken", api_client_id=client_id, old_token_expire_time=timestamp(in_hours(-1))
        )


async def test_expired_and_revoked_clients_are_refused(segment: Segment) -> None:
    ending = await make(segment, "ending", SCOPE_READ, expire_time=timestamp(in_hours(1)))
    revoked = await make(segment, "revoked", SCOPE_READ)
    for token in (ending.token, revoked.token):
        await until(segment, token, grpc.StatusCode.OK)
    connection = await asyncpg.connect(segment.dsn)
    await connection.execute(
        "UPDATE platform.api_client SET expire_at = clock_timestamp() WHERE name = 'ending'"
    )
    await connection.close()
    client_id = revoked.api_client.api_client_id
    answer = await segment.call("RevokeApiClient", api_client_id=client_id)
    assert answer.api_client.revoked
    assert (await segment.call("RevokeApiClient", api_client_id=client_id)).api_client == answer.api_client
    for token in (ending.token, revoked.token):
        await until(segment, token, grpc.StatusCode.UNAUTHENTICATED)
    for name, fields in (
        ("UpdateApiClient", {"api_client": api_client_pb2.ApiClient(api_client_id=client_id, name="new")}),
        ("RotateApiClientToken", {"api_client_id": client_id}),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await segment.call(name, **fields)
        assert reason_of(refused.value) == "API_CLIENT_UNCHANGEABLE"
    assert (await make(segment, "REVOKED", SCOPE_READ)).token, "its name is free again"


async def test_nobody_gives_more_than_it_has(segment: Segment) -> None:
    admin = (await make(segment, "admin", SCOPE_ADMIN)).token
    operator = (await make(segment, "operator", SCOPE_OPERATE)).api_client
    plain = (await make(segment, "plain", SCOPE_READ)).api_client
    other = new_id()
    await segment.create_team(other)
    foreign = (await make(segment, "foreign", SCOPE_READ, team_id=str(other))).api_client
    await until(segment, admin, grpc.StatusCode.OK)
    team = str(segment.team_id)
    own: dict[str, Any] = {"team_id": team, "request_id": "1"}
    scopes = api_client_pb2.ApiClient
    refused = {
        "SCOPE_MISSING": (
            pb.CreateApiClientRequest(**own, api_client=scopes(name="x", scopes=[SCOPE_OPERATE])),
            pb.UpdateApiClientRequest(
                **own, api_client=scopes(api_client_id=plain.api_client_id, scopes=[SCOPE_OPERATE])
            ),
            pb.RotateApiClientTokenRequest(**own, api_client_id=operator.api_client_id),
        ),
        "INSTALLATION_ONLY": (
            pb.CreateApiClientRequest(request_id="1", api_client=scopes(name="x", scopes=[SCOPE_READ])),
            pb.ListApiClientsRequest(),
            pb.RevokeApiClientRequest(request_id="1", api_client_id=plain.api_client_id),
        ),
        "RESOURCE_NOT_FOUND": (
            pb.CreateApiClientRequest(
                team_id=str(other), request_id="1", api_client=scopes(name="x", scopes=[SCOPE_READ])
            ),
            pb.ListApiClientsRequest(team_id=str(other)),
            pb.RotateApiClientTokenRequest(**own, api_client_id=foreign.api_client_id),
            pb.RevokeApiClientRequest(**own, api_client_id=foreign.api_client_id),
        ),
    }
    async with caller(segment, admin) as stub:
        for reason, requests in refused.items():
            for request in requests:
                name = type(request).__name__.removesuffix("Request")
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await getattr(stub, name)(request, timeout=TIMEOUT_S)
                assert reason_of(error.value) == reason, request
        allowed = pb.CreateApiClientRequest(
            **own, api_client=scopes(name="x", scopes=[SCOPE_READ, SCOPE_WRITE])
        )
        assert (await stub.CreateApiClient(allowed, timeout=TIMEOUT_S)).token


async def test_what_configuration_gives_cannot_be_changed_by_calls(segment: Segment, database: Any) -> None:
    owner = await asyncpg.connect(database.admin_dsn)
    await register_client(owner, "installation", [SCOPE_ADMIN], hashlib.sha256(b"first").digest())
    await register_client(owner, "points", [SCOPE_READ, SCOPE_INTERNAL], hashlib.sha256(b"second").digest())
    await owner.close()
    listed = (await segment.call("ListApiClients", team_id="")).api_clients
    assert [(client.name, client.configured) for client in listed] == [("installation", True)]
    for name, reason in (("installation", "API_CLIENT_UNCHANGEABLE"), ("points", "RESOURCE_NOT_FOUND")):
        client_id = str(configured_client_id(name))
        wanted = api_client_pb2.ApiClient(api_client_id=client_id, scopes=[SCOPE_READ])
        for rpc, fields in (
            ("UpdateApiClient", {"api_client": wanted}),
            ("RotateApiClientToken", {"api_client_id": client_id}),
            ("RevokeApiClient", {"api_client_id": client_id}),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await segment.call(rpc, team_id="", **fields)
            assert reason_of(refused.value) == reason


async def test_clients_are_listed_by_name_and_changed_by_etag(segment: Segment) -> None:
    for name in ("b", "C", "a"):
        await make(segment, name, SCOPE_READ)
    with pytest.raises(grpc.aio.AioRpcError) as taken:
        await make(segment, "c", SCOPE_READ)
    assert reason_of(taken.value) == "DUPLICATE_VALUE"
    first = await segment.call("ListApiClients", page_size=2)
    second = await segment.call("ListApiClients", page_size=2, page_token=first.next_page_token)
    assert [client.name for client in (*first.api_clients, *second.api_clients)] == ["a", "b", "C"]
    shown = first.api_clients[0]
    wanted = api_client_pb2.ApiClient(
        api_client_id=shown.api_client_id, scopes=[SCOPE_WRITE], expire_time=timestamp(in_hours(1))
    )
    changed = (await segment.call("UpdateApiClient", api_client=wanted, etag=shown.etag)).api_client
    assert (changed.name, list(changed.scopes)) == ("a", [SCOPE_WRITE])
    assert changed.HasField("expire_time")
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await segment.call("UpdateApiClient", api_client=wanted, etag=shown.etag)
    assert reason_of(late.value) == "ETAG_MISMATCH"
    cleared = api_client_pb2.ApiClient(api_client_id=shown.api_client_id)
    request = pb.UpdateApiClientRequest(api_client=cleared)
    request.update_mask.paths.append("expire_time")
    changed = (
        await segment.call("UpdateApiClient", api_client=cleared, update_mask=request.update_mask)
    ).api_client
    assert not changed.HasField("expire_time")


async def test_a_team_has_no_more_clients_than_allowed(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.segment.domain.api_clients.CLIENTS_MAX", 2)
    first = (await make(segment, "a", SCOPE_READ)).api_client
    await make(segment, "b", SCOPE_READ)
    with pytest.raises(grpc.aio.AioRpcError) as full:
        await make(segment, "c", SCOPE_READ)
    assert reason_of(full.value) == "API_CLIENT_LIMIT"
    await segment.call("RevokeApiClient", api_client_id=first.api_client_id)
    assert (await make(segment, "c", SCOPE_READ)).token
