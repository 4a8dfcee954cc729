"""Keys of pixels, kept in memory for a moment."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from services.channel_gateway.domain.views import PixelKey
from services.channel_gateway.store.pixels import PixelStore
from services.channel_gateway.worker.kept import Kept

KEY_CACHE_S: Final = 2.0
"""A key that was ended takes effect within this, in every process."""
KEY_CACHE_MAX: Final = 10_000
LOOKS_MAX: Final = 3
"""Keys looked up at once: ids that were made up leave connections to the database to others."""


class PixelKeys:
    """Keys that pages may use."""

    def __init__(self, store: PixelStore) -> None:
        """None kept yet."""
        self._store = store
        self._kept: Kept[tuple[UUID, UUID], PixelKey | None] = Kept(
            KEY_CACHE_S, keys_max=KEY_CACHE_MAX, reads_max=LOOKS_MAX
        )

    async def of(self, team_id: UUID, key_id: UUID) -> PixelKey | None:
        """A usable key; None for one that is not there, has ended or whose shop takes nothing. Raises Unavailable."""
        return await self._kept.of((team_id, key_id), lambda: self._store.usable_key(team_id, key_id))

    def forget(self, team_id: UUID, key_id: UUID) -> None:
        """Has it read again the next time."""
        self._kept.forget((team_id, key_id))
