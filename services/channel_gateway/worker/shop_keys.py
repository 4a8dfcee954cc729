"""Signing keys of shops, kept in memory for a moment."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.kept import Kept

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
        self._kept: Kept[tuple[UUID, str], list[bytes]] = Kept(
            KEY_CACHE_S, keys_max=KEY_CACHE_MAX, reads_max=LOOKS_MAX
        )

    async def of(self, team_id: UUID, shop_id: str) -> list[bytes]:
        """Valid keys of a shop; none for one that does not exist or is disabled. Raises Unavailable."""
        return await self._kept.of(
            (team_id, shop_id), lambda: self._store.shop_keys(team_id, shop_id, self._clock.now())
        )

    def forget(self, team_id: UUID, shop_id: str) -> None:
        """Has the shop's keys read again the next time."""
        self._kept.forget((team_id, shop_id))
