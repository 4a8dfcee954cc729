"""What accounts, bot modules and templates are called, asked of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.journey.domain.names import NamedKind, NamedThing, Names

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub

_PAGE: Final = 100
"""Things of a page: bot modules come with their cards, 80 kB at most."""


class Directory(Protocol):
    """Who knows what things are called."""

    async def names(self, team_id: UUID, kinds: Collection[NamedKind]) -> Names:
        """Those of all things of some kinds. Raises Unavailable."""
        ...


class GatewayDirectory:
    """See `Directory`. Reads whole lists: people write texts seldom, and a name has to be known as nobody else's."""

    def __init__(self, stub: ChannelGatewayServiceAsyncStub) -> None:
        """It sends the token."""
        self._stub = stub

    async def names(self, team_id: UUID, kinds: Collection[NamedKind]) -> Names:
        """See `Directory`. Nothing wanted, nothing asked."""
        team = str(team_id)
        try:
            return Names([thing for kind in kinds async for thing in self._things(team, kind)])
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("channel_gateway") from error

    async def _things(self, team: str, kind: NamedKind) -> AsyncIterator[NamedThing]:
        match kind:
            case NamedKind.ACCOUNT:
                accounts = pb.ListChannelAccountsRequest(team_id=team, page_size=_PAGE)
                async for it in _listed(self._stub.ListChannelAccounts, accounts, "accounts"):
                    yield NamedThing(kind, it.channel_account_id, it.display_name, str(it.channel))
            case NamedKind.BOT_MODULE:
                modules = pb.ListBotModulesRequest(team_id=team, page_size=_PAGE)
                async for it in _listed(self._stub.ListBotModules, modules, "modules"):
                    yield NamedThing(kind, it.bot_module_id, it.name)
            case NamedKind.TEMPLATE:
                templates = pb.ListMessageTemplatesRequest(team_id=team, page_size=_PAGE)
                async for it in _listed(self._stub.ListMessageTemplates, templates, "templates"):
                    name = f"{it.name}/{it.language}"
                    yield NamedThing(kind, it.message_template_id, name, it.account_id)


async def _listed(call: Callable[..., Any], request: Any, field: str) -> AsyncIterator[Any]:
    """What an RPC lists in `field`, over all pages. Raises `grpc.aio.AioRpcError`."""
    while True:
        page = await retrying(lambda: call(request, timeout=CALL_DEADLINE_S))
        for item in getattr(page, field):
            yield item
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return
