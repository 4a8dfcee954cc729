"""Spells customers' numbers, addresses and member ids that a release before spelled otherwise, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import AWAY
from libs.common.db.pool import transaction
from libs.common.db.requests import forget_by_batches
from libs.common.errors import Aborted, NotFound
from libs.common.logging import about
from services.segment.domain.spellings import Respelling, Spelled, hints_of_spelling, spelled_now
from services.segment.store import teams
from services.segment.store.events import load_event_context
from services.segment.store.spellings import SpellingStore, save_respelled
from services.segment.worker.writers import FactPublisher, Writer, ids_of

CUSTOMERS_MAX: Final = 1_000
"""Customers that are looked at in one step."""

_log = structlog.get_logger(__name__)


class Spellings:
    """A loop, see `libs.common.tasks`. Several processes may run it: what is spelled right is not changed."""

    def __init__(self, store: SpellingStore, clock: Clock, writer: Writer, publisher: FactPublisher) -> None:
        """Nothing happens before `run`."""
        self._store = store
        self._clock = clock
        self._writer = writer
        self._publisher = publisher

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        await forget_by_batches(self.step, "spellings", stopping)

    async def step(self, row_max: int) -> int:
        """Looks at the next customers; `row_max` if there may be more, else 0. Raises the driver's errors."""
        reached = await self._store.reached()
        if reached is None:
            return 0
        team_id, after = reached
        page = await self._store.page(team_id, after, min(row_max, CUSTOMERS_MAX))
        if page:
            await self._spell(team_id, page)
            await self._store.move(reached, team_id, page[-1].customer_id)
        elif (following := await self._store.next_team(team_id)) is not None:
            await self._store.move(reached, following)
        else:
            await self._store.end_pass(reached)
        return row_max

    async def _spell(self, team_id: UUID, page: Sequence[Spelled]) -> None:
        try:
            async with transaction(self._store.pool, [team_id]) as connection:
                country = (await teams.load_team(connection, team_id)).settings.country
        except NotFound:
            return
        for known in page:
            try:
                if spelled_now(known, country) != known:
                    await self._writer.until_alone("edits", partial(self._spell_one, team_id, known, country))
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is odd about one customer keeps no other from it
                # Perhaps whoever was faster changed them; the next pass looks again.
                _log.warning(
                    "a customer was not spelled as others are",
                    exc_info=None if isinstance(error, Aborted) else error,
                    error=str(error),
                    **about(team_id=team_id, customer_id=known.customer_id),
                )

    async def _spell_one(self, team_id: UUID, known: Spelled, country: str) -> None:
        now = self._clock.now()
        wanted = spelled_now(known, country)
        async with transaction(self._store.pool, [team_id]) as connection:
            events = [
                *hints_of_spelling(team_id, known, now),
                *hints_of_spelling(team_id, wanted, now),
            ]
            context = await load_event_context(connection, events, {team_id})
            customer = context.customers.get((team_id, known.customer_id))
            if customer is None:
                return
            renamed = {
                old: new
                for old, new in zip(known.identities, wanted.identities, strict=True)
                if old != new and (team_id, old) in context.identities
            }
            respelled = Respelling(context, customer, now, ids_of(now)).done(renamed, known, wanted)
            facts = await save_respelled(connection, respelled, context, now)
        self._publisher.publish(facts)
