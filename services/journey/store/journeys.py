"""The SQL of journeys: their definitions, revisions and status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common import paging
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.rpc.servicing import check_etag
from libs.common.text import fold, trimmed
from services.journey.domain.circles import Chained, chained_of
from services.journey.domain.model import (
    Definition,
    Journey,
    JourneyStatus,
    StatusReason,
)
from services.journey.domain.references import ReferenceKind
from services.journey.domain.status import labels_of
from services.journey.domain.views import (
    TRIGGER_TYPES,
    JourneyFilter,
    ListedJourney,
    StoredRevision,
    StoredStatusChange,
)
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.history import append_status
from services.journey.store.resting import RestingStore

BY_ITSELF: Final = "journey"
"""Who changes a status where nobody asked for it."""


class JourneyStore:
    """Reads and changes journeys. Methods with a connection run in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    # -- journeys -----------------------------------------------------------------------------------------------

    async def create(self, connection: Connection, journey: Journey, actor: str) -> None:
        """Inserts a draft and its first revision."""
        await connection.execute(
            *BOOK.bind(
                "insert_journey",
                team_id=journey.team_id,
                journey_id=journey.journey_id,
                now=journey.created_at,
                **_definition_columns(journey.definition),
            )
        )
        await self._revision(connection, journey, actor, journey.created_at)

    async def get(self, team_id: UUID, journey_id: UUID) -> Journey:
        """One journey. Raises NotFound."""
        async with transaction(self.pool, [team_id]) as connection:
            query = BOOK.bind("get_journey", team_id=team_id, journey_id=journey_id)
            return _found(await connection.fetchrow(*query), journey_id)

    async def get_deleted_too(self, team_id: UUID, journey_id: UUID) -> Journey:
        """One journey, deleted or not. Raises NotFound."""
        found = await self.by_ids(team_id, [journey_id])
        if not found:
            raise NotFound.of("journey", journey_id)
        return found[0]

    async def by_ids(self, team_id: UUID, journey_ids: Iterable[UUID]) -> list[Journey]:
        """Those of these journeys that are there; deleted ones among them."""
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*BOOK.bind("journeys_by_id", journey_ids=list(journey_ids)))
        return [codec.journey_from(row) for row in rows]

    async def named(self, connection: Connection, team_id: UUID, name: str) -> list[UUID]:
        """The journeys of a name, two at most; until the transaction ends nobody else who asks makes one."""
        await connection.execute(*BOOK.bind("hold_name", team_id=team_id, name=name))
        rows = await connection.fetch(*BOOK.bind("journeys_named", team_id=team_id, name=name))
        return [row["journey_id"] for row in rows]

    async def get_for_change(
        self, connection: Connection, team_id: UUID, journey_id: UUID, etag: str = ""
    ) -> Journey:
        """One journey, locked until the transaction ends. Raises NotFound, Aborted `ETAG_MISMATCH`."""
        query = BOOK.bind("get_journey_for_change", team_id=team_id, journey_id=journey_id)
        row = await connection.fetchrow(*query)
        journey = _found(row, journey_id)
        check_etag(etag, journey.version)
        return journey

    async def page(
        self,
        team_id: UUID,
        wanted: JourneyFilter,
        after: tuple[datetime, UUID] | None,
        *,
        limit: int,
        now: datetime,
    ) -> list[ListedJourney]:
        """A page of journeys, newest first, after the keyset of the page before; statuses are those of `now`."""
        created_at, journey_id = after or (None, None)
        query = BOOK.bind(
            "list_journeys",
            team_id=team_id,
            statuses=list(wanted.statuses) or None,
            labels=sorted(labels_of(wanted.statuses)),
            trigger_type=wanted.trigger_type or None,
            name_part=fold(trimmed(wanted.name_contains)) or None,
            after_created_at=created_at,
            after_journey_id=journey_id,
            limit=limit,
            now=now,
        )
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        return [
            ListedJourney(
                codec.journey_from(row),
                row["trigger_type"],
                row["subject"],
                row["actor"],
                row["changed_at"],
            )
            for row in rows
        ]

    async def update_definition(
        self,
        connection: Connection,
        journey: Journey,
        definition: Definition,
        actor: str,
        now: datetime,
        *,
        recalls: bool = False,
    ) -> Journey:
        """Writes an accepted edit and its revision; returns the journey after it.

        It `recalls` sends that wait: the gateway is asked to put them off.
        """
        await connection.execute(
            *BOOK.bind(
                "update_definition",
                team_id=journey.team_id,
                journey_id=journey.journey_id,
                now=now,
                recalls=int(recalls),
                **_definition_columns(definition),
            )
        )
        edited = msgspec.structs.replace(
            journey,
            definition=definition,
            revision=journey.revision + 1,
            version=journey.version + 1,
            stop_epoch=journey.stop_epoch + recalls,
            recall_epoch=journey.stop_epoch + 1 if recalls else journey.recall_epoch,
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
        subject: str = "",
        actor: str = BY_ITSELF,
    ) -> Journey:
        """Changes a journey that `get_for_change` returned, with its history; returns it after the change.

        `subject` names what was missing or used up, `actor` who asked for it.
        """
        published_at = journey.published_at or now
        await connection.execute(
            *BOOK.bind(
                "change_status",
                team_id=journey.team_id,
                journey_id=journey.journey_id,
                status=after,
                reason=reason,
                stops=int(stops_sends),
                now=now,
                published_at=published_at,
                before=journey.status,
                subject=subject,
                actor=actor,
            )
        )
        record = codec.StatusRecord(journey.status, after, reason, journey.definition.name)
        await append_status(connection, journey, record, now)
        return msgspec.structs.replace(
            journey,
            status=after,
            reason=reason,
            version=journey.version + 1,
            stop_epoch=journey.stop_epoch + stops_sends,
            updated_at=now,
            published_at=published_at,
        )

    async def raise_brake(self, connection: Connection, journey: Journey, now: datetime) -> Journey:
        """Makes the gateway stop what it holds of a journey that stops by itself; returns it after the change."""
        query = BOOK.bind("raise_brake", team_id=journey.team_id, journey_id=journey.journey_id, now=now)
        await connection.execute(*query)
        return msgspec.structs.replace(
            journey, stop_epoch=journey.stop_epoch + 1, version=journey.version + 1, updated_at=now
        )

    async def acknowledge(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """Keeps that the gateway starts no attempt of an epoch before `epoch` any more."""
        async with transaction(self.pool, [team_id]) as connection:
            query = BOOK.bind("acknowledge_brake", team_id=team_id, journey_id=journey_id, epoch=epoch)
            await connection.execute(*query)

    async def wake_resting(self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime) -> None:
        """See `RestingStore.wake`."""
        await RestingStore(self.pool).wake(team_id, journey_id, epoch, now)

    async def delete(self, connection: Connection, journey: Journey, now: datetime) -> None:
        """Removes a journey from lists; its history stays."""
        query = BOOK.bind("delete_journey", team_id=journey.team_id, journey_id=journey.journey_id, now=now)
        await connection.execute(*query)

    async def revisions(
        self, team_id: UUID, journey_id: UUID, before: int, limit: int
    ) -> tuple[list[StoredRevision], bool]:
        """Revisions with a lower number than `before`, newest first, no more once they have `PAGE_BYTES_MAX`; whether
        there may be more for that."""
        query = BOOK.bind(
            "list_revisions",
            team_id=team_id,
            journey_id=journey_id,
            before=before,
            limit=limit,
            bytes_max=paging.PAGE_BYTES_MAX,
        )
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        found = [
            StoredRevision(
                row["revision"], codec.read_definition(row["definition"]), row["actor"], row["created_at"]
            )
            for row in rows
        ]
        return found, bool(rows) and rows[-1]["bytes"] >= paging.PAGE_BYTES_MAX

    async def revision(self, team_id: UUID, journey_id: UUID, number: int) -> StoredRevision:
        """One revision. Raises NotFound."""
        found, _ = await self.revisions(team_id, journey_id, number + 1, 1)
        if not found or found[0].revision != number:
            raise NotFound.of("revision", str(number))
        return found[0]

    async def status_changes(
        self, team_id: UUID, journey_id: UUID, before: int, limit: int
    ) -> list[StoredStatusChange]:
        """Changes of status that led to a lower version of the journey than `before`, newest first."""
        query = BOOK.bind(
            "list_status_changes", team_id=team_id, journey_id=journey_id, before_version=before, limit=limit
        )
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        return [
            StoredStatusChange(
                row["version"],
                JourneyStatus(row["before"]),
                JourneyStatus(row["after"]),
                StatusReason(row["reason"]),
                row["subject"],
                row["actor"],
                row["changed_at"],
            )
            for row in rows
        ]

    async def chained(self, team_id: UUID) -> list[Chained]:
        """Journeys that customers may enter as links of circles, by what they are noted to name."""
        kinds = [ReferenceKind.TAG, ReferenceKind.ATTRIBUTE]
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*BOOK.bind("chained_journeys", team_id=team_id, kinds=kinds))
        return [
            chained_of(journey_id, name, [((row["kind"], row["thing"]), row["fields"]) for row in named])
            for (journey_id, name), named in groupby(rows, key=itemgetter("journey_id", "name"))
        ]

    async def _revision(self, connection: Connection, journey: Journey, actor: str, now: datetime) -> None:
        await connection.execute(
            *BOOK.bind(
                "insert_revision",
                team_id=journey.team_id,
                journey_id=journey.journey_id,
                revision=journey.revision,
                definition=codec.definition_text(journey.definition),
                actor=actor,
                now=now,
            )
        )

    # -- changes by themselves ----------------------------------------------------------------------------------

    async def changing_journeys(self, now: datetime) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that have to change by themselves at `now`."""
        rows = await self.pool.fetch(*BOOK.bind("changing_journeys", now=now))
        return [(row["team_id"], row["journey_id"]) for row in rows]

    async def has_live_enrolments(self, connection: Connection, team_id: UUID, journey_id: UUID) -> bool:
        """Whether somebody is inside a journey who is not parked."""
        query = BOOK.bind("has_live_enrolments", team_id=team_id, journey_id=journey_id)
        return bool(await connection.fetchval(*query))


def _found(row: Mapping[str, Any] | None, journey_id: UUID) -> Journey:
    if row is None:
        raise NotFound.of("journey", journey_id)
    return codec.journey_from(row)


def _definition_columns(definition: Definition) -> dict[str, object]:
    schedule = definition.schedule
    return {
        "name": definition.name,
        "name_folded": fold(definition.name),
        "trigger_type": TRIGGER_TYPES[type(definition.trigger)] if definition.trigger else "",
        "definition": codec.definition_text(definition),
        "starts_at": schedule.start if schedule else None,
        "ends_at": schedule.end if schedule else None,
    }
