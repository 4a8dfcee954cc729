"""The SQL of the places that plans have for enrolments."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.common.clients.team_settings import TEAMS_MAX
from libs.common.db.pool import Pool, transaction
from libs.common.ids import partition_of
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.effects import Effects
from services.journey.clients.plans import TeamPlans
from services.journey.domain import effects as fx
from services.journey.domain.plan import TeamPlan
from services.journey.store.book import BOOK

UNSURE_S: Final = 10.0
"""Real time after which whoever enrols knows of a limit that has come: settings are kept for 5 s, a turn takes less."""


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

    async def lapse(self, teams: Collection[UUID]) -> None:
        """Has the months of these teams counted again before they give another place."""
        async with transaction(self._pool, teams) as connection:
            await connection.execute(*BOOK.bind("lapse_plan_months", team_ids=list(teams)))


class CountedPlans:
    """The plans of teams. Months of those without a limit are not counted, and are counted again when a limit comes,
    also what others let in until they know of it."""

    def __init__(
        self, plans: TeamPlans, places: PlaceStore, *, real_time: Callable[[], float] = time.monotonic
    ) -> None:
        """`real_time` gives seconds that never run backwards."""
        self._plans = plans
        self._places = places
        self._real_time = real_time
        self._lapsed: dict[UUID, float | None] = {}
        """Teams whose months are noted as not counted. None: they have no limit; else when it was known that they have
        one again."""

    async def plans(self, teams: Collection[UUID]) -> Mapping[UUID, TeamPlan]:
        """See `TeamPlans`. Raises the driver's errors."""
        found = await self._plans.plans(teams)
        if self._lapsed or len(found) < len(teams):
            await self._lapse(teams, found)
        return found

    async def _lapse(self, teams: Collection[UUID], found: Mapping[UUID, TeamPlan]) -> None:
        now = self._real_time()
        free = [team for team in teams if team not in found]
        back = [team for team in found if team in self._lapsed and found[team].most is not None]
        fresh = [team for team in free if self._lapsed.get(team, now) is not None]
        if fresh or back:
            await self._places.lapse([*fresh, *back])
        if len(self._lapsed) + len(fresh) > TEAMS_MAX:
            self._lapsed.clear()
        self._lapsed.update(dict.fromkeys(fresh))
        for team in back:
            since = self._lapsed.get(team)
            if since is None:
                self._lapsed[team] = now
            elif now - since > UNSURE_S:
                del self._lapsed[team]


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
