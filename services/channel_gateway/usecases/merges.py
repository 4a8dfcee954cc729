"""Merges of customers, as far as messages are concerned: the stricter consent holds, and caps count for both."""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from services.channel_gateway.domain.consents import (
    ALL_CHANNELS,
    Consenting,
    ConsentSource,
    ConsentState,
    NewStatement,
    Statement,
    holding,
    time_to_say,
)
from services.channel_gateway.store import consents
from services.channel_gateway.store.book import QUERIES

CHANNELS: Final = (1, 2, 3, 4)


class MergedCustomer(NamedTuple):
    """Who is merged into whom, and by whom."""

    team_id: UUID
    merge_id: UUID
    loser_id: UUID
    survivor_id: UUID
    actor: str


class Merges:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`clock`: domain time of what is recorded."""
        self._pool = pool
        self._clock = clock

    async def unite(self, merge: MergedCustomer) -> None:
        """Gives the one who stays what holds of both, once a merge: where either wanted no messages, there are none."""
        keys = {
            "team_id": merge.team_id,
            "customer_id": merge.loser_id,
            "survivor_id": merge.survivor_id,
        }
        async with transaction(self._pool, [merge.team_id]) as connection:
            query = QUERIES.bind("note_merged_customer", merge_id=merge.merge_id, **keys)
            if not await connection.fetchval(*query):
                return
            await connection.execute(*QUERIES.bind("move_frequency_uses", **keys))
            await self._silence(connection, merge)

    async def _silence(self, connection: Connection, merge: MergedCustomer) -> None:
        survivor = Consenting(merge.team_id, merge.survivor_id, ())
        for customer_id in sorted((merge.survivor_id, merge.loser_id)):
            await consents.hold_customer(connection, customer_id)
        theirs = await consents.find_statements(connection, Consenting(merge.team_id, merge.loser_id, ()))
        for channel in silenced(await consents.find_statements(connection, survivor), theirs):
            own = await consents.find_statements(connection, survivor)
            before = holding(own, channel)
            if before is not None and before.withdrawn:
                continue
            said = NewStatement(
                channel, ConsentState.WITHDRAWN, ConsentSource.API, f"merged: {merge.loser_id}", merge.actor
            )
            at = time_to_say(own, channel, self._clock.now())
            await consents.keep_statement(connection, survivor, said, at)
            state = 0 if before is None else before.state
            await consents.tell_change(connection, survivor, said, state, at)


def silenced(own: list[Statement], theirs: list[Statement]) -> list[int]:
    """Channels of which the one who stays wants none from now on, since the other did; all of them as one, where
    nothing is left."""
    wanted = [each for each in CHANNELS if _wants_none(own, each) or _wants_none(theirs, each)]
    everywhere = len(wanted) == len(CHANNELS) and _wants_none(theirs, ALL_CHANNELS)
    return [ALL_CHANNELS] if everywhere else [each for each in wanted if _wants_none(theirs, each)]


def _wants_none(statements: list[Statement], channel: int) -> bool:
    held = holding(statements, channel)
    return held is not None and held.withdrawn
