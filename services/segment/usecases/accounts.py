"""Which channel accounts identities may be of: those that their team has, on the channel that they are of.

What our own services name was looked at where it came in, and is not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from libs.common.callers import caller
from libs.common.db.pool import Connection, Pool
from services.segment.domain.accounts import StrangeAccount
from services.segment.domain.events import named_identities
from services.segment.domain.model import Event, IdentityKey
from services.segment.store.accounts import AccountKey, find_accounts, known_accounts


async def strange_accounts(
    connection: Connection, team_id: UUID, identities: Iterable[IdentityKey]
) -> dict[StrangeAccount, int]:
    """What identities name of accounts and is not so, as a client of the API is answered; see `EditContext`."""
    if caller().is_internal:
        return {}
    keys = list(identities)
    named = {(team_id, key.account_id) for key in keys}
    found = await find_accounts(connection, named) if named else {}
    return dict(_strange(((team_id, key) for key in keys), found))


def _strange(
    identities: Iterable[tuple[UUID, IdentityKey]], found: Mapping[AccountKey, int | None]
) -> Iterator[tuple[StrangeAccount, int]]:
    for team_id, key in identities:
        account = (team_id, key.account_id)
        if account not in found:
            yield (*account, int(key.channel)), 0
        elif (own := found[account]) not in (None, int(key.channel)):
            yield (*account, int(key.channel)), own or 0


class Accounts:
    """The same of events, which are written in batches of many callers."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def strange(self, events: Iterable[Event]) -> dict[StrangeAccount, int]:
        """The same of identities that events would bind."""
        naming = (event for event in events if event.may_name_identity)
        identities = [(event.team_id, key) for event in naming for key in named_identities(event)]
        named = {(team_id, key.account_id) for team_id, key in identities}
        return dict(_strange(identities, await known_accounts(self._pool, named))) if named else {}
