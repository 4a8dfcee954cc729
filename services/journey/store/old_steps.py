"""Steps of enrolments that ended, of teams that say how long they keep them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.ids import PARTITIONS
from services.journey.store.book import BOOK
from services.journey.store.persons import COMMITS_MAX, bare_records

_NOBODY: Final = UUID(int=0)


class StepPlace(NamedTuple):
    """The last enrolment of a team that was looked at."""

    partition: int = 0
    customer_id: UUID = _NOBODY
    enrolment_id: UUID = _NOBODY


class OldStepStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def forget(
        self, team_id: UUID, after: StepPlace, before: datetime, row_max: int
    ) -> tuple[int, StepPlace | None]:
        """Looks at the next `row_max` enrolments of a team at most, and forgets the steps of those that ended before a
        time: of how many, and where to go on, None at the end."""
        query = BOOK.bind("enrolments_with_steps", team_id=team_id, **after._asdict(), row_max=row_max)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
            old = [row for row in rows if row["ended"] and row["updated_at"] < before and row["commit_keys"]]
            if old:
                await _forget(connection, team_id, old)
        if len(rows) == row_max:
            last = rows[-1]
            return len(old), StepPlace(last["partition"], last["customer_id"], last["enrolment_id"])
        following = after.partition + 1
        return len(old), StepPlace(following) if following < PARTITIONS else None


async def _forget(connection: Connection, team_id: UUID, old: list[Any]) -> None:
    own = {row["enrolment_id"].bytes for row in old}
    commits = sorted({commit for row in old for commit in row["commit_keys"]})
    for first in range(0, len(commits), COMMITS_MAX):
        await bare_records(connection, team_id, commits[first : first + COMMITS_MAX], own)
    keys = {name: [row[name] for row in old] for name in ("partition", "customer_id", "enrolment_id")}
    await connection.execute(
        *BOOK.bind(
            "forget_steps",
            team_id=team_id,
            partitions=keys["partition"],
            customers=keys["customer_id"],
            enrolments=keys["enrolment_id"],
        )
    )
