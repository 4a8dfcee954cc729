"""Journeys that use a thing of another service: told before the thing goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import grpc

from libs.common.errors import DomainError, FailedPrecondition, Unavailable
from libs.common.rpc.client import retrying
from omnijourney.common.v1 import using_journey_pb2
from omnijourney.journey.v1 import journey_service_pb2, journey_service_pb2_grpc

USERS_SHOWN: Final = 20
DEADLINE_S: Final = 3.0
ATTEMPTS_MAX: Final = 2
"""Somebody waits, or a connection to the database is held meanwhile."""


class UsingJourney(NamedTuple):
    """A journey that is a draft or live and names a thing."""

    journey_id: UUID
    name: str


class Uses(NamedTuple):
    """Who uses a thing that is about to go, and why it must not; None where it may."""

    journeys: Sequence[UsingJourney] = ()
    refusal: DomainError | None = None

    @property
    def messages(self) -> list[using_journey_pb2.UsingJourney]:
        """The journeys as the contract writes them."""
        return [
            using_journey_pb2.UsingJourney(journey_id=str(each.journey_id), name=each.name)
            for each in self.journeys
        ]

    def check(self) -> None:
        """Raises the refusal: inside the work of a request, so that a repetition is answered all the same."""
        if self.refusal is not None:
            raise self.refusal


class UsingJourneys:
    """Asks the journey service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to journey."""
        self._stub = journey_service_pb2_grpc.JourneyServiceStub(channel)

    async def of(self, team_id: UUID, **thing: str) -> list[UsingJourney]:
        """The first USERS_SHOWN of a thing, by its field of `ListReferringJourneysRequest`. Raises Unavailable."""
        request = journey_service_pb2.ListReferringJourneysRequest(
            team_id=str(team_id), page_size=USERS_SHOWN, **thing
        )
        try:
            found = await retrying(
                lambda: self._stub.ListReferringJourneys(request, timeout=DEADLINE_S), attempts=ATTEMPTS_MAX
            )
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("journey") from error
        return [UsingJourney(UUID(each.journey_id), each.name) for each in found.journeys]

    async def before_it_goes(self, team_id: UUID, what: str, *, unless_used: bool, **thing: str) -> Uses:
        """Who uses a thing (`what`, as people call it). `unless_used`: it must not go while anybody does, nor while
        that cannot be found out; else those are told who are known."""
        try:
            journeys = await self.of(team_id, **thing)
        except Unavailable as error:
            return Uses(refusal=error if unless_used else None)
        return Uses(journeys, in_use(what, journeys) if journeys and unless_used else None)


def in_use(what: str, journeys: Sequence[UsingJourney]) -> FailedPrecondition:
    """The refusal to let a thing go that journeys use."""
    listed = ", ".join(f"journey {each.journey_id}" for each in journeys)
    return FailedPrecondition(
        "IN_USE",
        f"{what} is used by {listed}: take it out of them first, or ask without unless_used",
        metadata={"used_by": listed},
    )
