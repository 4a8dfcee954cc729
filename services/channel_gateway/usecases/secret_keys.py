"""The keys that secrets are sealed with: what each seals, and the change to the present one."""

from __future__ import annotations

from typing import NamedTuple

from libs.common.db.pool import Connection, Pool
from services.channel_gateway.store.resealing import ResealStore
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.usecases.call import Call, Reply, once
from services.channel_gateway.worker.resealing import Resealing


class KeyUse(NamedTuple):
    """A key, and how much it seals."""

    key_id: bytes | None
    """Its name; None: of no key, the secrets in clear."""
    configured: bool
    """Whether this process can open what it seals."""
    present: bool
    """Whether it seals what is written now."""
    row_count: int


class SecretKeys:
    """Shows keys, and starts rotations."""

    def __init__(self, pool: Pool, vault: Vault, store: ResealStore, resealing: Resealing) -> None:
        """`resealing` does the work."""
        self._pool = pool
        self._ring = vault.ring
        self._store = store
        self._resealing = resealing

    async def uses(self) -> list[KeyUse]:
        """All keys that are configured or seal something, the present one first."""
        counts = await self._store.keys()
        configured = sorted(self._ring.key_ids - {self._ring.present_id})
        others = sorted(key for key in counts if key is not None and key not in self._ring.key_ids)
        uses = [
            KeyUse(key, key in self._ring.key_ids, key == self._ring.present_id, counts.get(key, 0))
            for key in (self._ring.present_id, *configured, *others)
        ]
        clear = counts.get(None, 0)
        return [*uses, KeyUse(None, configured=True, present=False, row_count=clear)] if clear else uses

    async def rotate(self, call: Call[list[KeyUse], Reply]) -> Reply:
        """Has everything sealed with the present key; answers how it stands before that."""

        async def note(_: Connection) -> list[KeyUse]:
            return await self.uses()

        reply = await once(self._pool, call, note)
        self._resealing.wake()
        return reply
