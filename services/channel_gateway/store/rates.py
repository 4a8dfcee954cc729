"""What each process of the gateway may use of accounts' rates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, fetch_alone
from services.channel_gateway.store.book import QUERIES, columns


class Ask(NamedTuple):
    """A process's word on an account that it uses."""

    team_id: UUID
    account_id: UUID
    weight: int
    """Shares of processes are as their weights."""
    held: float
    """Sends a second that the process goes by at present."""


class Share(NamedTuple):
    """What the process may go by from now on."""

    place: int
    """Which ask it answers, from 1."""
    version: int
    """Of the account, deleted or not."""
    share: float
    """Sends a second."""


class RateStore:
    """Renews shares."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def renew(self, sender: UUID, asks: Sequence[Ask], length: timedelta) -> list[Share]:
        """Shares for `length` of real time, the server's. Raises the driver's errors."""
        teams, account_ids, weights, held = columns(asks, 4)
        query = QUERIES.bind(
            "share_rates",
            sender=sender,
            teams=teams,
            account_ids=account_ids,
            weights=weights,
            held=held,
            length=length,
        )
        return [Share(*row) for row in await fetch_alone(self._pool, *query)]
