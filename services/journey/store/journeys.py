"""The SQL of journeys as people handle them: their life, their enrolments, their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from libs.common.db.history import read_page
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import Aborted, NotFound
from libs.common.ids import partition_of
from libs.common.text import fold
from services.journey.domain.lifecycle import due_change
from services.journey.domain.model import (
    AttributeTrigger,
    CheckoutTrigger,
    ContactTrigger,
    Definition,
    Enrolment,
    EnrolmentState,
    Journey,
    JourneyStatus,
    StatusReason,
    SystemTriggerKind,
    TagTrigger,
    WaitReason,
)
from services.journey.store import records
from services.journey.store.history import BOOK, append_history, status_row

TRIGGER_TYPES: Mapping[type, str] = {
    CheckoutTrigger: "CHECKOUT_COMPLETED",
    ContactTrigger: "CONTACT_ADDED",
    TagTrigger: "TAG_APPLIED",
    AttributeTrigger: "ATTRIBUTE_CHANGED",
    SystemTriggerKind: "SYSTEM",
}
"""Name of each kind of trigger, as lists are filtered by it."""


class JourneyFilter(NamedTuple):
    """What a list of journeys is narrowed to; None and empty mean all."""

    statuses: Sequence[JourneyStatus] = ()
    trigger_type: str = ""
    name_contains: str = ""


class EnrolmentFilter(NamedTuple):
    """Which enrolments are listed: of a journey, of a customer, or of both; no states mean all."""

    journey_id: UUID | None
    customer_id: UUID | None
    states: Sequence[EnrolmentState] = ()


class StoredEnrolment(NamedTuple):
    """An enrolment with the time of its last change."""

    enrolment: Enrolment
    updated_at: datetime


class JourneyStore:
    """Journeys, revisions, enrolments, history."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    # -- journeys -----------------------------------------------------------------------------------------------

    async def create(self, connection: Connection, journey: Journey, actor: str) -> None:
        """Inserts a draft and its first revision."""
        await connection.execute(
            BOOK["insert_journey"],
            journey.team_id,
            journey.journey_id,
            *_definition_columns(journey.definition),
            journey.created_at,
        )
        await self._revision(connection, journey, actor, journey.created_at)

    async def get(self, team_id: UUID, journey_id: UUID) -> Journey:
        """One journey. Raises NotFound."""
        async with transaction(self.pool, [team_id]) as connection:
            return _found(await connection.fetchrow(BOOK["get_journey"], team_id, journey_id), journey_id)

    async def get_for_change(
        self, connection: Connection, team_id: UUID, journey_id: UUID, etag: str = ""
    ) -> Journey:
        """One journey, locked until the transaction ends. Raises NotFound, Aborted `ETAG_MISMATCH`."""
        row = await connection.fetchrow(BOOK["get_journey_for_change"], team_id, journey_id)
        journey = _found(row, journey_id)
        if etag and etag != str(journey.version):
            raise Aborted.etag_mismatch(str(journey.version))
        return journey

    async def list_journeys(
        self, team_id: UUID, wanted: JourneyFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Journey]:
        """A page of journeys, newest first, after the keyset of the page before."""
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(
                BOOK["list_journeys"],
                team_id,
                list(wanted.statuses) or None,
                wanted.trigger_type or None,
                fold(wanted.name_contains) or None,
                *(after or (None, None)),
                limit,
            )
        return [records.journey_from(row) for row in rows]

    async def update_definition(
        self, connection: Connection, journey: Journey, definition: Definition, actor: str, now: datetime
    ) -> Journey:
        """Writes an accepted edit and its revision; returns the journey after it."""
        await connection.execute(
            BOOK["update_definition"],
            journey.team_id,
            journey.journey_id,
            *_definition_columns(definition),
            now,
        )
        edited = msgspec.structs.replace(
            journey,
            definition=definition,
            revision=journey.revision + 1,
            version=journey.version + 1,
            updated_at=now,
        )
        await self._revision(connection, edited, actor, now)
        return edited

    async def change_status(
        self,
        connection: Connection,
        journey: Journey,
        after: JourneyStatus,
        now: datetime,
        *,
        reason: StatusReason = StatusReason.NONE,
        stops_sends: bool = False,
    ) -> Journey:
        """Changes a journey that `get_for_change` returned, with its history; returns it after the change."""
        published_at = journey.published_at or now
        await connection.execute(
            BOOK["change_status"],
            journey.team_id,
            journey.journey_id,
            after,
            reason,
            int(stops_sends),
            now,
            published_at,
        )
        record = records.StatusRecord(journey.status, after, reason, journey.definition.name)
        await append_history(connection, [status_row(journey, record, now)])
        return msgspec.structs.replace(
            journey,
            status=after,
            reason=reason,
            version=journey.version + 1,
            stop_epoch=journey.stop_epoch + stops_sends,
            updated_at=now,
            published_at=published_at,
        )

    async def delete(self, connection: Connection, journey: Journey, now: datetime) -> None:
        """Removes a journey from lists; its history stays."""
        await connection.execute(BOOK["delete_journey"], journey.team_id, journey.journey_id, now)

    async def revisions(
        self, team_id: UUID, journey_id: UUID, before: int, limit: int
    ) -> list[tuple[int, Definition, str, datetime]]:
        """Revisions with a lower number than `before`, newest first: number, definition, actor, time."""
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["list_revisions"], team_id, journey_id, before, limit)
        return [
            (row["revision"], records.read_definition(row["definition"]), row["actor"], row["created_at"])
            for row in rows
        ]

    async def _revision(self, connection: Connection, journey: Journey, actor: str, now: datetime) -> None:
        text = records.definition_text(journey.definition)
        await connection.execute(
            BOOK["insert_revision"],
            journey.team_id,
            journey.journey_id,
            journey.revision,
            text,
            actor,
            now,
        )

    # -- changes by themselves ----------------------------------------------------------------------------------

    async def changing_journeys(self, now: datetime) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that have to change by themselves at `now`."""
        rows = await self.pool.fetch(BOOK["changing_journeys"], now)
        return [(row["team_id"], row["journey_id"]) for row in rows]

    async def move_by_schedule(self, team_id: UUID, journey_id: UUID, now: datetime) -> Journey:
        """Does what the schedule says at `now`; returns the journey after it."""
        async with transaction(self.pool, [team_id]) as connection:
            journey = await self.get_for_change(connection, team_id, journey_id)
            after = due_change(journey, now)
            if after is None:
                return journey
            stops = after is JourneyStatus.STOPPING
            return await self.change_status(connection, journey, after, now, stops_sends=stops)

    async def settle_stop(self, team_id: UUID, journey_id: UUID, now: datetime) -> bool:
        """STOPPING becomes STOPPED if nobody is inside any more; False if somebody is."""
        async with transaction(self.pool, [team_id]) as connection:
            journey = await self.get_for_change(connection, team_id, journey_id)
            if await connection.fetchval(BOOK["has_live_enrolments"], team_id, journey_id):
                return False
            if journey.status is JourneyStatus.STOPPING:
                stopped = JourneyStatus.STOPPED
                await self.change_status(connection, journey, stopped, now, reason=journey.reason)
            return True

    # -- enrolments ---------------------------------------------------------------------------------------------

    async def enrolment(self, team_id: UUID, enrolment_id: UUID) -> StoredEnrolment:
        """One enrolment. Raises NotFound."""
        async with transaction(self.pool, [team_id]) as connection:
            row = await connection.fetchrow(BOOK["get_enrolment"], team_id, enrolment_id)
        if row is None:
            raise NotFound.of("enrolment", enrolment_id)
        return _enrolment(row)

    async def enrolments(
        self,
        team_id: UUID,
        wanted: EnrolmentFilter,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[StoredEnrolment]:
        """A page of enrolments of a journey, of a customer, or of both; newest first."""
        keyset = after or (None, None)
        journey_id, customer_id, states = wanted
        async with transaction(self.pool, [team_id]) as connection:
            if customer_id is not None:
                partition = partition_of(team_id, customer_id)
                rows = await connection.fetch(
                    BOOK["list_enrolments_of_customer"],
                    *(team_id, partition, customer_id, journey_id, list(states) or None, *keyset, limit),
                )
            else:
                rows = await connection.fetch(
                    BOOK["list_enrolments_of_journey"],
                    *(team_id, journey_id, list(states) or None, *keyset, limit),
                )
        return [_enrolment(row) for row in rows]

    async def count_enrolments(self, team_id: UUID, journey_id: UUID) -> dict[EnrolmentState, int]:
        """Enrolments by state."""
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["count_enrolments"], team_id, journey_id)
        return {EnrolmentState(row["state"]): row["n"] for row in rows}

    async def run_segments(self, team_id: UUID, enrolment_id: UUID) -> list[records.RunSegmentRecord]:
        """What an enrolment did, oldest first."""
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["history_of_enrolment"], team_id, enrolment_id)
        return [records.read_run_segment(row["body"]) for row in rows]

    # -- history ------------------------------------------------------------------------------------------------

    async def history(self, cursors: Mapping[int, int], limit: int) -> tuple[list[Any], dict[int, int]]:
        """A page of the history of all teams after the cursors, and the cursors after it."""
        return await read_page(self.pool, "history", cursors, limit)


def _found(row: Mapping[str, Any] | None, journey_id: UUID) -> Journey:
    if row is None:
        raise NotFound.of("journey", journey_id)
    return records.journey_from(row)


def _definition_columns(definition: Definition) -> tuple[object, ...]:
    schedule = definition.schedule
    return (
        definition.name,
        fold(definition.name),
        TRIGGER_TYPES[type(definition.trigger)] if definition.trigger else "",
        records.definition_text(definition),
        schedule.start if schedule else None,
        schedule.end if schedule else None,
    )


def _enrolment(row: Mapping[str, Any]) -> StoredEnrolment:
    enrolment = Enrolment(
        enrolment_id=row["enrolment_id"],
        journey_id=row["journey_id"],
        team_id=row["team_id"],
        customer_id=row["customer_id"],
        trigger_event_id=row["trigger_event_id"],
        depth=row["depth"],
        created_at=row["created_at"],
        state=EnrolmentState(row["state"]),
        node_id=row["node_id"],
        visit=row["visit"],
        wait=WaitReason(row["rest"]),
        wake_at=row["wake_at"],
    )
    return StoredEnrolment(enrolment, row["updated_at"])
