"""Saved audiences by what is in them: asked before a tag or an attribute goes."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.audience.expressions import names
from libs.common.db.pool import Connection
from services.segment.domain.uses import USERS_SHOWN, User, UserKind
from services.segment.store.audiences import list_audiences
from services.segment.usecases.memberships import read_saved

_AUDIENCES_READ: Final = 500


async def naming_audiences(
    connection: Connection, team_id: UUID, *, tag: str = "", attribute_key: str = ""
) -> list[User]:
    """The first saved audiences that name a tag (folded) or an attribute."""
    users: list[User] = []
    after: UUID | None = None
    while True:
        rows = await list_audiences(connection, team_id, after, _AUDIENCES_READ)
        read = read_saved(rows)
        users += [
            User(UserKind.SAVED_AUDIENCE, each.audience_id, each.name)
            for each in rows
            if (found := read.get(str(each.audience_id)))
            and names(found, tag=tag, attribute_key=attribute_key)
        ]
        if len(rows) < _AUDIENCES_READ or len(users) >= USERS_SHOWN:
            return users[:USERS_SHOWN]
        after = rows[-1].audience_id
