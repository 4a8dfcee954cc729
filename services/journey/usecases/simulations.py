"""Simulations as they are asked for, cancelled and read; `worker/simulations.py` runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from libs.common.audit import note_before
from libs.common.clock import Clock
from libs.common.db.pool import Connection
from libs.common.db.requests import Reply, Write, answer_once
from libs.common.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from libs.common.ids import epoch_ms, new_id
from services.journey.domain.model import Definition
from services.journey.domain.simulation_work import (
    UNFINISHED_MAX,
    AskedSimulation,
    SimulationState,
    StoredSimulation,
    trigger_faults,
)
from services.journey.store.journeys import JourneyStore
from services.journey.store.simulations import SimulationKey, SimulationStore
from services.journey.usecases.gate import Gate

RETRY_S = 5.0
"""When there may be room for another simulation of a team."""


class Simulations:
    """Starts and ends them."""

    def __init__(
        self,
        store: SimulationStore,
        journeys: JourneyStore,
        gate: Gate,
        clock: Clock,
        started: Callable[[], None],
    ) -> None:
        """`started` is called when there is one to be run."""
        self._store = store
        self._journeys = journeys
        self._gate = gate
        self._clock = clock
        self._started = started

    async def start(
        self,
        request: Write,
        team_id: UUID,
        subject: UUID | Definition,
        span: tuple[datetime, datetime],
        *,
        reply: type[Reply],
        answer: Callable[[StoredSimulation], Reply],
    ) -> Reply:
        """Keeps one to be run: of a journey as it is saved, or of a definition.

        Raises NotFound, InvalidArgument with all that keeps it from being published but a schedule that has passed,
        Unavailable when nobody can say, ResourceExhausted while too many wait.
        """
        definition = subject if isinstance(subject, Definition) else None
        if isinstance(subject, UUID):
            definition = next((j.definition for j in await self._journeys.by_ids(team_id, [subject])), None)
        faults, outage = await self._look(team_id, definition)

        async def keep(connection: Connection) -> Reply:
            if isinstance(subject, UUID):
                await self._journeys.get_for_change(connection, team_id, subject)
            if faults:
                raise InvalidArgument.of(*faults)
            if outage is not None:
                raise outage
            if await self._store.count_unfinished(connection, team_id) >= UNFINISHED_MAX:
                raise ResourceExhausted.overloaded("simulations_max", RETRY_S)
            now = self._clock.now()
            id_ = new_id(epoch_ms(now))
            assert definition is not None, "a journey that is there has one"
            journey_id = subject if isinstance(subject, UUID) else id_
            asked = AskedSimulation(team_id, id_, journey_id, definition, *span)
            await self._store.insert(connection, asked, now)
            return answer(
                StoredSimulation(asked, SimulationState.PENDING, 0, 0, "", "", None, None, now, None)
            )

        reply_ = await answer_once(self._store.pool, team_id, request, reply, keep)
        self._started()
        return reply_

    async def _look(
        self, team_id: UUID, definition: Definition | None
    ) -> tuple[Sequence[FieldViolation], Unavailable | None]:
        """What is wrong with a definition, or why nobody can say. A repeated request is answered whatever it is."""
        if definition is None:
            return [], None
        try:
            return [*trigger_faults(definition), *await self._gate.faults(team_id, definition)], None
        except Unavailable as error:
            return [], error

    async def found(self, key: SimulationKey, *, so_far: bool) -> StoredSimulation:
        """One that has ended with findings; `so_far`: one in any state.

        Raises NotFound, FailedPrecondition `OPERATION_NOT_DONE`.
        """
        found = await self._store.read(key)
        if found.findings is None and not so_far:
            state = found.state.name
            raise FailedPrecondition(
                "OPERATION_NOT_DONE",
                f"the simulation is {state}: it has no findings",
                metadata={"state": state},
            )
        return found

    async def read(self, key: SimulationKey) -> StoredSimulation:
        """One as it stands. Raises NotFound."""
        return await self._store.read(key)

    async def page(
        self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredSimulation]:
        """Some, newest first."""
        return await self._store.page(team_id, after, limit)

    async def cancel(
        self,
        request: Write,
        key: SimulationKey,
        reply: type[Reply],
        answer: Callable[[StoredSimulation], Reply],
    ) -> Reply:
        """Ends one early; one that has ended stays. Raises NotFound."""

        async def work(connection: Connection) -> Reply:
            found = await self._store.lock(connection, key)
            note_before(answer(found))
            if not found.state.has_ended:
                await self._store.cancel(connection, key, self._clock.now())
                found = await self._store.lock(connection, key)
            return answer(found)

        return await answer_once(self._store.pool, key[0], request, reply, work)
