"""Who uses a thing of a team: told before it goes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.errors import FailedPrecondition

USERS_SHOWN: Final = 20
"""Of each kind."""


class UserKind(IntEnum):
    """What may use a thing."""

    JOURNEY = 1
    SAVED_AUDIENCE = 2


class User(NamedTuple):
    """A journey or a saved audience that names a thing."""

    kind: UserKind
    id: UUID
    name: str


def in_use(thing: str, users: Sequence[User]) -> FailedPrecondition:
    """The refusal to delete a thing (as people call it) that others use."""
    listed = ", ".join(f"{user.kind.name.lower().replace('_', ' ')} {user.id}" for user in users)
    return FailedPrecondition(
        "IN_USE",
        f"{thing} is used by {listed}: take it out of them first, or delete it by force",
        metadata={"used_by": listed},
    )
