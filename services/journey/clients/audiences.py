"""Saved audiences and who is in them, asked of segment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from uuid import UUID

import grpc

from libs.common.errors import NotFound, Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from libs.common.rpc.errors import remote_error
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.journey.clients.calls import ServiceUnavailable

if TYPE_CHECKING:
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

STREAM_DEADLINE_S: Final = 20.0
"""How long a stream of customers may take; it is resumed where it broke."""
_REFUSED: Final = frozenset(
    {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
)


class Members(NamedTuple):
    """Customers in an audience; all up to `through` are judged."""

    customer_ids: Sequence[UUID]
    through: UUID


class AudienceRefused(Exception):
    """Segment does not say who is in an audience, and will not: `reason` names an ErrorReason."""

    def __init__(self, reason: str, message: str) -> None:
        """`message` is for people."""
        super().__init__(message)
        self.reason = reason
        self.message = message


class Audiences(Protocol):
    """Who is in audiences."""

    async def saved(self, team_id: UUID, audience_id: UUID) -> bytes:
        """A saved one, serialised. Raises NotFound, Unavailable."""
        ...

    def members(self, team_id: UUID, audience: bytes, after: UUID | None) -> AsyncGenerator[Members, None]:
        """All customers in one, in order of their ids, after one; ends when all are judged.

        Raises ServiceUnavailable, then it may be resumed, and AudienceRefused."""
        ...


class SegmentAudiences:
    """See `Audiences`."""

    def __init__(self, segment: SegmentServiceAsyncStub) -> None:
        """Its channel sends the token."""
        self._segment = segment

    async def saved(self, team_id: UUID, audience_id: UUID) -> bytes:
        """See `Audiences`."""
        request = pb.GetSavedAudienceRequest(team_id=str(team_id), saved_audience_id=str(audience_id))
        try:
            answer = await retrying(lambda: self._segment.GetSavedAudience(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound.of("audience", audience_id) from error
            raise Unavailable.dependency("segment") from error
        return answer.saved_audience.audience.SerializeToString(deterministic=True)

    async def members(
        self, team_id: UUID, audience: bytes, after: UUID | None
    ) -> AsyncGenerator[Members, None]:
        """See `Audiences`."""
        request = pb.StreamAudienceCustomersRequest(
            team_id=str(team_id),
            audience=audience_pb2.Audience.FromString(audience),
            after_customer_id=str(after) if after is not None else "",
        )
        try:
            call = self._segment.StreamAudienceCustomers(request, timeout=STREAM_DEADLINE_S)
            try:
                async for part in call:
                    yield _members(part)
            finally:
                call.cancel()
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSED:
                refusal = remote_error(error)
                raise AudienceRefused(refusal.reason or "INTERNAL", refusal.message) from error
            raise ServiceUnavailable(f"segment: {error.code().name}") from error


def _members(part: pb.StreamAudienceCustomersResponse) -> Members:
    """Segment of the release before names nobody up to whom all are judged: its last one is."""
    through = part.through_customer_id or part.customer_ids[-1]
    return Members([UUID(each) for each in part.customer_ids], UUID(through))
