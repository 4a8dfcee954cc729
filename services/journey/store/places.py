"""The SQL of the places that plans have for enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.ids import partition_of
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.effects import Effects
from services.journey.domain import effects as fx
from services.journey.store.book import BOOK


class PlaceStore:
    """Gives places to enrolments. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def take(self, asked: Sequence[fx.TakePlace]) -> set[UUID]:
        """Those of the enrolments that have a place, now or before."""
        rows = [
            (
                each.team_id,
                *each.month,
                each.most,
                partition_of(each.team_id, each.customer_id),
                each.customer_id,
                each.key,
                each.source,
                each.number,
            )
            for each in asked
        ]
        teams = {each.team_id for each in asked}
        async with transaction(self._pool, teams) as connection:
            found = await connection.fetch(*BOOK.bind("take_plan_places", places=rows))
        return {row["enrolment_id"] for row in found}


class PlacedEffects:
    """What turns ask, places among it: an enrolment has its place before anything is done for it elsewhere."""

    def __init__(self, effects: Effects, places: PlaceStore) -> None:
        """`effects` answers the rest."""
        self._effects = effects
        self._places = places

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """See `Effects`."""
        asked = {index: each for index, each in enumerate(effects) if type(each) is fx.TakePlace}
        if not asked:
            return await self._effects.answer(effects)
        others = [index for index in range(len(effects)) if index not in asked]
        answers = dict(
            zip(others, await self._effects.answer([effects[index] for index in others]), strict=True)
        )
        answers |= dict(zip(asked, await self._taken(list(asked.values())), strict=True))
        return [answers[index] for index in range(len(effects))]

    async def _taken(self, asked: Sequence[fx.TakePlace]) -> list[fx.Answer | Exception]:
        known = [each for each in asked if each.most is not None]
        taken = await self._places.take(known) if known else set()
        return [
            ServiceUnavailable("segment has not told the plan of a team")
            if each.most is None
            else fx.Place(each.key in taken)
            for each in asked
        ]
