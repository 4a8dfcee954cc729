"""What a definition names, asked of segment and of the gateway: one call to each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from services.journey.convert import gate as convert
from services.journey.domain.gate import AccountAnswer, MessageAnswer, NamedAccount, NamedMessage, Traits

if TYPE_CHECKING:
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub


class References(Protocol):
    """Who knows what definitions name. Both raise `Unavailable`."""

    async def check_messages(
        self,
        team_id: UUID,
        accounts: Sequence[NamedAccount],
        messages: Sequence[NamedMessage],
    ) -> tuple[list[AccountAnswer], list[MessageAnswer]]:
        """What the gateway finds of each, in order."""
        ...

    async def traits(self, team_id: UUID, keys: Iterable[str], audiences: Sequence[bytes]) -> Traits:
        """What segment has of the team."""
        ...


class GrpcReferences:
    """See `References`."""

    def __init__(self, segment: CustomersServiceAsyncStub, gateway: SendsServiceAsyncStub) -> None:
        """Their channels send the token."""
        self._segment = segment
        self._gateway = gateway

    async def check_messages(
        self,
        team_id: UUID,
        accounts: Sequence[NamedAccount],
        messages: Sequence[NamedMessage],
    ) -> tuple[list[AccountAnswer], list[MessageAnswer]]:
        """See `References`. Nothing named, nothing asked."""
        if not accounts and not messages:
            return [], []
        request = convert.messages_request(team_id, accounts, messages)
        try:
            answer = await retrying(lambda: self._gateway.CheckMessages(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("channel_gateway") from error
        return convert.account_answers(answer), convert.message_answers(answer)

    async def traits(self, team_id: UUID, keys: Iterable[str], audiences: Sequence[bytes]) -> Traits:
        """See `References`."""
        wanted = sorted(set(keys))
        request = convert.traits_request(team_id, wanted, audiences)
        try:
            answer = await retrying(lambda: self._segment.CheckTraits(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("segment") from error
        return convert.traits_of(wanted, answer)
