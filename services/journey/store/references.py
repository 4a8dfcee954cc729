"""The SQL of what journeys name in other services: the index, what is gone, and the histories that tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.logging import about
from services.journey.convert.references import named_by
from services.journey.domain.lifecycle import stopped_by_itself
from services.journey.domain.model import JourneyStatus, StatusReason
from services.journey.domain.references import STOPS, Change, Reference, ReferenceKind
from services.journey.domain.views import Referring
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.journeys import JourneyStore

_log = structlog.get_logger(__name__)


class FollowedSource(IntEnum):
    """A history that is followed; the numbers are stored."""

    SEGMENT = 1
    GATEWAY = 2


class Stop(NamedTuple):
    """Why a journey has to stop: what it names, itself or by a bot module, and is gone or is another now.

    What is gone for good or archived (`lasting`) may be there again by the time that the journey is stopped.
    """

    reason: StatusReason
    thing: str
    lasting: bool = False


Stops = Mapping[tuple[UUID, UUID], Sequence[Stop]]
"""Journeys (team, journey) that have to stop, and why, each reason by itself."""


class Naming(NamedTuple):
    """A journey that names a thing, and since when."""

    thing: str
    journey_id: UUID
    since: datetime


class ReferenceStore:
    """Keeps the index, and stops journeys that name what is gone. Raises the driver's errors."""

    def __init__(self, pool: Pool, journeys: JourneyStore) -> None:
        """`journeys` of the same pool."""
        self._pool = pool
        self._journeys = journeys

    # -- the index ----------------------------------------------------------------------------------------------

    async def unindexed(self, team_id: UUID | None, limit: int) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that were changed since their references were noted; None: of all teams."""
        rows = await self._pool.fetch(*BOOK.bind("unindexed_journeys", team_id=team_id, limit=limit))
        return [(row["team_id"], row["journey_id"]) for row in rows]

    async def index(self, team_id: UUID, journey_id: UUID, now: datetime) -> tuple[int, Stops]:
        """Notes what a journey names now; returns its version, and whether it has to stop for something that is gone.
        It counts as changed until `note_indexed`."""
        named = {"team_id": team_id, "journey_id": journey_id}
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(BOOK["hold_references"])
            row = await connection.fetchrow(*BOOK.bind("journey_to_index", **named))
            if row is None:
                return 0, {}
            references = _references(row["definition"], **named)
            things = {
                "kinds": [each.kind for each in references],
                "things": [each.thing for each in references],
            }
            await connection.execute(*BOOK.bind("delete_references", **named, **things))
            fields = ["\n".join(each.fields) for each in references]
            since = row["since"] or now
            written = BOOK.bind("write_references", **named, **things, fields=fields, since=since)
            await connection.execute(*written)
            return row["version"], await _without(connection, [], [(team_id, journey_id)])

    async def note_indexed(self, team_id: UUID, journey_id: UUID, version: int) -> None:
        """What the journey names is noted as of a version."""
        named = {"team_id": team_id, "journey_id": journey_id, "version": version}
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*BOOK.bind("note_indexed", **named))

    async def naming(self, team_id: UUID, kind: ReferenceKind) -> list[Naming]:
        """Who names things of a kind, in the order of these, of journeys that are or may become live."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*BOOK.bind("live_journeys_naming", team_id=team_id, kind=kind))
        return [Naming(row["thing"], row["journey_id"], row["since"]) for row in rows]

    async def referring(
        self,
        team_id: UUID,
        things: Collection[tuple[ReferenceKind, str]],
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Referring]:
        """Journeys that name any of some things, newest first, after the keyset of the page before."""
        created_at, journey_id = after or (None, None)
        query = BOOK.bind(
            "referring_journeys",
            team_id=team_id,
            kinds=[kind for kind, _ in things],
            things=[thing for _, thing in things],
            after_created_at=created_at,
            after_journey_id=journey_id,
            limit=limit,
        )
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        return [
            Referring(
                row["journey_id"],
                row["name"],
                JourneyStatus(row["status"]),
                tuple(dict.fromkeys(row["fields"])),
                row["created_at"],
            )
            for row in rows
        ]

    # -- what is gone -------------------------------------------------------------------------------------------

    async def cursors(self, source: FollowedSource) -> dict[int, int]:
        """Partition → position up to which a history is taken."""
        rows = await self._pool.fetch(*BOOK.bind("followed_cursors", source=source))
        return {row["partition"]: row["position"] for row in rows}

    async def note(self, changes: Sequence[Change]) -> Stops:
        """Notes what became of things; returns the live journeys that name them. Noted again it changes nothing."""
        if not changes:
            return {}
        async with transaction(self._pool, {change.team_id for change in changes}) as connection:
            await connection.execute(BOOK["hold_references"])
            # In their order: what was archived and restored is there again.
            for change in changes:
                await _note(connection, change)
            return await _without(connection, [change for change in changes if not change.back], [])

    async def stop(self, stops: Mapping[tuple[UUID, UUID], Stop], now: datetime) -> int:
        """Stops journeys, those that are live; returns how many those are. Each alone: a journey is locked before the
        history's heads, by everybody."""
        stopped = 0
        for (team_id, journey_id), why in sorted(stops.items(), key=lambda item: item[0]):
            async with transaction(self._pool, [team_id]) as connection:
                try:
                    journey = await self._journeys.get_for_change(connection, team_id, journey_id)
                except NotFound:
                    continue  # deleted meanwhile
                after = stopped_by_itself(journey, why.reason)
                if after is not None:
                    await self._journeys.change_status(
                        connection, journey, after, now, reason=why.reason, subject=why.thing
                    )
                    stopped += 1
        return stopped

    async def take(self, source: FollowedSource, before: Mapping[int, int], after: Mapping[int, int]) -> None:
        """Moves the cursors of a history past what is noted. Raises CursorMovedError."""
        async with transaction(self._pool, ()) as connection:
            await self._move(connection, source, before, after)

    async def set_aside(
        self,
        source: FollowedSource,
        before: Mapping[int, int],
        after: Mapping[int, int],
        at: tuple[int, int],
        reason: str,
    ) -> None:
        """Moves the cursors past the row at (partition, position), and keeps the reason. Raises CursorMovedError."""
        place = {"source": source, "partition": at[0], "position": at[1]}
        async with transaction(self._pool, ()) as connection:
            await self._move(connection, source, before, after)
            await connection.execute(*BOOK.bind("set_followed_row_aside", **place, reason=reason))

    async def _move(
        self,
        connection: Connection,
        source: FollowedSource,
        before: Mapping[int, int],
        after: Mapping[int, int],
    ) -> None:
        moves = steps(before, after)
        with cursors_checked():
            await connection.execute(*BOOK.bind("move_followed_cursors", source=source, steps=moves))


