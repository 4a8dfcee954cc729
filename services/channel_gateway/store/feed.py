"""Reading the history: feeds of other services, and mail for repairs and for the relay."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.db.reading import read_alone, read_rows
from libs.common.feeds.notifier import PAGE_MAX
from libs.common.mailbox.mail import Mail
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.facts import mails_of


class FeedStore:
    """The history as others read it."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def page(self, cursors: Mapping[int, int], row_max: int) -> tuple[list[Any], dict[int, int]]:
        """One page of rows after the cursors, each a `GatewayRow` by its values, and the cursors to go on from."""
        return await self._read("read_feed", cursors, row_max)

    async def _read(
        self, query: str, cursors: Mapping[int, int], row_max: int
    ) -> tuple[list[Any], dict[int, int]]:
        rows = await read_alone(
            self._pool,
            *QUERIES.bind(
                query,
                partitions=list(cursors.keys()),
                positions=list(cursors.values()),
                most=min(row_max, PAGE_MAX),
            ),
        )
        following = dict(cursors)
        following.update((row["partition"], row["position"]) for row in rows)
        return rows, following

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        """Up to `limit` mails after the cursors, in order of partition and position; fewer: there are no more."""
        mails: list[Mail] = []
        following = dict(cursors)
        while True:
            rows, following = await self._read("read_history", following, PAGE_MAX)
            mails += mails_of(rows)
            if len(rows) < PAGE_MAX or len(mails) >= limit:
                return mails[:limit]

    async def customer_mail(
        self, team_id: UUID, customer_id: UUID, after_number: int, limit: int
    ) -> list[Mail]:
        """A customer's mail after a number, in order."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await read_rows(
                connection,
                *QUERIES.bind(
                    "read_customer_mail",
                    team_id=team_id,
                    customer_id=customer_id,
                    after_number=after_number,
                    most=limit,
                ),
            )
        return mails_of(rows)

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
