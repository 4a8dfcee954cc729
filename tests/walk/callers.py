"""Those who call in vain: of each kind one, made through the API."""

import asyncio
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
from google.protobuf.message import Message

from libs.client import ServiceName
from libs.common.callers import scope_of
from libs.common.rpc.client import channel
from libs.common.rpc.values import timestamp
from libs.demo.patience import call
from omnijourney.common.v1.operations_service_pb2 import ListOperationsRequest
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_WRITE,
    Scope,
)
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.api_client_pb2 import ApiClient
from tests.fuzz.rpcs import Rpc
from tests.fuzz.world import World

NO_TOKEN, WRONG, EXPIRED, REVOKED = "no token", "wrong", "expired", "revoked"
OTHER_TEAM, TOO_SMALL = "other team's", "too small"
UNPROVED: Final = (NO_TOKEN, WRONG, EXPIRED, REVOKED)
KINDS: Final = (*UNPROVED, OTHER_TEAM, TOO_SMALL)

ALL: Final = (SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE)
_OTHERS: Final[Mapping[int, Sequence[Scope.ValueType]]] = {
    SCOPE_READ: (SCOPE_OPERATE,),
    SCOPE_WRITE: (SCOPE_READ, SCOPE_OPERATE),
    SCOPE_ADMIN: (SCOPE_WRITE, SCOPE_OPERATE),
    SCOPE_OPERATE: (SCOPE_ADMIN,),
    SCOPE_INTERNAL: ALL,
}
"""By the scope that an RPC needs: everything that a client can have without it."""
EXPIRES_IN: Final = timedelta(seconds=2)
HEARD_WITHIN_S: Final = 60.0
"""Nothing is that slow: it is how long a busy machine is waited for."""


@dataclass
class Callers:
    """Tokens by kind, and channels that show them."""

    world: World
    tokens: dict[str, str] = field(default_factory=dict)
    _channels: dict[tuple[ServiceName, str], grpc.aio.Channel] = field(default_factory=dict)

    @classmethod
    async def of(cls, world: World) -> "Callers":
        """Makes the clients, and waits until every service knows them, and refuses those that are to be refused."""
        made = cls(world)
        own, other = world.own_shop.team_id, world.foreign_shop.team_id
        made.tokens[NO_TOKEN] = ""
        made.tokens[WRONG] = secrets.token_urlsafe(32)
        made.tokens[EXPIRED] = await made._client(own, EXPIRED, ALL, expires=True)
        made.tokens[REVOKED] = await made._client(own, REVOKED, ALL, revoke=True)
        made.tokens[OTHER_TEAM] = await made._client(other, OTHER_TEAM, ALL)
        made.tokens["own"] = await made._client(own, "own", ALL)
        for needed, scopes in _OTHERS.items():
            name = f"{TOO_SMALL} for {Scope.Name(Scope.ValueType(needed))}"
            made.tokens[name] = await made._client(own, name, scopes)
        async with asyncio.timeout(HEARD_WITHIN_S):
            await asyncio.gather(
                *(made._heard_of(service, name) for service in world.client.targets for name in made.tokens)
            )
        return made

    async def close(self) -> None:
        """Closes all channels."""
        await asyncio.gather(*(opened.close() for opened in self._channels.values()))

    def channel(self, rpc: Rpc, kind: str) -> grpc.aio.Channel:
        """Where an RPC is called by one of a kind."""
        name = kind
        if kind == TOO_SMALL:
            name = f"{TOO_SMALL} for {Scope.Name(scope_of(rpc.full_name))}"
        return self._channel(rpc.service, name)

    def _channel(self, service: ServiceName, name: str) -> grpc.aio.Channel:
        key = (service, name)
        if key not in self._channels:
            target, token = self.world.client.targets[service], self.tokens[name]
            self._channels[key] = channel(target, token) if token else grpc.aio.insecure_channel(target)
        return self._channels[key]

    async def _heard_of(self, service: ServiceName, name: str) -> None:
        stub = OperationsServiceStub(self._channel(service, name))
        request = ListOperationsRequest(team_id=self.world.own_shop.team_id)
        while await _is_unproved(stub.ListOperations(request, timeout=HEARD_WITHIN_S)) is not (
            name in UNPROVED
        ):
            await asyncio.sleep(0.1)

    async def _client(
        self,
        team_id: str,
        name: str,
        scopes: Sequence[Scope.ValueType],
        *,
        expires: bool = False,
        revoke: bool = False,
    ) -> str:
        stub = self.world.client.segment
        asked = segment.CreateApiClientRequest(
            team_id=team_id, request_id=f"walk {name}", api_client=ApiClient(name=name, scopes=scopes)
        )
        if expires:
            asked.api_client.expire_time.CopyFrom(timestamp(datetime.now(UTC) + EXPIRES_IN))
        made = await call(stub.CreateApiClient, asked)
        if revoke:
            ended = segment.RevokeApiClientRequest(
                team_id=team_id, request_id=f"walk end {name}", api_client_id=made.api_client.api_client_id
            )
            await call(stub.RevokeApiClient, ended)
        return made.token


async def _is_unproved(answer: Awaitable[Message]) -> bool:
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNAUTHENTICATED
    return False
