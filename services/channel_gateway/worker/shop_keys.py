"""Signing keys of shops, kept in memory for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from services.channel_gateway.store.inbox import InboxStore

KEY_CACHE_S: Final = 2.0
"""A key that was added or ended takes effect within this, in every process."""
KEY_CACHE_MAX: Final = 10_000
"""Shops whose keys are kept."""
LOOKS_MAX: Final = 3
"""Shops looked up at once: ids that were made up leave connections to the database to others."""


class ShopKeys:
    """Signing keys of shops, kept for a moment."""

    def __init__(self, store: InboxStore, clock: Clock) -> None:
        """None kept yet."""
        self._store = store
        self._clock = clock
        self._kept: dict[tuple[UUID, str], tuple[float, list[bytes]]] = {}
        self._looks = asyncio.Semaphore(LOOKS_MAX)

    async def of(self, team_id: UUID, shop_id: str) -> list[bytes]:
        """Valid keys of a shop; none for one that does not exist or is disabled. Raises Unavailable."""
        now_s = time.monotonic()
        kept = self._kept.get((team_id, shop_id))
        if kept is not None and now_s - kept[0] < KEY_CACHE_S:
            return kept[1]
        async with self._looks:
            keys = await self._store.shop_keys(team_id, shop_id, self._clock.now())
        if len(self._kept) >= KEY_CACHE_MAX:
            self._kept.clear()
        self._kept[team_id, shop_id] = (now_s, keys)
        return keys

    def forget(self, team_id: UUID, shop_id: str) -> None:
        """Has the shop's keys read again the next time."""
        self._kept.pop((team_id, shop_id), None)
