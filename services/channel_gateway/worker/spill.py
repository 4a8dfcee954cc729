"""Sends that do not fit into memory: they stay in the table as they are, and are read again when their lane has room.
No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Final, NamedTuple, Protocol
from uuid import UUID

REFILL_MAX: Final = 10_000
"""Sends read again in one go."""

PART_OF_LANE: Final = 16
"""A journey may have this part of a lane in memory however full the lane is, twice the lane's sends in all."""

AccountKey = tuple[UUID, UUID]
"""Team, account."""


class Line(Sized, Protocol):
    """Sends of an account that wait in memory."""

    def waiting_of(self, journey_id: UUID) -> int:
        """Those of a journey."""
        ...


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
        self._journeys: dict[AccountKey, set[UUID]] = {}
        """Journeys of which sends lie in the table only."""

    def keeps_out(self, account: AccountKey, lane: Line, journey_id: UUID) -> bool:
        """Whether a further send stays in the table: no room, or others of its journey lie there, which came first."""
        if account not in self.accounts and len(lane) < self._lane_max:
            return False
        journeys = self._journeys.setdefault(account, set())
        part = max(1, self._lane_max // PART_OF_LANE)
        has_room = len(lane) < 2 * self._lane_max and lane.waiting_of(journey_id) < part
        if has_room and account in self.accounts and journey_id not in journeys:
            return False
        self.accounts.add(account)
        journeys.add(journey_id)
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
        self._journeys.pop(account, None)
