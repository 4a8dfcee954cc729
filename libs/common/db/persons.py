"""Taking a person out of what every service keeps alike: answers to request ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from libs.common.db.book import BOOK
from libs.common.db.pool import Pool, transaction

ANSWERS_MAX: Final = 2_000
"""Answers that one step looks at."""


async def erase_answers(pool: Pool, team_id: UUID, after: str, texts: Sequence[str]) -> str | None:
    """Empties the answers of the next request ids after one that hold one of `texts` (`libs.common.persons.searched`);
    the last id looked at, None at the end."""
    query = BOOK.bind(
        "erase_answers", team_id=team_id, after=after, row_max=ANSWERS_MAX, identifiers=list(texts)
    )
    async with transaction(pool, [team_id]) as connection:
        last: str | None = await connection.fetchval(*query)
    return last
