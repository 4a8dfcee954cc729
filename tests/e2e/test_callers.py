"""Every RPC of a whole installation against every kind of caller that it must refuse."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message

from libs.client import Client
from libs.common.callers import scope_of
from libs.common.errors import DomainError
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.validation import check_of
from libs.common.rpc.values import timestamp
from libs.embedded import published_dsn
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.common.v1 import money_pb2
from omnijourney.common.v1.error_reason_pb2 import ERROR_REASON_RESOURCE_NOT_FOUND
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_WRITE,
)
from omnijourney.segment.v1 import api_client_pb2, event_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.fuzz.calls import make
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc, served
from tests.fuzz.valid import Maker

TIMEOUT_S: Final = 15.0
TRIES: Final = 200
FALLING_SHORT: Final[dict[int, list[int]]] = {
    SCOPE_READ: [SCOPE_OPERATE],
    SCOPE_WRITE: [SCOPE_READ, SCOPE_OPERATE],
    SCOPE_ADMIN: [SCOPE_WRITE, SCOPE_OPERATE],
    SCOPE_OPERATE: [SCOPE_ADMIN],
    SCOPE_INTERNAL: [SCOPE_ADMIN, SCOPE_OPERATE],
}
"""By the scope that an RPC needs: all that a client may have without having it."""
BY_ITEM: Final = "omnijourney.segment.v1.SegmentService/RecordEvents"
"""Answers item by item, so that a faulty one spoils no other."""


@dataclass
class World:
    """A running installation with two teams."""

    client: Client
    rpcs: list[Rpc]
    token: str
    owner: "asyncpg.Connection[Any]"
    own: str
    other: str

    async def client_token(self, *scopes: int, team_id: str = "", ends_in: timedelta | None = None) -> Any:
        """A new client of a team or of the installation, with its token."""
        wanted = api_client_pb2.ApiClient(name=str(new_id()), scopes=scopes)  # type: ignore[arg-type]  # numbers
        if ends_in is not None:
            wanted.expire_time.CopyFrom(timestamp(datetime.now(UTC) + ends_in))
        request = pb.CreateApiClientRequest(team_id=team_id, request_id=str(new_id()), api_client=wanted)
        return await self.client.segment.CreateApiClient(request, timeout=TIMEOUT_S)

    async def rows(self, team_id: str) -> dict[str, int]:
        """How many rows of a team each table holds, but for its clients and what was answered to them."""
        tables = await self.owner.fetch(
            "SELECT c.table_schema || '.' || c.table_name FROM information_schema.columns AS c"
            " JOIN information_schema.tables AS t USING (table_schema, table_name)"
            " WHERE c.column_name = 'team_id' AND t.table_type = 'BASE TABLE' AND c.table_schema <> 'platform'"
        )
        return {
            table: await self.owner.fetchval(
                f"SELECT count(*) FROM {table} WHERE team_id = $1::text::uuid", team_id
            )
            for (table,) in tables
        }


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """Starts all five services as `omnijourney up` does."""
    settings = InstallationSettings(data_dir=directory, bind_host="127.0.0.1")
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation(InstallationOptions(settings=settings, free_ports=True))
        )
        client = await stack.enter_async_context(
            Client(installation.targets, installation.token, installation.tools_token)
        )
        owner = await asyncpg.connect(published_dsn(directory))
        stack.push_async_callback(owner.close)
        teams = [str(new_id()), str(new_id())]
        for team_id in teams:
            named = team_pb2.TeamSettings(time_zone="UTC", currency_code="TWD")
            team = team_pb2.Team(team_id=team_id, name="Team", settings=named)
            request = pb.CreateTeamRequest(request_id=str(new_id()), team=team)
            await client.segment.CreateTeam(request, timeout=TIMEOUT_S)
        yield World(client, await served(client), installation.token, owner, *teams)


class Caller:
    """Shows one token to all services."""

    def __init__(self, world: World, token: str | None) -> None:
        self._world = world
        self._token = token
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def ask(self, rpc: Rpc, request: Message) -> tuple[str, str, str]:
        """Code, reason and message of the answer."""
        target = self._world.client.targets[rpc.service]
        if target not in self._channels:
            self._channels[target] = (
                grpc.aio.insecure_channel(target) if self._token is None else channel(target, self._token)
            )
        answer = await make(self._channels[target], rpc, [request.SerializeToString()])
        if rpc.full_name == BY_ITEM and answer.code == "OK":
            (results,) = answer.answers
            kinds = {(result.reason, result.message) for result in results.results}  # type: ignore[attr-defined]
            reason, message = kinds.pop() if kinds else ("", "")
            return "OK", str(reason), str(message)
        return answer.code, answer.reason, answer.message

    async def known(self) -> None:
        """Waits until every service knows the token."""
        for rpc in {rpc.service: rpc for rpc in self._world.rpcs}.values():
            async with asyncio.timeout(5):
                while (await self.ask(rpc, rpc.asked()))[0] == "UNAUTHENTICATED":
                    await asyncio.sleep(0.05)

    async def close(self) -> None:
        for opened in self._channels.values():
            await opened.close()


@asynccontextmanager
async def calling(world: World, *tokens: str | None) -> AsyncIterator[list[Caller]]:
    callers = [Caller(world, token) for token in tokens]
    try:
        yield callers
    finally:
        for caller in callers:
            await caller.close()


def valid(rpc: Rpc, team_id: str) -> Message:
    """A request for a team that the contract allows."""
    if rpc.full_name == BY_ITEM:
        return pb.RecordEventsRequest(events=[_event(team_id, str(number)) for number in range(2)])
    pools = Pools()
    ids = {name: [str(new_id())] for name in ("customer_id", "journey_id", "account_id", "shop_id")}
    pools.begin({"team_id": [team_id], **ids})
    check = check_of(rpc.full_name)
    for seed in range(TRIES):
        request = Maker(random.Random(seed), pools).request(rpc)
        with contextlib.suppress(DomainError):
            if check is not None:
                check(request)
            if team_id.encode() in request.SerializeToString() or not names_team(rpc):
                return request
    raise AssertionError(f"no valid request for {rpc.full_name} in {TRIES} tries")


def _event(team_id: str, key: str) -> event_pb2.CustomerEvent:
    money = money_pb2.Money(currency_code="TWD", amount_micros=1_000_000)
    order = event_pb2.OrderCompleted(shop_id="shop", order_id=key, amount=money, signed=True)
    return event_pb2.CustomerEvent(
        team_id=team_id, event_key=key, occur_time=timestamp(datetime.now(UTC)), order_completed=order
    )


def names_team(rpc: Rpc) -> bool:
    form = rpc.method.input_type
    items = [field.message_type for field in form.fields if field.is_repeated and field.message_type]
    return any("team_id" in each.fields_by_name for each in (form, *items))


@pytest.mark.rule("X-02a")
@pytest.mark.timeout(240)
async def test_every_rpc_refuses_who_does_not_prove_to_be_allowed(tmp_path: Path) -> None:
    async with world(tmp_path / "data") as there:
        revoked = await there.client_token(SCOPE_ADMIN, SCOPE_OPERATE)
        ending = await there.client_token(SCOPE_ADMIN, SCOPE_OPERATE, ends_in=timedelta(seconds=20))
        short = {need: (await there.client_token(*scopes)).token for need, scopes in FALLING_SHORT.items()}
        before = await there.rows(there.own)
        async with calling(there, None, "oj_wrong", revoked.token, ending.token) as strangers:
            for caller in strangers[2:]:
                await caller.known()
            request = pb.RevokeApiClientRequest(
                request_id="1", api_client_id=revoked.api_client.api_client_id
            )
            await there.client.segment.RevokeApiClient(request, timeout=TIMEOUT_S)
            await _refused_everywhere(there, strangers[2])
            await _refused_everywhere(there, strangers[3])
            for rpc in there.rpcs:
                asked = valid(rpc, there.own)
                answers = {await caller.ask(rpc, asked) for caller in strangers}
                assert {answer[:2] for answer in answers} == {("UNAUTHENTICATED", "TOKEN_INVALID")}, rpc.name
                assert len(answers) == 1, "which of them it is, is not said"
        async with calling(there, *short.values()) as fallen:
            by_need = dict(zip(short, fallen, strict=True))
            for caller in fallen:
                await caller.known()
            for rpc in there.rpcs:
                answer = await by_need[scope_of(rpc.full_name)].ask(rpc, valid(rpc, there.own))
                assert answer[:2] == ("PERMISSION_DENIED", "SCOPE_MISSING"), rpc.name
        assert await there.rows(there.own) == before, "nothing was changed"
        async with calling(there, there.token) as (first,):
            for rpc in there.rpcs:
                code, _, _ = await first.ask(rpc, rpc.asked())
                expected = scope_of(rpc.full_name) != SCOPE_INTERNAL
                assert (code not in {"UNAUTHENTICATED", "PERMISSION_DENIED"}) is expected, rpc.name


async def _refused_everywhere(there: World, caller: Caller) -> None:
    async with asyncio.timeout(30):
        for rpc in {rpc.service: rpc for rpc in there.rpcs}.values():
            while (await caller.ask(rpc, rpc.asked()))[0] != "UNAUTHENTICATED":
                await asyncio.sleep(0.05)


@pytest.mark.rule("X-02b")
@pytest.mark.timeout(240)
async def test_every_rpc_answers_for_another_team_as_for_none(tmp_path: Path) -> None:
    async with world(tmp_path / "data") as there:
        mine = await there.client_token(SCOPE_ADMIN, SCOPE_OPERATE, team_id=there.own)
        nowhere = str(new_id())
        before = await there.rows(there.other)
        async with calling(there, there.token, mine.token) as (first, client):
            await client.known()
            for rpc in there.rpcs:
                if scope_of(rpc.full_name) == SCOPE_INTERNAL:
                    continue
                if not names_team(rpc):
                    answer = await client.ask(rpc, valid(rpc, there.own))
                    assert answer[:2] == ("PERMISSION_DENIED", "INSTALLATION_ONLY"), rpc.name
                    continue
                answers = [
                    await first.ask(rpc, valid(rpc, nowhere)),
                    await client.ask(rpc, valid(rpc, nowhere)),
                    await client.ask(rpc, valid(rpc, there.other)),
                ]
                _check_same(rpc, answers, nowhere, there.other)
            assert await there.rows(there.other) == before
            assert set((await there.rows(nowhere)).values()) == {0}
            for rpc in there.rpcs:
                if scope_of(rpc.full_name) != SCOPE_INTERNAL and names_team(rpc):
                    code, reason, message = await client.ask(rpc, valid(rpc, there.own))
                    assert code not in {"INTERNAL", "UNKNOWN", "PERMISSION_DENIED", "UNAVAILABLE"}, rpc.name
                    assert reason != str(int(ERROR_REASON_RESOURCE_NOT_FOUND)), rpc.name
                    assert f"no team {there.own}" not in message, rpc.name


def _check_same(rpc: Rpc, answers: Sequence[tuple[str, str, str]], *teams: str) -> None:
    expected = (
        ("UNIMPLEMENTED", "NOT_IMPLEMENTED") if not rpc.implemented else ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    )
    if rpc.full_name == BY_ITEM:
        expected = ("OK", str(int(ERROR_REASON_RESOURCE_NOT_FOUND)))
    shown = set()
    for code, reason, message in answers:
        shown.add((code, reason, re.sub("|".join(teams), "TEAM", message)))
    assert {answer[:2] for answer in shown} == {expected}, (rpc.name, answers)
    assert len(shown) == 1, (rpc.name, answers)
    if rpc.implemented and rpc.full_name != BY_ITEM:
        assert next(iter(shown))[2].startswith("there is no team TEAM"), (rpc.name, answers)
