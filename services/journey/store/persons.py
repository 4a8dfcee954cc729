"""What journey holds of a person, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.feeds.journey_records import Record, RunSegmentFact, pack_record, read_record
from libs.common.ids import CustomerKey
from services.journey.domain.views import StoredEnrolment
from services.journey.store.book import BOOK

COMMITS_MAX: Final = 1_000
"""Records read at once, up to some 25 kB each."""


class PersonStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def blank_notes(self, key: CustomerKey) -> None:
        """Empties what people noted when they ended enrolments of the customer."""
        query = BOOK.bind("blank_notes", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)

    async def bare_steps(self, key: CustomerKey, enrolments: Sequence[StoredEnrolment]) -> None:
        """Takes out of the records of these enrolments what conditions saw. Some may stand under the id of a customer
        who was merged into this one."""
        own = {each.enrolment.enrolment_id.bytes for each in enrolments}
        commits = sorted({commit for each in enrolments for commit in each.commits})
        for first in range(0, len(commits), COMMITS_MAX):
            async with transaction(self.pool, [key[0]]) as connection:
                await bare_records(connection, key[0], commits[first : first + COMMITS_MAX], own)

    async def last_own_number(self, key: CustomerKey) -> int:
        """Number of the last mail that this service made for the customer; 0 for none."""
        query = BOOK.bind("last_own_number", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            return int(await connection.fetchval(*query) or 0)


async def bare_records(
    connection: Connection, team_id: UUID, commits: Sequence[int], enrolments: Set[bytes]
) -> None:
    """Takes out of the records of commits what conditions of these enrolments saw."""
    query = BOOK.bind("record_bodies", team_id=team_id, commit_keys=list(commits))
    rows = await connection.fetch(*query)
    changed = [
        (row["shard"], row["position"], pack_record(bare))
        for row in rows
        if (bare := without_seen(record := read_record(row["body"]), enrolments)) != record
    ]
    if changed:
        shards, positions, bodies = map(list, zip(*changed, strict=True))
        query = BOOK.bind("replace_records", shards=shards, positions=positions, bodies=bodies)
        await connection.execute(*query)


def without_seen(record: Record, enrolments: Set[bytes]) -> Record:
    """A record that says of the steps of some enrolments what they came to, and not what was seen."""
    return replace(
        record,
        facts=[
            replace(fact, steps=[replace(step, seen="") for step in fact.steps])
            if isinstance(fact, RunSegmentFact) and fact.enrolment_id in enrolments
            else fact
            for fact in record.facts
        ],
    )
