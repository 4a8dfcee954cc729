"""People to whom a channel delivers no marketing for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.retention import Cutoffs
from services.channel_gateway.domain.content import TemplateContent
from services.channel_gateway.domain.hearsay import ChannelPerson
from services.channel_gateway.domain.model import Send
from services.channel_gateway.domain.prepare import Prepared
from services.channel_gateway.store.book import QUERIES, columns

LIMITED_DAYS: Final = 1
"""A person gets no marketing for so long after the channel refused some."""


class LimitStore:
    """Who is limited."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def note(self, team_id: UUID, limited: Mapping[ChannelPerson, datetime]) -> None:
        """Notes people, each with the time at which the channel said so."""
        channels, external_ids, times = columns(((*each, at) for each, at in sorted(limited.items())), 3)
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "note_limited", team_id=team_id, channels=channels, external_ids=external_ids, times=times
                )
            )

    async def forget(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes up to `row_max` who are limited no more; how many."""
        query = QUERIES.bind("forget_limits", noted_before=cutoffs.others, row_max=row_max)
        return int(await self._pool.fetchval(*query))


async def find_limited(
    connection: Connection, live: Sequence[tuple[Send, Prepared]], now: datetime
) -> set[tuple[UUID, int, str, UUID]]:
    """Team, channel, the person's id and the template of the sends that are marketing to somebody who is limited."""
    asked = {
        (send.team_id, int(send.channel), prepared.recipient, send.content.template_id)
        for send, prepared in live
        if isinstance(send.content, TemplateContent)
    }
    if not asked:
        return set()
    teams, channels, external_ids, template_ids = columns(sorted(asked), 4)
    rows = await connection.fetch(
        *QUERIES.bind(
            "find_limited",
            teams=teams,
            channels=channels,
            external_ids=external_ids,
            template_ids=template_ids,
            since=now - timedelta(days=LIMITED_DAYS),
        )
    )
    return {tuple(row) for row in rows}
