"""What became of triggers, by the keys that they were given with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from services.journey.domain.audience_trigger import ENROLLED, UNKNOWN, Outcome, outcome_of
from services.journey.domain.turn import enrolment_id_of
from services.journey.store.audience_triggers import AudienceTriggerStore
from services.journey.store.journeys import JourneyStore
from services.journey.store.mail import JourneyMailStore


class Became(NamedTuple):
    """What became of a trigger, and the enrolment if there is one."""

    outcome: Outcome
    enrolment_id: UUID | None = None


class TriggerOutcomes:
    """Reads them."""

    def __init__(self, store: AudienceTriggerStore, journeys: JourneyStore, mail: JourneyMailStore) -> None:
        """All of this service."""
        self._store = store
        self._journeys = journeys
        self._mail = mail

    async def of(self, team_id: UUID, journey_id: UUID, keys: Sequence[UUID | None]) -> list[Became]:
        """In order; a key of None is none that any trigger has. Raises NotFound for a journey that is not there."""
        wanted = [key for key in keys if key is not None]
        customers = await self._mail.customers_of_triggers(team_id, journey_id, wanted)
        mailed = list(customers)
        ids = [enrolment_id_of(journey_id, customers[key], key) for key in mailed]
        states = await self._store.states(team_id, journey_id, mailed, ids)
        # Read after them: what closed the journey is known then.
        journey = await self._journeys.get(team_id, journey_id)
        found: dict[UUID, Became] = {}
        for key, id_, state in zip(mailed, ids, states, strict=True):
            if state is not None:
                outcome = outcome_of(journey, state)
                found[key] = Became(outcome, id_ if outcome is ENROLLED else None)
        return [found.get(key, Became(UNKNOWN)) if key is not None else Became(UNKNOWN) for key in keys]
