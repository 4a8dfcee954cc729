"""Customers by what they are known by, for those that a release before spelled otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.audience.expressions import ChannelNumber
from libs.common.db.pool import Connection, Pool, transaction
from services.segment.domain.facts import Fact
from services.segment.domain.merging import AliasKind
from services.segment.domain.model import IdentityKey
from services.segment.domain.recorder import EventContext
from services.segment.domain.spellings import Alias, Respelled, Spelled
from services.segment.store.base import BOOK
from services.segment.store.conflicts import note_conflicts
from services.segment.store.writes import Writes, save

_WHATSAPP: Final = int(ChannelNumber.WHATSAPP)
_NOBODY: Final = UUID(int=0)


class Reached(NamedTuple):
    """Who was looked at last."""

    team_id: UUID
    customer_id: UUID


class SpellingStore:
    """Where the search stands, and whom it meets. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def reached(self) -> Reached | None:
        """Where the search is; None where nothing is to be done now."""
        row = await self.pool.fetchrow(BOOK["load_spelling_search"])
        return None if row is None else Reached(row[0], row[1])

    async def page(self, team_id: UUID, after: UUID, row_max: int) -> list[Spelled]:
        """The next customers of a team."""
        query = BOOK.bind("read_spellings", team_id=team_id, after=after, channel=_WHATSAPP, row_max=row_max)
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        return [
            Spelled(
                row["customer_id"],
                row["member_id"],
                row["phone"],
                row["email"],
                _identities(row["account_ids"], row["external_ids"]),
                _aliases(row["alias_kinds"], row["alias_texts"]),
            )
            for row in rows
        ]

    async def next_team(self, after: UUID) -> UUID | None:
        """The team after another one, in the order of their ids."""
        found: UUID | None = await self.pool.fetchval(*BOOK.bind("next_team", after=after))
        return found

    async def move(self, reached: Reached, team_id: UUID, customer_id: UUID = _NOBODY) -> None:
        """Notes whom the search has come to from where it was; nothing if it is there no more."""
        await self.pool.execute(
            *BOOK.bind(
                "move_spelling_search",
                from_team_id=reached.team_id,
                from_customer_id=reached.customer_id,
                team_id=team_id,
                customer_id=customer_id,
            )
        )

    async def end_pass(self, reached: Reached) -> None:
        """All customers of all teams were looked at; nothing if the search is where it was no more."""
        query = BOOK.bind(
            "end_spelling_pass", from_team_id=reached.team_id, from_customer_id=reached.customer_id
        )
        await self.pool.execute(*query)


async def save_respelled(
    connection: Connection, respelled: Respelled, context: EventContext, now: datetime
) -> list[Fact]:
    """Writes it all; returns the facts with their positions. Raises as `save`."""
    for team_id, customer_id, key in respelled.unbound:
        query = BOOK.bind("delete_identity", team_id=team_id, customer_id=customer_id, **key._asdict())
        await connection.execute(*query)
    team_id, customer_id = respelled.key
    for before, after in respelled.aliases:
        of = {"team_id": team_id, "customer_id": customer_id, "kind": int(after.kind)}
        await connection.execute(*BOOK.bind("respell_alias", **of, before=before.text, after=after.text))
    writes = Writes()
    writes.change_customers(respelled.changed, context.customers)
    writes.bind(respelled.bound)
    writes.switched = [(team, *key, *binding) for (team, key), binding in respelled.switched.items()]
    await note_conflicts(connection, respelled.conflicts, now)
    return await save(connection, writes, respelled.facts, now)


def _aliases(kinds: list[int], texts: list[str]) -> tuple[Alias, ...]:
    return tuple(Alias(AliasKind(kind), text) for kind, text in zip(kinds, texts, strict=True))


def _identities(account_ids: list[UUID], external_ids: list[str]) -> tuple[IdentityKey, ...]:
    named = zip(account_ids, external_ids, strict=True)
    return tuple(IdentityKey(_WHATSAPP, account_id, external_id) for account_id, external_id in named)
