"""A definition that is to be so, whatever was there before: a new journey, an edit, or nothing to be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from libs.common.audit import recording
from libs.common.db.pool import Connection, transaction
from libs.common.errors import Aborted, FieldViolation, InvalidArgument
from services.journey.domain.model import Definition, Journey
from services.journey.store.journeys import JourneyStore
from services.journey.usecases.lifecycle import Lifecycle, Look
from services.journey.usecases.write import Call, Reply, once


class Applied(NamedTuple):
    """What came of it."""

    journey: Journey
    before: Definition | None
    """What it was; None of a new journey."""


class _Undone(Exception):
    """Takes back what was tried."""

    def __init__(self, applied: Applied) -> None:
        self.applied = applied


class Applying:
    """Makes journeys what definitions say."""

    def __init__(self, store: JourneyStore, lifecycle: Lifecycle, changed: Callable[[], None]) -> None:
        """`changed` is called after each change, so that schedule and worker look at once."""
        self._store = store
        self._lifecycle = lifecycle
        self._changed = changed

    async def apply(
        self, call: Call[Applied, Reply], journey_id: UUID | None, etag: str, definition: Definition
    ) -> Reply:
        """Edits a journey, without an id the one of the definition's name, or makes a draft if there is none.

        Raises as `Lifecycle.update`; InvalidArgument where several journeys have the name, Aborted `ETAG_MISMATCH`
        where an etag is given and none has, `WRITE_CONFLICT` where another one has it by now.
        """
        work = await self._work(call, journey_id, etag, definition)
        reply = await once(self._store.pool, call, work)
        self._changed()
        return reply

    async def attempt(
        self, call: Call[Applied, Reply], journey_id: UUID | None, etag: str, definition: Definition
    ) -> Reply:
        """What `apply` would answer now, and raise; changes nothing, and remembers no request."""
        work = await self._work(call, journey_id, etag, definition)
        with recording() as audit:
            audit.settled = True  # nobody changed anything
            try:
                async with transaction(self._store.pool, [call.team_id]) as connection:
                    raise _Undone(await work(connection))
            except _Undone as undone:
                return call.reply(undone.applied)

    async def _work(
        self, call: Call[Applied, Reply], journey_id: UUID | None, etag: str, definition: Definition
    ) -> Callable[[Connection], Awaitable[Applied]]:
        """Looked at here, raised in the transaction: a repeated request gets its first answer all the same."""
        team_id = call.team_id
        looked_at = journey_id or await self._found(team_id, definition.name)
        look = Look(None)
        if looked_at is not None:
            look = await self._lifecycle.look_at_edit(team_id, looked_at, lambda _: definition)

        async def work(connection: Connection) -> Applied:
            present = journey_id or await self._named(connection, team_id, definition.name)
            if present != looked_at:
                raise Aborted.write_conflict("another journey has the name by now: ask again")
            if present is None:
                if etag:
                    raise Aborted.etag_mismatch("")
                return Applied(await self._lifecycle.save_draft(connection, team_id, definition), None)
            journey = await self._lifecycle.as_it_is(connection, call, present, etag)
            if journey.definition == definition:
                return Applied(journey, definition)
            edited = await self._lifecycle.edited(connection, journey, definition, look)
            return Applied(edited, journey.definition)

        return work

    async def _found(self, team_id: UUID, name: str) -> UUID | None:
        async with transaction(self._store.pool, [team_id]) as connection:
            found = await self._store.named(connection, team_id, name)
        return found[0] if len(found) == 1 else None

    async def _named(self, connection: Connection, team_id: UUID, name: str) -> UUID | None:
        found = await self._store.named(connection, team_id, name)
        if len(found) > 1:
            raise InvalidArgument.of(
                FieldViolation("journey_id", f"is required: several journeys are called {name!r}")
            )
        return found[0] if found else None