async def _without(
    connection: Connection, changes: Sequence[Change], journeys: Sequence[tuple[UUID, UUID]]
) -> Stops:
    """Live journeys that name what has changed, or of those given that name anything that is gone."""
    rows = await connection.fetch(
        *BOOK.bind(
            "journeys_without",
            teams=[each.team_id for each in changes] + [team_id for team_id, _ in journeys],
            kinds=[each.kind for each in changes] + [0 for _ in journeys],
            things=[each.thing for each in changes] + ["" for _ in journeys],
            journeys=[journey_id for _, journey_id in journeys],
        )
    )
    stops: dict[tuple[UUID, UUID], list[Stop]] = {}
    for row in rows:
        if (kind := ReferenceKind(row["kind"])) in STOPS:
            why = Stop(STOPS[kind], row["thing"], row["lasting"])
            stops.setdefault((row["team_id"], row["journey_id"]), []).append(why)
    return stops


async def _note(connection: Connection, change: Change) -> None:
    named = {"teams": [change.team_id], "kinds": [change.kind], "things": [change.thing]}
    if change.back:
        await connection.execute(*BOOK.bind("note_back", **named))
    else:
        noted = BOOK.bind("note_gone", **named, lasting=[change.lasting], at=[change.at])
        await connection.execute(*noted)


def _references(definition: str, team_id: UUID, journey_id: UUID) -> tuple[Reference, ...]:
    try:
        return named_by(codec.read_definition(definition))
    except (msgspec.MsgspecError, ValueError):
        _log.exception(
            "a definition cannot be read: nobody knows what it names",
            **about(team_id=team_id, journey_id=journey_id),
        )
        return ()
