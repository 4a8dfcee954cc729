"""Accounts of teams, with the secrets that sign their channels' webhooks, kept in memory for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from services.channel_gateway.domain.model import Account
from services.channel_gateway.store.inbox import InboxStore

ACCOUNT_CACHE_S: Final = 2.0
"""A secret that was added or ended takes effect within this, in every process."""
TEAMS_MAX: Final = 1_000
"""Teams whose accounts are kept."""
ACCOUNTS_MAX: Final = 1_000
"""Accounts of a team that are heard, the oldest."""
LOOKS_MAX: Final = 3
"""Teams looked up at once: ids that were made up leave connections to the database to others."""


class HeardAccounts:
    """Accounts of teams, kept for a moment."""

    def __init__(self, store: InboxStore) -> None:
        """None kept yet."""
        self._store = store
        self._kept: dict[UUID, tuple[float, Mapping[UUID, Account]]] = {}
        self._looks = asyncio.Semaphore(LOOKS_MAX)

    async def of(self, team_id: UUID) -> Mapping[UUID, Account]:
        """A team's accounts by their ids; none for an unknown one. Raises Unavailable."""
        now_s = time.monotonic()
        kept = self._kept.get(team_id)
        if kept is not None and now_s - kept[0] < ACCOUNT_CACHE_S:
            return kept[1]
        async with self._looks:
            found = await self._store.heard_accounts(team_id, ACCOUNTS_MAX)
        accounts = {account.account_id: account for account in found}
        if len(self._kept) >= TEAMS_MAX:
            self._kept.clear()
        self._kept[team_id] = (now_s, accounts)
        return accounts

    def forget(self, team_id: UUID) -> None:
        """Has the team's accounts read again the next time."""
        self._kept.pop(team_id, None)
