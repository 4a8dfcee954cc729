"""Sends that journeys await in vain."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.db.pool import Pool, transaction
from libs.common.feeds.records import shard_of
from libs.common.ids import partition_of
from services.channel_gateway.domain.model import AwaitedSend
from services.channel_gateway.store.book import QUERIES, columns


class LostSendStore:
    """Reads deliveries and mail as of one moment."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def find(self, sends: Sequence[AwaitedSend]) -> list[int]:
        """Places among `sends` of those that are neither under way nor told of after the number taken; rising."""
        team_ids, customer_ids, effect_keys, after_numbers = columns(sends, len(AwaitedSend._fields))
        async with transaction(self._pool, {send.team_id for send in sends}) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "lost_sends",
                    team_ids=team_ids,
                    customer_ids=customer_ids,
                    shards=[shard_of(partition_of(send.team_id, send.customer_id)) for send in sends],
                    effect_keys=effect_keys,
                    after_numbers=after_numbers,
                )
            )
        return [row["place"] for row in rows]
