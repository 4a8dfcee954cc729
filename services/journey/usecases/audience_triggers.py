"""Audience triggers as they are asked for, paused, ended and read; `worker/audience_triggers.py` takes their steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from libs.common.ids import epoch_ms, new_id
from services.journey.clients.audiences import Audiences
from services.journey.domain.audience_trigger import (
    UNFINISHED_MAX,
    AskedAudienceTrigger,
    StoredAudienceTrigger,
)
from services.journey.domain.lifecycle import trigger_refusal
from services.journey.domain.model import Journey
from services.journey.domain.simulation_work import SimulationState as State
from services.journey.domain.status import journey_status_at
from services.journey.store.audience_triggers import AudienceTriggerKey, AudienceTriggerStore
from services.journey.store.journeys import JourneyStore

RETRY_S = 5.0
"""When there may be room for another one of a team."""

Answer = Callable[[StoredAudienceTrigger], Reply]


class AudienceTriggers:
    """Starts, holds and ends them."""

    def __init__(
        self,
        store: AudienceTriggerStore,
        journeys: JourneyStore,
        audiences: Audiences,
        clock: Clock,
        started: Callable[[], None],
    ) -> None:
        """`started` is called when a step is due."""
        self._store = store
        self._journeys = journeys
        self._audiences = audiences
        self._clock = clock
        self._started = started

    async def start(
        self,
        request: Write,
        team_id: UUID,
        journey_id: UUID,
        audience_id: UUID,
        rate: int,
        *,
        reply: type[Reply],
        answer: Answer[Reply],
    ) -> Reply:
        """Keeps one whose steps are to be taken.

        Raises NotFound, InvalidArgument for a journey that something else starts, FailedPrecondition
        `STATUS_FORBIDS_ACTION`, ResourceExhausted while too many are under way, Unavailable while segment is away.
        """
        audience = await self._look(team_id, audience_id)

        async def keep(connection: Connection) -> Reply:
            _require_open(
                await self._journeys.get_for_change(connection, team_id, journey_id), self._clock.now()
            )
            if not isinstance(audience, bytes):
                raise audience
            if await self._store.count_unfinished(connection, team_id) >= UNFINISHED_MAX:
                raise ResourceExhausted.overloaded("audience_triggers_max", RETRY_S)
            now = self._clock.now()
            id_ = new_id(epoch_ms(now))
            asked = AskedAudienceTrigger(team_id, id_, journey_id, audience_id, audience, rate)
            await self._store.insert(connection, asked, now)
            return answer(await self._store.lock(connection, (team_id, id_)))

        reply_ = await answer_once(self._store.pool, team_id, request, reply, keep)
        self._started()
        return reply_

    async def _look(self, team_id: UUID, audience_id: UUID) -> bytes | NotFound | Unavailable:
        """The saved audience, or why there is none. A repeated request is answered whatever it is."""
        try:
            return await self._audiences.saved(team_id, audience_id)
        except (NotFound, Unavailable) as error:
            return error

    async def read(self, key: AudienceTriggerKey) -> StoredAudienceTrigger:
        """One as it stands. Raises NotFound."""
        return await self._store.read(key)

    async def page(
        self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredAudienceTrigger]:
        """Some, newest first."""
        return await self._store.page(team_id, after, limit)

    async def cancel(
        self, request: Write, key: AudienceTriggerKey, reply: type[Reply], answer: Answer[Reply]
    ) -> Reply:
        """Ends one early; one that has ended stays. Raises NotFound."""

        async def end(connection: Connection) -> None:
            await self._store.end(connection, key, State.CANCELLED, self._clock.now())

        return await self._change(request, key, end, reply, answer)

    async def pause(
        self,
        request: Write,
        key: AudienceTriggerKey,
        reply: type[Reply],
        answer: Answer[Reply],
        *,
        paused: bool,
    ) -> Reply:
        """Holds one, or lets it go on; one that has ended stays. Raises NotFound."""

        async def hold(connection: Connection) -> None:
            await self._store.pause(connection, key, paused=paused)

        changed = await self._change(request, key, hold, reply, answer)
        self._started()
        return changed

    async def _change(
        self,
        request: Write,
        key: AudienceTriggerKey,
        change: Callable[[Connection], Awaitable[None]],
        reply: type[Reply],
        answer: Answer[Reply],
    ) -> Reply:
        async def work(connection: Connection) -> Reply:
            found = await self._store.lock(connection, key)
            note_before(answer(found))
            if not found.state.has_ended:
                await change(connection)
                found = await self._store.lock(connection, key)
            return answer(found)

        return await answer_once(self._store.pool, key[0], request, reply, work)


def _require_open(journey: Journey, now: datetime) -> None:
    """Raises unless the API can enrol somebody now."""
    refusal = trigger_refusal(journey, now)
    if refusal == "TRIGGER_MISMATCH":
        fault = FieldViolation("journey_id", "must be a journey that is started through the API", refusal)
        raise InvalidArgument.of(fault)
    if refusal:
        status = journey_status_at(journey, now).name
        raise FailedPrecondition(
            refusal,
            f"nobody can enter a journey that is {status}",
            metadata={"status": status, "action": "trigger"},
        )
