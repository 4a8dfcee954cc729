"""Changes of status that nobody asks for, each in one transaction: starts, ends, and the last step of a stop."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection, transaction
from services.journey.domain.lifecycle import due_change
from services.journey.domain.model import Journey, JourneyStatus
from services.journey.store.journeys import JourneyStore


async def caught_up(store: JourneyStore, connection: Connection, journey: Journey, now: datetime) -> Journey:
    """The journey, which `get_for_change` returned, with the label that its schedule gives it at `now`."""
    after = due_change(journey, now)
    if after is None:
        return journey
    stops = after is JourneyStatus.STOPPING
    return await store.change_status(connection, journey, after, now, stops_sends=stops)


class ScheduledChanges:
    """What the scheduler asks for; see `worker.schedule.Changes`."""

    def __init__(self, store: JourneyStore) -> None:
        """Changes the journeys of `store`."""
        self._store = store

    async def due(self, now: datetime) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that have to change by themselves at `now`, are stopping, or are not braked."""
        return await self._store.changing_journeys(now)

    async def get(self, team_id: UUID, journey_id: UUID) -> Journey:
        """One journey. Raises NotFound."""
        return await self._store.get(team_id, journey_id)

    async def follow_schedule(self, team_id: UUID, journey_id: UUID, now: datetime) -> Journey:
        """Does what the schedule says at `now`; returns the journey after it. Raises NotFound."""
        async with transaction(self._store.pool, [team_id]) as connection:
            journey = await self._store.get_for_change(connection, team_id, journey_id)
            return await caught_up(self._store, connection, journey, now)

    async def settle_stop(self, team_id: UUID, journey_id: UUID, now: datetime) -> bool:
        """STOPPING becomes STOPPED if nobody is inside any more; False if somebody is. Raises NotFound.

        Looks before it locks: nobody enters a journey that is stopping.
        """
        async with transaction(self._store.pool, [team_id]) as connection:
            if await self._store.has_live_enrolments(connection, team_id, journey_id):
                return False
            journey = await self._store.get_for_change(connection, team_id, journey_id)
            if journey.status is JourneyStatus.STOPPING:
                if not journey.is_braked:
                    return False
                stopped = JourneyStatus.STOPPED
                await self._store.change_status(connection, journey, stopped, now, reason=journey.reason)
            return True
