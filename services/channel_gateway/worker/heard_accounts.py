"""Accounts of teams, with the secrets that sign their channels' webhooks, kept in memory for a moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from services.channel_gateway.domain.model import Account
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.kept import Kept

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
        self._kept: Kept[UUID, Mapping[UUID, Account]] = Kept(
            ACCOUNT_CACHE_S, keys_max=TEAMS_MAX, reads_max=LOOKS_MAX
        )

    async def of(self, team_id: UUID) -> Mapping[UUID, Account]:
        """A team's accounts by their ids; none for an unknown one. Raises Unavailable."""
        return await self._kept.of(team_id, lambda: self._read(team_id))

    async def _read(self, team_id: UUID) -> Mapping[UUID, Account]:
        found = await self._store.heard_accounts(team_id, ACCOUNTS_MAX)
        return {account.account_id: account for account in found}

    def forget(self, team_id: UUID) -> None:
        """Has the team's accounts read again the next time."""
        self._kept.forget(team_id)
