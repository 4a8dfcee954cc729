"""Who uses a thing of a team: told before it goes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.errors import FailedPrecondition

USERS_SHOWN: Final = 20
"""Of each kind."""
BY_FORCE: Final = "delete it by force"


class UserKind(IntEnum):
    """What may use a thing."""

    JOURNEY = 1
    SAVED_AUDIENCE = 2


class User(NamedTuple):
    """A journey or a saved audience that names a thing."""

    kind: UserKind
    id: UUID
    name: str


def in_use(thing: str, users: Sequence[User], otherwise: str = BY_FORCE) -> FailedPrecondition:
    """The refusal to let a thing (as people call it) go that others use; `otherwise`: what else the caller may do."""
    listed = ", ".join(f"{user.kind.name.lower().replace('_', ' ')} {user.id}" for user in users)
    return FailedPrecondition(
        "IN_USE",
        f"{thing} is used by {listed}: take it out of them first, or {otherwise}",
        metadata={"used_by": listed},
    )
