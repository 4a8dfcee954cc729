"""How far this service has taken segment's history: what is followed, and what is mail to customers' actors."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import MailSource
from libs.common.rpc.followers import Taken
from services.journey.store.book import BOOK
from services.journey.store.references import FollowedSource

WAITING_MAX = 1_000
"""Customers of a team who are set aside; with more, nothing counts as taken."""
_NOBODY = UUID(int=0)


class FollowingStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def taken(self, team_id: UUID) -> Taken:
        """See `libs.common.rpc.followers.Reader`. Mail of customers who are set aside stays with segment."""
        query = BOOK.bind("list_parked", team_id=team_id, after=_NOBODY, limit=WAITING_MAX + 1)
        async with transaction(self._pool, [team_id]) as connection:
            parked = [row["customer_id"] for row in await connection.fetch(*query)]
        if len(parked) > WAITING_MAX:
            return Taken({})
        rows = await self._pool.fetch(*BOOK.bind("followed_cursors", source=FollowedSource.SEGMENT))
        followed = {row["partition"]: row["position"] for row in rows}
        query = BOOK.bind("load_checkpoints", partitions=list(range(PARTITIONS)))
        checkpoints = {
            row["partition"]: row["position"]
            for row in await self._pool.fetch(*query)
            if row["source"] == MailSource.SEGMENT
        }
        # Without a checkpoint no mail was seen taken.
        return Taken(followed, checkpoints or dict.fromkeys(followed, 0), parked)
