"""Short links: their targets, their key, and what is known of one."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.retention import Cutoffs
from services.channel_gateway.domain.clicks import LinkClick, TrackedLink
from services.channel_gateway.domain.link_tokens import KEY_BYTES, LINK_ID_MAX, OpenedToken
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.vault import Vault

TargetKey = tuple[UUID, str]
"""Team and address."""
_DIGEST_BYTES: Final = 16


class LinkStore:
    """Reads and writes of links."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens the key."""
        self._pool = pool
        self._vault = vault

    async def key(self, *, is_used: bool) -> bytes:
        """The installation's key of tokens; made by whoever uses it first. Raises CannotOpen."""
        sealed = await self._pool.fetchval(QUERIES["find_link_key"])
        if sealed is None:
            own = secrets.token_bytes(KEY_BYTES)
            if not is_used:
                return own
            made = self._vault.sealed_link_key(own)
            await self._pool.execute(*QUERIES.bind("keep_link_key", sealed=made))
            sealed = await self._pool.fetchval(QUERIES["find_link_key"])
        return self._vault.link_key(sealed)

    async def numbers(self, targets: Collection[TargetKey], now: datetime) -> dict[TargetKey, int]:
        """The numbers of addresses, which are new or not."""
        rows = sorted((team_id, digest_of(url), url) for team_id, url in targets)
        teams, digests, urls = columns(rows, 3)
        async with transaction(self._pool, set(teams)) as connection:
            await connection.execute(
                *QUERIES.bind("note_targets", teams=teams, digests=digests, urls=urls, now=now)
            )
            found = await connection.fetch(*QUERIES.bind("find_targets", teams=teams, digests=digests))
        return {
            (row["team_id"], row["url"]): row["link_id"] for row in found if row["link_id"] <= LINK_ID_MAX
        }

    async def forget(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes openings, and links that were opened, of messages that teams sent before the cutoff; how many.
        Raises the driver's errors."""
        query = QUERIES.bind("forget_clicks", sent_before=cutoffs.others, row_max=row_max)
        forgotten: int = await self._pool.fetchval(*query)
        return forgotten

    async def find(self, team_id: UUID, token: OpenedToken) -> TrackedLink | None:
        """A link of the team; None where it has none of the token."""
        bounds = {"lowest": token.lowest, "highest": token.highest, "link_id": token.link_id}
        async with transaction(self._pool, [team_id]) as connection:
            sent = await connection.fetch(*QUERIES.bind("sent_link", team_id=team_id, **bounds))
            if len(sent) != 1:
                return None
            asked = {"effect_key": sent[0]["effect_key"], "link_id": token.link_id}
            opened = await connection.fetchrow(*QUERIES.bind("tracked_link", team_id=team_id, **asked))
        return _link(opened or sent[0])

    async def list_links(
        self,
        team_id: UUID,
        *,
        journey_id: UUID | None,
        effect_key: UUID | None,
        before: tuple[datetime, UUID, int] | None,
        limit: int,
    ) -> list[TrackedLink]:
        """Links that were opened, those opened last for the first time first."""
        at, key, link_id = before or (None, None, None)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_tracked_links",
                    team_id=team_id,
                    journey_id=journey_id,
                    effect_key=effect_key,
                    before_at=at,
                    before_key=key,
                    before_link=link_id,
                    most=limit,
                )
            )
        return [_link(row) for row in rows]

    async def list_clicks(self, link: TrackedLink, before: UUID | None, limit: int) -> Sequence[LinkClick]:
        """Openings of a link, newest first."""
        asked = {"effect_key": link.effect_key, "link_id": link.link_id, "before_id": before, "most": limit}
        async with transaction(self._pool, [link.team_id]) as connection:
            rows = await connection.fetch(*QUERIES.bind("list_clicks", team_id=link.team_id, **asked))
        return [LinkClick(*row) for row in rows]


def digest_of(url: str) -> bytes:
    """What an address is found by."""
    return hashlib.sha256(url.encode()).digest()[:_DIGEST_BYTES]


def _link(row: Any) -> TrackedLink:
    return TrackedLink(**{name: row[name] for name in TrackedLink._fields})
