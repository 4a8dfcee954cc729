"""Taking texts of messages out of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from libs.common.db.pool import Pool, transaction
from services.segment.domain.facts import TAGS, Fact, MessageTaken, encode_body
from services.segment.domain.views import FactPage
from services.segment.store.base import BOOK
from services.segment.store.history import read_facts

_TAGS: Final = (TAGS[MessageTaken],)


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
        return await read_facts(self._pool, cursors, row_max, tags=_TAGS)

    async def forget(self, facts: Sequence[Fact], cursors: Mapping[int, int]) -> None:
        """Takes the texts of facts of messages out, and moves the cursors, together."""
        ordered = sorted(facts, key=lambda fact: (fact.partition, fact.position))
        bare = [
            msgspec.structs.replace(fact.body, text="")
            for fact in ordered
            if isinstance(fact.body, MessageTaken)
        ]
        async with transaction(self._pool, sorted({fact.team_id for fact in ordered})) as connection:
            await connection.execute(
                *BOOK.bind(
                    "replace_bodies",
                    partitions=[fact.partition for fact in ordered],
                    positions=[fact.position for fact in ordered],
                    before=[encode_body(fact.body) for fact in ordered],
                    after=[encode_body(body) for body in bare],
                )
            )
            await connection.execute(*BOOK.bind("save_text_cursors", cursors=list(cursors.items())))
