# ruff: noqa: N802 - the generated base names the methods
"""How far a service has taken segment's history, as segment asks before it empties old rows of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.rpc.server import GrpcServer
from libs.common.rpc.servicing import team_of
from omnijourney.internal.v1 import followers_service_pb2 as pb
from omnijourney.internal.v1 import followers_service_pb2_grpc as pb_grpc

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["FollowersService"]


class Taken(NamedTuple):
    """Partition → position up to which rows are taken for sure."""

    positions: Mapping[int, int]
    mail_positions: Mapping[int, int] = {}
    """The same for rows that are mail; empty: as all rows."""
    waiting: Sequence[UUID] = ()
    """Customers of whose mail some may not be taken."""


Reader = Callable[[UUID], Awaitable[Taken]]
"""Asks how far the service is, with the waiting customers of a team. Raises the driver's errors."""


class FollowersServicer(pb_grpc.FollowersServiceServicer):
    """See `protos/omnijourney/internal/v1/followers_service.proto`."""

    def __init__(self, taken: Reader) -> None:
        """What the service knows."""
        self._taken = taken

    async def GetTaken(self, request: pb.GetTakenRequest, context: Any) -> pb.GetTakenResponse:
        """How far it is."""
        taken = await self._taken(team_of(request.team_id))
        return pb.GetTakenResponse(
            positions=taken.positions,
            mail_positions=taken.mail_positions,
            waiting_customer_ids=map(str, taken.waiting),
        )


def serve_followers(server: GrpcServer, taken: Reader) -> None:
    """Adds it to the server."""
    server.add(pb_grpc.add_FollowersServiceServicer_to_server, FollowersServicer(taken), DESCRIPTOR)
