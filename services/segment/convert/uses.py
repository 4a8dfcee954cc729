"""Users of a thing to the contract. Pure."""

from __future__ import annotations

from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.domain.uses import User, UserKind


def user_message(user: User) -> pb.ThingUser:
    """As the contract writes it."""
    if user.kind is UserKind.JOURNEY:
        return pb.ThingUser(journey_id=str(user.id), name=user.name)
    return pb.ThingUser(saved_audience_id=str(user.id), name=user.name)
