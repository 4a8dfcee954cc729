"""Merges of customers, as far as their actors are concerned: one comes to rest, then the other has all it had."""

from __future__ import annotations

from collections.abc import Callable

from libs.common.clock import Clock
from libs.common.db.pool import transaction
from libs.common.mailbox.mail import MailSource
from services.journey.domain.merging import Awaited, require_rest
from services.journey.store.merges import Merge, MergeStore


class Merges:
    """Steps of merges. Each may be asked for again; what it waits for is an empty text when it is done."""

    def __init__(self, store: MergeStore, clock: Clock, moved: Callable[[], None]) -> None:
        """`moved` is called when an actor has timers that it had not before."""
        self._store = store
        self._clock = clock
        self._moved = moved

    async def drain(self, merge: Merge, last_mail: int) -> str:
        """Whether the actor that goes has done all that it was given; `last_mail` is the last number of segment's."""
        number = await self._store.mail_number(merge.loser)
        state = await self._store.state(merge.loser)
        if merge.loser in state.parked:
            return "an operator's decision about the customer, who is set aside"
        try:
            require_rest(
                state.actors[merge.loser],
                state.enrolments[merge.loser],
                {MailSource.SEGMENT: last_mail, MailSource.JOURNEY: number},
                self._clock.now(),
                rate=self._clock.rate,
            )
        except Awaited as error:
            return str(error)
        return ""

    async def move(self, merge: Merge, last_mail: int) -> str:
        """Moves enrolments and counts to the actor that stays, both held meanwhile, if the other is at rest."""
        async with transaction(self._store.pool, [merge.team_id]) as connection:
            if await self._store.is_done(connection, merge):
                return ""
            held, number = await self._store.hold(connection, merge)
            if merge.loser in held.parked:
                return "an operator's decision about the customer, who is set aside"
            now = self._clock.now()
            try:
                require_rest(
                    held.actors[merge.loser],
                    held.enrolments[merge.loser],
                    {MailSource.SEGMENT: last_mail, MailSource.JOURNEY: number},
                    now,
                    rate=self._clock.rate,
                )
            except Awaited as error:
                return str(error)
            await self._store.move(connection, merge, held, now)
        self._moved()
        return ""
