"""Bot modules at the gateway, as far as journeys have to know what is in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import grpc
from google.protobuf.message import Message

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2
from services.journey.domain.references import attributes_in

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub


class Modules(Protocol):
    """What is in bot modules."""

    async def naming_attributes(
        self, team_id: UUID, modules: Collection[str], keys: Collection[str]
    ) -> Mapping[str, Set[str]]:
        """Those of some modules (ids) with variables of any of some attributes, and of which. Raises Unavailable."""
        ...

    async def naming_coupon(self, team_id: UUID, modules: Collection[str], coupon_id: str) -> set[str]:
        """Those of some modules (ids) that offer a coupon. Raises Unavailable."""
        ...


class GatewayModules:
    """Reads modules one by one: few are asked about, and seldom."""

    def __init__(self, stub: ChannelGatewayServiceAsyncStub) -> None:
        """It sends the token."""
        self._stub = stub

    async def naming_attributes(
        self, team_id: UUID, modules: Collection[str], keys: Collection[str]
    ) -> Mapping[str, Set[str]]:
        """See `Modules`."""
        wanted = frozenset(keys)
        found = {
            module_id: wanted & frozenset[str]().union(*_attributes(module))
            for module_id in modules
            if (module := await self._read(team_id, module_id)) is not None
        }
        return {module_id: named for module_id, named in found.items() if named}

    async def naming_coupon(self, team_id: UUID, modules: Collection[str], coupon_id: str) -> set[str]:
        """See `Modules`."""
        return {
            module_id
            for module_id in modules
            if (module := await self._read(team_id, module_id)) is not None
            and any(
                isinstance(part, content_pb2.CouponCard) and part.coupon_id == coupon_id
                for part in _parts(module)
            )
        }

    async def _read(self, team_id: UUID, module_id: str) -> content_pb2.BotModule | None:
        """A module, None if it is not there."""
        request = pb.GetBotModuleRequest(team_id=str(team_id), bot_module_id=module_id)
        try:
            answer = await retrying(lambda: self._stub.GetBotModule(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise Unavailable.dependency("channel_gateway") from error
        module: content_pb2.BotModule = answer.module
        return module


def _attributes(module: content_pb2.BotModule) -> Iterator[frozenset[str]]:
    """The attributes in each text of a module."""
    for part in _parts(module):
        for field, value in part.ListFields():
            if field.type == field.TYPE_STRING:
                texts = value if field.is_repeated else (value,)
                yield frozenset(key for text in texts for key in attributes_in(text))


def _parts(message: Message) -> Iterator[Message]:
    """A message and all that it holds."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else (value,):
                yield from _parts(part)
