"""Which channel accounts identities may be of: those that their team has.

What our own services name was looked at where it came in, and is not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from libs.common.callers import caller
from libs.common.db.pool import Connection, Pool
from services.segment.domain.events import named_accounts
from services.segment.domain.model import Event, IdentityKey
from services.segment.store.accounts import AccountKey, find_accounts, known_accounts


async def strange_accounts(
    connection: Connection, team_id: UUID, identities: Iterable[IdentityKey]
) -> frozenset[UUID]:
    """The accounts of identities that the team has not, as a client of the API is answered."""
    if caller().is_internal:
        return frozenset()
    named = {(team_id, key.account_id) for key in identities}
    found = await find_accounts(connection, named) if named else frozenset()
    return frozenset(account_id for _, account_id in named - found)


class Accounts:
    """The same of events, which are written in batches of many callers."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def strange(self, events: Iterable[Event]) -> frozenset[AccountKey]:
        """The accounts that events would bind identities of and that their teams have not."""
        named = {(event.team_id, account_id) for event in events for account_id in named_accounts(event)}
        if not named:
            return frozenset()
        return frozenset(named - await known_accounts(self._pool, named))
