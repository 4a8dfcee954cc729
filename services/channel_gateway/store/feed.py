"""Reading the history: mail for the relay and for repairs, and the feed of other services.

The facts of the release before are rows by partition, those of this one records by shard. A shard's records lie beyond
all older rows of its partitions, whose last positions are known from the first read on: the older rows are read to
their end first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.db.reading import read_alone, read_rows
from libs.common.feeds.notifier import PAGE_MAX
from libs.common.feeds.records import SHARDS, shard_of
from libs.common.ids import partition_of
from libs.common.mailbox.mail import Mail
from services.channel_gateway.domain.facts import FactKind
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.mails import mails_of_old_facts, mails_of_records

_READS_MAX: Final = 20
"""Pages that are looked at for content that is gone before a caller goes on from where that led."""
RECORDS_MAX: Final = 100
"""Records read at once for their mail: few or hundreds of mails each."""


class FeedStore:
    """The history as others read it."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool
        self._old_ends: dict[int, int] = {}
        """By shard; empty: not asked yet."""
        self._without_mail: dict[int, tuple[int, int]] = {}
        """By partition a position, and the one up to which no record after it holds mail of the partition: a partition
        without mail shares its shard with others, and its cursor stays where it is."""

    async def page(self, cursors: Mapping[int, int], row_max: int) -> tuple[list[Any], dict[int, int]]:
        """One page of rows after the cursors, each a `GatewayRow` by its values, and the cursors to go on from.

        Facts of the release before lie in their partitions, the records of a shard beyond these, in the partition of
        the shard's number.
        """
        most = min(row_max, PAGE_MAX)
        following = dict(cursors)
        rows: list[Any] = []
        if old := await self._unfinished(cursors):
            rows = await self._old_facts("feed_old_facts", old, most)
            following.update((row["partition"], row["position"]) for row in rows)
            if len(rows) == most:
                return rows, following
            following.update(self._finished(following, old))
        shards = {p: at for p, at in following.items() if p < SHARDS}
        if shards:
            records = await self._records("feed_records", shards, most - len(rows))
            following.update((row["partition"], row["position"]) for row in records)
            rows = [*rows, *records]
        return rows, following

    async def content_page(self, cursors: Mapping[int, int]) -> tuple[list[Any], dict[int, int]]:
        """As `page`, of rows that tell of content that is gone; the cursors move over all others, too."""
        following = dict(cursors)
        if old := await self._unfinished(cursors):
            rows = await self._old_facts("feed_old_facts", old, PAGE_MAX)
            following.update((row["partition"], row["position"]) for row in rows)
            gone = [row for row in rows if row["kind"] == FactKind.CONTENT_GONE]
            if len(rows) < PAGE_MAX:
                following.update(self._finished(following, old))
            return gone, following
        shards = {p: at for p, at in following.items() if p < SHARDS}
        for _ in range(_READS_MAX if shards else 0):
            looked_at = await self._records("feed_content_records", shards, PAGE_MAX)
            reached = {row["partition"]: row["position"] for row in looked_at}
            gone = [row for row in looked_at if row["team"] is not None]
            following |= reached
            if gone or not any(at == shards[shard] + PAGE_MAX for shard, at in reached.items()):
                return gone, following
            shards |= reached
        return [], following

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        """Mail after the cursors, in order within each partition; fewer than `limit`: there is no more. All mail of a
        record comes at once, so there may be some more than `limit`."""
        following = dict(cursors)
        mails: list[Mail] = []
        while old := await self._unfinished(following):
            rows = await self._old_facts("read_old_facts", old, PAGE_MAX)
            mails += mails_of_old_facts(rows)
            if len(mails) >= limit:
                # None of the release before is after its shard's records: these are read when the cursors are there.
                return mails
            following.update((row["partition"], row["position"]) for row in rows)
            if len(rows) < PAGE_MAX:
                following.update(self._finished(following, old))
        return mails + await self._mail_in_records(following, limit - len(mails))

    async def _mail_in_records(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        shards: dict[int, int] = {}
        for partition, at in cursors.items():
            shard = shard_of(partition)
            after, looked_at = self._without_mail.get(partition, (at, at))
            start = looked_at if after == at else at
            shards[shard] = min(start, shards.get(shard, start))
        mails: list[Mail] = []
        while len(mails) < limit:
            records = await self._records("read_records", shards, RECORDS_MAX)
            mails += (
                mail
                for mail in mails_of_records(records)
                if mail.position > cursors.get(mail.partition, mail.position)
            )
            shards.update((row["shard"], row["position"]) for row in records)
            if len(records) < RECORDS_MAX:
                break
        last = {**cursors, **{mail.partition: mail.position for mail in mails}}
        self._without_mail.update((p, (at, max(at, shards[shard_of(p)]))) for p, at in last.items())
        return mails

    async def customer_mail(
        self, team_id: UUID, customer_id: UUID, after_number: int, limit: int
    ) -> list[Mail]:
        """A customer's mail after a number, in order."""
        asked = {
            "team_id": team_id,
            "customer_id": customer_id,
            "after_number": after_number,
            "most": limit,
        }
        shard = shard_of(partition_of(team_id, customer_id))
        async with transaction(self._pool, [team_id]) as connection:
            old = await read_rows(connection, *QUERIES.bind("read_old_customer_mail", **asked))
            records = await connection.fetch(*QUERIES.bind("read_customer_records", shard=shard, **asked))
        mails = mails_of_old_facts(old)
        mails += (
            mail
            for mail in mails_of_records(records)
            if mail.customer_id == customer_id and mail.number > after_number
        )
        return mails[:limit]

    async def load_cursors(self) -> dict[int, int]:
        """How far the relay has delivered."""
        rows = await self._pool.fetch(QUERIES["load_mail_cursors"])
        return {row["partition"]: row["position"] for row in rows}

    async def save_cursors(self, cursors: Mapping[int, int]) -> None:
        """Keeps how far the relay has delivered; never moves back."""
        await self._pool.execute(
            *QUERIES.bind(
                "save_mail_cursors", partitions=list(cursors.keys()), positions=list(cursors.values())
            )
        )

    async def _unfinished(self, cursors: Mapping[int, int]) -> dict[int, int]:
        """Those of partitions that may have rows of the release before after their cursors."""
        if not self._old_ends:
            rows = await self._pool.fetch(QUERIES["open_shards"], list(range(SHARDS)))
            self._old_ends = {row["shard"]: row["old_end"] for row in rows}
        return {p: at for p, at in cursors.items() if at < self._old_ends[shard_of(p)]}

    def _finished(self, cursors: Mapping[int, int], partitions: Iterable[int]) -> dict[int, int]:
        """The cursors of partitions of which nothing of the release before is left."""
        return {p: max(cursors[p], self._old_ends[shard_of(p)]) for p in partitions}

    async def _old_facts(self, query: str, cursors: Mapping[int, int], row_max: int) -> list[Any]:
        asked = {"partitions": list(cursors.keys()), "positions": list(cursors.values()), "most": row_max}
        return await read_alone(self._pool, *QUERIES.bind(query, **asked))

    async def _records(self, query: str, shards: Mapping[int, int], row_max: int) -> list[Any]:
        asked = {"shards": list(shards.keys()), "positions": list(shards.values()), "most": row_max}
        return await read_alone(self._pool, *QUERIES.bind(query, **asked))
