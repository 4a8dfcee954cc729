"""What each process of the gateway may use of accounts' rates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, fetch_alone
from services.channel_gateway.store.book import QUERIES, columns

HOLDS_MAX: Final = 500
"""Holds of an account that a renewal brings along, that of the whole account first."""


class Hold(NamedTuple):
    """What a channel asked of an account: to send nothing for a time."""

    recipient: str
    """To whom; empty: to nobody."""
    seconds: float
    """From now on, real time."""


class Ask(NamedTuple):
    """A process's word on an account that it uses."""

    team_id: UUID
    account_id: UUID
    weight: int
    """Shares of processes are as their weights."""
    held: float
    """Sends a second that the process goes by at present."""
    holds: Sequence[Hold] = ()
    """What the channel asked this process since it renewed the last time."""


class Share(NamedTuple):
    """What the process may go by from now on."""

    place: int
    """Which ask it answers, from 1."""
    version: int
    """Of the account, deleted or not."""
    share: float
    """Sends a second."""
    holds: Sequence[Hold] = ()
    """What the channel asked any process."""


class RateStore:
    """Renews shares."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def renew(self, sender: UUID, asks: Sequence[Ask], length: timedelta) -> list[Share]:
        """Shares for `length` of real time, the server's. Raises the driver's errors."""
        teams, account_ids, weights, held = columns((ask[:4] for ask in asks), 4)
        new = [(place, *hold) for place, ask in enumerate(asks, 1) for hold in ask.holds]
        places, recipients, seconds = columns(new, 3)
        query = QUERIES.bind(
            "share_rates",
            sender=sender,
            teams=teams,
            account_ids=account_ids,
            weights=weights,
            held=held,
            length=length,
            new_places=places,
            new_recipients=recipients,
            new_s=seconds,
            hold_max=HOLDS_MAX,
        )
        return [
            Share(place, version, share, [*map(Hold, recipients or (), left_s or ())])
            for place, version, share, recipients, left_s in await fetch_alone(self._pool, *query)
        ]
