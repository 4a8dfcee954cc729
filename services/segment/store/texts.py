"""Taking texts of messages out of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from services.segment.domain.facts import TAGS, Fact, MessageTaken, encode_body
from services.segment.domain.views import FactKey, FactPage
from services.segment.store.base import BOOK, fact_of
from services.segment.store.history import read_facts
from services.segment.store.old_facts import FIRST, passed

MESSAGE: Final = TAGS[MessageTaken]
"""The tag of messages in bodies."""


class TextStore:
    """Facts of messages. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which texts are gone."""
        rows = await self._pool.fetch(BOOK["load_text_cursors"])
        return {row["partition"]: row["position"] for row in rows}

    async def messages(self, cursors: Mapping[int, int], row_max: int) -> FactPage:
        """The next facts of messages, whatever they are kept for."""
        return await read_facts(self._pool, cursors, row_max, tags=(MESSAGE,))

    async def place(self, team_id: UUID) -> FactKey | None:
        """The last message of a team whose text is gone; None: none is."""
        async with transaction(self._pool, [team_id]) as connection:
            return await _place(connection, team_id)

    async def messages_of(
        self, team_id: UUID, after: FactKey | None, before: datetime, row_max: int
    ) -> list[Fact]:
        """The next messages of a team that occurred before a time."""
        time, partition, position = after or FIRST
        query = BOOK.bind(
            "read_messages_of_team",
            team_id=team_id,
            after_time=time,
            after_partition=partition,
            after_position=position,
            before=before,
            kind=MESSAGE,
            row_max=row_max,
        )
        async with transaction(self._pool, [team_id]) as connection:
            return [fact_of(row) for row in await connection.fetch(*query)]

    async def forget_of(
        self, team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey
    ) -> None:
        """Takes the texts of facts of messages of a team out, and moves the place, together. Others between the two
        places are noted as overdue. Nothing happens where the place is another one by now."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(BOOK["hold_places"])
            if await _place(connection, team_id) != after:
                return
            query = BOOK.bind("note_passed_texts", **passed(team_id, facts, after, place), kind=MESSAGE)
            await connection.execute(*query)
            await connection.execute(*bared(facts))
            time, partition, position = place
            query = BOOK.bind(
                "save_text_place", team_id=team_id, occur_time=time, partition=partition, position=position
            )
            await connection.execute(*query)

    async def forget(self, facts: Sequence[Fact], cursors: Mapping[int, int]) -> None:
        """Takes the texts of facts of messages out, and moves the cursors, together."""
        async with transaction(self._pool, sorted({fact.team_id for fact in facts})) as connection:
            await connection.execute(*bared(facts))
            await connection.execute(*BOOK.bind("save_text_cursors", cursors=list(cursors.items())))


def bared(facts: Sequence[Fact]) -> tuple[Any, ...]:
    """The statement that takes the texts of facts of messages out."""
    ordered = sorted(
        (fact for fact in facts if isinstance(fact.body, MessageTaken)),
        key=lambda fact: (fact.partition, fact.position),
    )
    bare = [
        msgspec.structs.replace(fact.body, text="") for fact in ordered if isinstance(fact.body, MessageTaken)
    ]
    return BOOK.bind(
        "replace_bodies",
        partitions=[fact.partition for fact in ordered],
        positions=[fact.position for fact in ordered],
        before=[encode_body(fact.body) for fact in ordered],
        after=[encode_body(body) for body in bare],
    )


async def _place(connection: Connection, team_id: UUID) -> FactKey | None:
    row = await connection.fetchrow(*BOOK.bind("load_text_place", team_id=team_id))
    return None if row is None else (row[0], row[1], row[2])
