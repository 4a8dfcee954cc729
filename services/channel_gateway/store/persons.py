"""What the gateway holds of a person, in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.ids import CustomerKey
from services.channel_gateway.domain.persons import Wanted
from services.channel_gateway.store.book import QUERIES

SENDS_MAX: Final = 5_000
"""Sends of a team that one step looks at; rows of other kinds likewise."""
WEBHOOKS_MAX: Final = 1_000
BODIES_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bodies read at once, unless one alone is larger."""
NO_ID: Final = UUID(int=0)
WebhookName = tuple[int, str, str]
"""Source, origin and id of a webhook that came in."""


class Sends(NamedTuple):
    """Of a page of a team's sends: the last, None at the end; those to the customer; whether one of these goes on."""

    last: UUID | None
    own: Sequence[UUID]
    goes_on: bool


class PersonStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def has_webhooks(self, team_id: UUID, before: datetime) -> bool:
        """Whether webhooks of the team wait that came before a time."""
        query = QUERIES.bind("has_webhooks_before", team_id=team_id, before=before)
        async with transaction(self.pool, [team_id]) as connection:
            return bool(await connection.fetchval(*query))

    async def remove(self, key: CustomerKey, identifiers: Sequence[str]) -> None:
        """Removes what they said and when they were heard."""
        await self._run("remove_person", key[0], customer_id=key[1], identifiers=list(identifiers))

    async def sends(self, key: CustomerKey, after: UUID) -> Sends:
        """The next sends of the team."""
        query = QUERIES.bind(
            "sends_of_person", team_id=key[0], customer_id=key[1], after=after, row_max=SENDS_MAX
        )
        async with transaction(self.pool, [key[0]]) as connection:
            row = await connection.fetchrow(*query)
        assert row is not None
        return Sends(row["last"] if row["looked_at"] == SENDS_MAX else None, row["own"], row["goes_on"])

    async def blank_sends(self, team_id: UUID, effect_keys: Sequence[UUID]) -> None:
        """Takes contents and recipients out of sends that are settled."""
        await self._run("blank_sends", team_id, effect_keys=list(effect_keys))

    async def remove_targets(self, team_id: UUID, texts: Sequence[str], after: bytes) -> bytes | None:
        """Removes of the next addresses of links those that hold one of the texts; the last, None at the end."""
        query = QUERIES.bind(
            "remove_targets", team_id=team_id, texts=list(texts), after=after, row_max=SENDS_MAX
        )
        async with transaction(self.pool, [team_id]) as connection:
            last: bytes | None = await connection.fetchval(*query)
        return last

    async def blank_webhooks(
        self, team_id: UUID, wanted: Wanted, before: datetime, after: WebhookName
    ) -> WebhookName | None:
        """Empties of the next webhooks that came in before a time those that tell of the person; the last, None at the
        end."""
        source, origin, webhook_id = after
        name = {"source": source, "origin": origin, "webhook_id": webhook_id}
        query = QUERIES.bind("webhooks_after", team_id=team_id, before=before, row_max=WEBHOOKS_MAX, **name)
        async with transaction(self.pool, [team_id]) as connection:
            rows = _fitting(await connection.fetch(*query))
            old = [row["sequence"] for row in rows if row["is_old"]]
            query = QUERIES.bind("bodies_of_webhooks", team_id=team_id, sequences=old)
            bodies = await connection.fetch(*query)
        named = await asyncio.to_thread(
            lambda: [row["sequence"] for row in bodies if wanted.is_in(row["body"])]
        )
        if named:
            await self._run("blank_webhooks", team_id, sequences=named)
        return (rows[-1]["source"], rows[-1]["origin"], rows[-1]["webhook_id"]) if rows else None

    async def remove_outgoing(
        self, team_id: UUID, texts: Sequence[str], after: tuple[UUID, UUID]
    ) -> tuple[UUID, UUID] | None:
        """Removes of the next webhooks that go out those that tell of the person; the last, None at the end."""
        query = QUERIES.bind(
            "remove_outgoing",
            team_id=team_id,
            texts=list(texts),
            subscription_id=after[0],
            webhook_id=after[1],
            row_max=WEBHOOKS_MAX,
        )
        async with transaction(self.pool, [team_id]) as connection:
            row = await connection.fetchrow(*query)
        return None if row is None else (row["subscription_id"], row["webhook_id"])

    async def consents(self, key: CustomerKey, identifiers: Sequence[str]) -> list[dict[str, Any]]:
        """What was said of messages, by them and of them."""
        query = QUERIES.bind(
            "read_consents_of_person", team_id=key[0], customer_id=key[1], identifiers=list(identifiers)
        )
        return await self._rows(key[0], query)

    async def read_sends(self, team_id: UUID, effect_keys: Sequence[UUID]) -> list[dict[str, Any]]:
        """Sends with their contents."""
        query = QUERIES.bind("read_sends_of_person", team_id=team_id, effect_keys=list(effect_keys))
        return await self._rows(team_id, query)

    async def clicks(self, team_id: UUID, effect_keys: Sequence[UUID]) -> list[dict[str, Any]]:
        """Openings of links in sends, by people."""
        query = QUERIES.bind("read_clicks_of_sends", team_id=team_id, effect_keys=list(effect_keys))
        return await self._rows(team_id, query)

    async def _rows(self, team_id: UUID, query: tuple[Any, ...]) -> list[dict[str, Any]]:
        async with transaction(self.pool, [team_id]) as connection:
            return [dict(row) for row in await connection.fetch(*query)]

    async def _run(self, name: str, team_id: UUID, **fields: Any) -> None:
        async with transaction(self.pool, [team_id]) as connection:
            await connection.execute(*QUERIES.bind(name, team_id=team_id, **fields))


def _fitting(rows: Sequence[Any]) -> Sequence[Any]:
    """As many of the first rows as fit, and one at least."""
    size = 0
    for place, row in enumerate(rows):
        size += row["size"] if row["is_old"] else 0
        if place and size > BODIES_BYTES_MAX:
            return rows[:place]
    return rows
