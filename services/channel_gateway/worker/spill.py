"""Sends that do not fit into memory: they stay in the table as they are, and are read again when their lane has room.
No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Final, NamedTuple
from uuid import UUID

REFILL_MAX: Final = 10_000
"""Sends read again in one go."""

AccountKey = tuple[UUID, UUID]
"""Team, account."""


class Refill(NamedTuple):
    """An account whose lane has room for so many of its sends."""

    account: AccountKey
    room: int


class Spill:
    """Which accounts of a process have sends that lie in the table only."""

    def __init__(self, lane_max: int) -> None:
        """`lane_max` sends of an account may wait in memory."""
        self._lane_max = lane_max
        self.accounts: set[AccountKey] = set()

    def keeps_out(self, account: AccountKey, lane: Sized) -> bool:
        """Whether a further send stays in the table: no room, or others lie there, which came first."""
        if account not in self.accounts and len(lane) < self._lane_max:
            return False
        self.accounts.add(account)
        return True

    def refills(self, lanes: Mapping[AccountKey, Sized]) -> list[Refill]:
        """Accounts to be read again: those of which half a lane is free."""
        waiting = {account: len(lanes[account]) for account in self.accounts}
        return [
            Refill(account, min(REFILL_MAX, self._lane_max - count))
            for account, count in waiting.items()
            if count <= self._lane_max // 2
        ]

    def emptied(self, account: AccountKey) -> None:
        """Nothing of the account lies in the table only."""
        self.accounts.discard(account)
