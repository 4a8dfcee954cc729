"""How many people opened messages, as channels told it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, snapshot, transaction
from omnijourney.common.v1 import channel_pb2
from services.stats.domain.model import NO_JOURNEY, Metric
from services.stats.domain.opens import ASK_AGAIN, TEAM_CALLS_MAX, Opened, OpensKey, windows_at
from services.stats.store.base import BOOK

_HOUR: Final = timedelta(hours=1)


class OpensStore:
    """Questions and answers."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def claim(self, now: datetime, row_max: int) -> Sequence[OpensKey]:
        """Nodes of all teams to be asked about now, up to `row_max`; they are taken as asked."""
        windows = windows_at(now)
        query = BOOK.bind(
            "claim_opens",
            present=now,
            again=now - ASK_AGAIN,
            hour=now - _HOUR,
            starts=[start for start, _ in windows],
            ends=[end for _, end in windows],
            sent=Metric.MESSAGES_SENT,
            on_channel=channel_pb2.CHANNEL_LINE,
            no_journey=NO_JOURNEY,
            team_max=TEAM_CALLS_MAX,
            row_max=row_max,
        )
        return [OpensKey(*row) for row in await self._pool.fetch(*query)]

    async def keep(self, key: OpensKey, people: int | None, at: datetime) -> None:
        """What a channel told at `at`."""
        query = BOOK.bind("keep_opens", **key._asdict(), person_count=people, answered_at=at)
        async with transaction(self._pool, [key.team_id]) as connection:
            await connection.execute(*query)

    async def of_journey(self, team_id: UUID, journey_id: UUID) -> dict[str, Opened]:
        """What was told of a journey's nodes, by node."""
        query = BOOK.bind("opens_of_journey", team_id=team_id, journey_id=journey_id)
        async with snapshot(self._pool, [team_id]) as connection:
            return {row["node_id"]: Opened(row["person_count"]) for row in await connection.fetch(*query)}
