"""What people do to journeys: commands over the store, each in one transaction and answered once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from libs.common.callers import caller
from libs.common.clock import Clock
from libs.common.db.pool import Connection
from libs.common.errors import Aborted, FieldViolation, InvalidArgument, NotFound, Unavailable
from libs.common.ids import epoch_ms, new_id
from services.journey.domain.circles import circles_of
from services.journey.domain.edit import require_editable
from services.journey.domain.gate import Verdict
from services.journey.domain.lifecycle import JourneyAction, published, require_allowed, somebody_inside
from services.journey.domain.model import OPEN, Definition, Journey, JourneyStatus, StatusReason
from services.journey.domain.validate import new_faults
from services.journey.store.journeys import JourneyStore
from services.journey.usecases.gate import Gate
from services.journey.usecases.schedule import caught_up
from services.journey.usecases.write import Call, Reply, once
from services.journey.worker.brakes import Brakes


class Look(NamedTuple):
    """What was found of one revision of a journey."""

    revision: int | None
    """None: there was nothing to be looked at."""
    faults: Sequence[FieldViolation] = ()
    outage: Unavailable | None = None
    """Why nobody could say."""

    def require(self, journey: Journey, more: Sequence[FieldViolation] = ()) -> None:
        """Raises what keeps the journey, or what an edit makes of it, from being live; `more` faults are known."""
        if journey.revision != self.revision:
            raise Aborted.write_conflict("the journey was changed meanwhile: ask again")
        if faults := [*more, *self.faults]:
            raise InvalidArgument.of(*faults)
        if self.outage is not None:
            raise self.outage


class Lifecycle:
    """Create, edit, publish, close, stop, copy, delete.

    All raise NotFound, Aborted `ETAG_MISMATCH` and FailedPrecondition `STATUS_FORBIDS_ACTION` where they apply.
    """

    def __init__(
        self,
        store: JourneyStore,
        gate: Gate,
        brakes: Brakes,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after each change, so that schedule and worker look at once."""
        self._store = store
        self._gate = gate
        self._brakes = brakes
        self._clock = clock
        self._changed = changed

    async def create(self, call: Call[Journey, Reply], definition: Definition) -> Reply:
        """Saves a draft."""

        async def work(connection: Connection) -> Journey:
            return await self.save_draft(connection, call.team_id, definition)

        return await self._once(call, work)

    async def copy(self, call: Call[Journey, Reply], journey_id: UUID, name: str) -> Reply:
        """Saves a draft with the tree of another journey."""

        async def work(connection: Connection) -> Journey:
            origin = await self._store.get_for_change(connection, call.team_id, journey_id)
            definition = msgspec.structs.replace(origin.definition, name=name or origin.definition.name)
            return await self.save_draft(connection, call.team_id, definition)

        return await self._once(call, work)

    async def update(
        self,
        call: Call[Journey, Reply],
        journey_id: UUID,
        etag: str,
        edit: Callable[[Definition], Definition],
    ) -> Reply:
        """Takes an edit over as far as the status allows; what is or was live stays fit to be.

        Raises FailedPrecondition `EDIT_FORBIDDEN`, InvalidArgument with all faults, and as `publish` where what is or
        was live names other things than before.
        """
        look = await self.look_at_edit(call.team_id, journey_id, edit)

        async def work(connection: Connection) -> Journey:
            journey = await self.as_it_is(connection, call, journey_id, etag)
            return await self.edited(connection, journey, edit(journey.definition), look)

        return await self._once(call, work)

    async def edited(
        self, connection: Connection, journey: Journey, definition: Definition, look: Look
    ) -> Journey:
        """Takes an edit of a journey that is locked over; `look` is `look_at_edit`'s. Raises as `update`."""
        require_editable(journey, definition)
        if journey.status is not JourneyStatus.DRAFT:
            look.require(journey, new_faults(definition, journey.definition))
        redrawn = journey.status in OPEN and definition.do_not_disturb != journey.definition.do_not_disturb
        return await self._store.update_definition(
            connection, journey, definition, caller().name, self._clock.now(), recalls=redrawn
        )

    async def publish(self, call: Call[Journey, Reply], journey_id: UUID, etag: str) -> Reply:
        """Makes a draft live.

        Raises InvalidArgument with every fault of its definition and of what that names elsewhere, Unavailable when
        nobody can say, Aborted `WRITE_CONFLICT` when it was edited after it was looked at.
        """
        look = await self._look_at_draft(call.team_id, journey_id)

        async def work(connection: Connection) -> Journey:
            journey = await self.as_it_is(connection, call, journey_id, etag)
            require_allowed(journey, JourneyAction.PUBLISH)
            look.require(journey)
            now = self._clock.now()
            return await self._changed_by_caller(connection, journey, published(journey, now), now)

        return await self._once(call, work)

    async def validate(
        self, team_id: UUID, definition: Definition, journey_id: UUID | None = None
    ) -> Verdict:
        """Everything that publishing it now would find, as that journey if it is one. Raises Unavailable."""
        faults, warnings = await self._gate.look(team_id, definition)
        live = [each for each in await self._store.chained(team_id) if each.journey_id != journey_id]
        return Verdict(faults, [*warnings, *circles_of(definition, live)])

    async def close_trigger(self, call: Call[Journey, Reply], journey_id: UUID, etag: str) -> Reply:
        """Lets nobody enter any more."""

        async def work(connection: Connection) -> Journey:
            journey = await self.as_it_is(connection, call, journey_id, etag)
            require_allowed(journey, JourneyAction.CLOSE_TRIGGER)
            closed = JourneyStatus.TRIGGER_CLOSED
            return await self._changed_by_caller(connection, journey, closed, self._clock.now())

        return await self._once(call, work)

    async def stop(self, call: Call[Journey, Reply], journey_id: UUID, etag: str) -> Reply:
        """Stops a journey; returns when the gateway starts no attempt of it any more.

        On a journey that is stopping it waits for the same. Raises Unavailable `DEPENDENCY_UNAVAILABLE` if the gateway
        does not acknowledge; the journey is stopping, and the gateway is asked again until it does.
        """

        async def work(connection: Connection) -> Journey:
            journey = await self.as_it_is(connection, call, journey_id, etag)
            require_allowed(journey, JourneyAction.STOP)
            return await self._stopping(connection, journey)

        answer = await self._once(call, work)
        try:
            journey = await self._store.get(call.team_id, journey_id)
        except NotFound:
            return answer  # a repetition, after a delete, which only a journey that has stopped allows
        if not journey.is_braked and not await self._brakes.pull_and_wait(journey):
            raise Unavailable(
                "DEPENDENCY_UNAVAILABLE",
                "the journey is stopping, and the gateway has not acknowledged yet that nothing more leaves;"
                " it is asked until it does",
                metadata={"dependency": "channel_gateway", "status": journey.status.name},
            )
        return answer

    async def _stopping(self, connection: Connection, journey: Journey) -> Journey:
        now = self._clock.now()
        if journey.status is not JourneyStatus.STOPPING:
            stopping = JourneyStatus.STOPPING
            return await self._changed_by_caller(connection, journey, stopping, now, stops_sends=True)
        if not journey.was_stopped:  # it stops by itself, and lets what was handed over leave
            return await self._store.raise_brake(connection, journey, now)
        return journey

    async def _changed_by_caller(
        self,
        connection: Connection,
        journey: Journey,
        after: JourneyStatus,
        now: datetime,
        *,
        stops_sends: bool = False,
    ) -> Journey:
        who = caller().name
        return await self._store.change_status(
            connection, journey, after, now, stops_sends=stops_sends, actor=who
        )

    async def delete(self, call: Call[Journey, Reply], journey_id: UUID, etag: str) -> Reply:
        """Removes a journey from lists."""

        async def work(connection: Connection) -> Journey:
            journey = await self.as_it_is(connection, call, journey_id, etag)
            require_allowed(journey, JourneyAction.DELETE)
            # Under the lock: a turn in which somebody enters holds the journey until it is committed.
            if await self._store.has_live_enrolments(connection, call.team_id, journey_id):
                raise somebody_inside(journey, JourneyAction.DELETE)
            await self._store.delete(connection, journey, self._clock.now())
            return journey

        return await self._once(call, work)

    async def as_it_is(
        self, connection: Connection, call: Call[Any, Any], journey_id: UUID, etag: str
    ) -> Journey:
        """The journey, locked, as the schedule makes it by now: what a command finds does not depend on its label."""
        journey = await self._store.get_for_change(connection, call.team_id, journey_id, etag)
        call.note_before(journey)
        return await caught_up(self._store, connection, journey, self._clock.now())

    async def _look_at_draft(self, team_id: UUID, journey_id: UUID) -> Look:
        """Looked at outside the transaction, raised inside: a repeated request gets its first answer all the same."""
        journey = await self._found(team_id, journey_id)
        if journey is None or journey.status is not JourneyStatus.DRAFT:
            return Look(None)
        try:
            return Look(journey.revision, (await self._gate.look(team_id, journey.definition)).faults)
        except Unavailable as error:
            return Look(journey.revision, outage=error)

    async def look_at_edit(
        self, team_id: UUID, journey_id: UUID, edit: Callable[[Definition], Definition]
    ) -> Look:
        """What an edit would add, looked at before its transaction; a draft is not looked at."""
        journey = await self._found(team_id, journey_id)
        if journey is None or journey.status is JourneyStatus.DRAFT:
            return Look(None)
        present = journey.definition
        try:
            return Look(journey.revision, await self._gate.new_faults(team_id, edit(present), present))
        except InvalidArgument:
            return Look(journey.revision)  # the edit itself says so again, unless it is a repetition
        except Unavailable as error:
            return Look(journey.revision, outage=error)

    async def _found(self, team_id: UUID, journey_id: UUID) -> Journey | None:
        try:
            return await self._store.get(team_id, journey_id)
        except NotFound:
            return None

    async def _once(
        self, call: Call[Journey, Reply], work: Callable[[Connection], Awaitable[Journey]]
    ) -> Reply:
        reply = await once(self._store.pool, call, work)
        self._changed()
        return reply

    async def save_draft(self, connection: Connection, team_id: UUID, definition: Definition) -> Journey:
        """Saves a new draft in the caller's transaction."""
        now = self._clock.now()
        journey = Journey(
            journey_id=new_id(epoch_ms(now)),
            team_id=team_id,
            status=JourneyStatus.DRAFT,
            reason=StatusReason.NONE,
            revision=1,
            version=1,
            stop_epoch=0,
            definition=definition,
            zone="UTC",
            created_at=now,
            updated_at=now,
        )
        await self._store.create(connection, journey, caller().name)
        return journey
