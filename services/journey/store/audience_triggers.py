"""The SQL of audience triggers: what was asked, how far it is, who is found, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.mailbox.mail import MailSource
from services.journey.domain import audience_trigger as d
from services.journey.domain.audience_trigger import (
    KEPT_MAX,
    AskedAudienceTrigger,
    Outcome,
    StoredAudienceTrigger,
    TriggerState,
)
from services.journey.domain.simulation_work import SimulationState as State
from services.journey.store.book import BOOK

AudienceTriggerKey = tuple[UUID, UUID]
"""Team and operation."""
_COUNTS: Final[Mapping[Outcome, str]] = {
    d.ENROLLED: "enrolled",
    d.OVER_CUSTOMER_LIMIT: "over_customer_limit",
    d.OVER_LIVE_LIMIT: "over_live_limit",
    d.OVER_PLAN_LIMIT: "over_plan_limit",
    d.NOT_LIVE: "not_live",
    d.WAITS: "set_aside",
    d.DROPPED: "dropped",
}
"""The column of each outcome."""


class Claim(NamedTuple):
    """A step that is to be taken by whoever has this."""

    key: AudienceTriggerKey
    version: int


class AudienceTriggerStore:
    """Keeps audience triggers. Methods with a connection run in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    async def insert(self, connection: Connection, asked: AskedAudienceTrigger, now: datetime) -> None:
        """Keeps one that waits; the oldest of the team that have ended go."""
        await connection.execute(
            *BOOK.bind(
                "insert_audience_trigger",
                **_ids((asked.team_id, asked.operation_id)),
                journey_id=asked.journey_id,
                audience_id=asked.audience_id,
                audience=asked.audience,
                rate=asked.rate,
                created_at=now,
            )
        )
        await connection.execute(*BOOK.bind("forget_audience_triggers", team_id=asked.team_id, kept=KEPT_MAX))

    async def count_unfinished(self, connection: Connection, team_id: UUID) -> int:
        """How many of a team wait or run."""
        return int(
            await connection.fetchval(*BOOK.bind("count_unfinished_audience_triggers", team_id=team_id))
        )

    async def read(self, key: AudienceTriggerKey) -> StoredAudienceTrigger:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            return _found(await connection.fetchrow(*BOOK.bind("read_audience_trigger", **_ids(key))), key)

    async def lock(self, connection: Connection, key: AudienceTriggerKey) -> StoredAudienceTrigger:
        """One, locked until the transaction ends. Raises NotFound."""
        return _found(await connection.fetchrow(*BOOK.bind("lock_audience_trigger", **_ids(key))), key)

    async def page(
        self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredAudienceTrigger]:
        """A page, newest first."""
        created_at, operation_id = after or (None, None)
        query = BOOK.bind(
            "list_audience_triggers",
            team_id=team_id,
            after_created_at=created_at,
            after_operation_id=operation_id,
            row_max=limit,
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [_stored(row) for row in await connection.fetch(*query)]

    async def pause(self, connection: Connection, key: AudienceTriggerKey, *, paused: bool) -> None:
        """Holds one that has not ended, or lets it go on."""
        await connection.execute(*BOOK.bind("pause_audience_trigger", **_ids(key), paused=paused))

    async def end(
        self,
        connection: Connection,
        key: AudienceTriggerKey,
        state: State,
        now: datetime,
        *,
        reason: str = "",
        message: str = "",
    ) -> None:
        """Ends one that has not ended; who was not triggered is forgotten."""
        fields = {"state": state, "reason": reason, "message": message, "ended_at": now}
        await connection.execute(*BOOK.bind("end_audience_trigger", **_ids(key), **fields))
        await self.forget_pages(connection, key)

    async def forget_pages(self, connection: Connection, key: AudienceTriggerKey) -> None:
        """Forgets customers of whom nothing is to be done any more."""
        await connection.execute(*BOOK.bind("forget_settled_pages", **_ids(key)))

    # -- of whoever takes a step --------------------------------------------------------------------------------

    async def claim(self, claim_s: float) -> Claim | float | None:
        """Claims a step of any team for so many real seconds; else how many there are until one is due, if any: below
        0 where another process claims it in this moment."""
        row = await self.pool.fetchrow(*BOOK.bind("claim_audience_trigger", claim_s=claim_s))
        if row["team_id"] is None:
            return None if row["wait_s"] is None else float(row["wait_s"])
        return Claim((row["team_id"], row["operation_id"]), row["version"])

    async def due(self, claim: Claim, pause_s: float, *, failed: bool) -> None:
        """Has the next step taken after so many real seconds; nothing if it is not the claim's any more."""
        query = BOOK.bind(
            "due_audience_trigger",
            **_ids(claim.key),
            version=claim.version,
            pause_s=pause_s,
            failed=failed,
        )
        async with transaction(self.pool, [claim.key[0]]) as connection:
            await connection.execute(*query)

    async def add_found(
        self,
        connection: Connection,
        stored: StoredAudienceTrigger,
        customers: Sequence[UUID],
        through: UUID | None,
        *,
        found_all: bool,
        claim_s: float,
    ) -> None:
        """Keeps customers of the audience after those that are found; renews the claim."""
        key = _key(stored)
        if customers:
            ids = list(customers)
            await connection.execute(
                *BOOK.bind("add_found_customers", **_ids(key), first=stored.found, customer_ids=ids)
            )
        fields = {"count": len(customers), "through": through, "found_all": found_all, "claim_s": claim_s}
        await connection.execute(*BOOK.bind("note_found_customers", **_ids(key), **fields))

    async def customers(
        self, connection: Connection, stored: StoredAudienceTrigger, start: int, until: int
    ) -> list[UUID]:
        """Those of the places from `start` up to `until`."""
        query = BOOK.bind("customers_of_audience_trigger", **_ids(_key(stored)), start=start, until=until)
        found: list[UUID] = []
        for first, ids in await connection.fetch(*query):
            found += ids[max(0, start - first) : until - first]
        return found

    async def room(self, connection: Connection, key: AudienceTriggerKey) -> int:
        """How many more customers one may trigger, exactly: others of the team wait until the transaction ends. Locked
        before the audience trigger itself."""
        await connection.execute(*BOOK.bind("hold_customers_in_flight", team_id=key[0]))
        row = await connection.fetchrow(*BOOK.bind("count_customers_in_flight", **_ids(key)))
        assert row is not None
        return d.room_of(row["of_team"], row["of_one"], row["sharing"])

    async def note_handed(
        self, connection: Connection, stored: StoredAudienceTrigger, count: int, now: datetime
    ) -> None:
        """The next so many are triggered."""
        query = BOOK.bind("note_handed_customers", **_ids(_key(stored)), count=count, now=now)
        await connection.execute(*query)

    async def note_settled(
        self, connection: Connection, stored: StoredAudienceTrigger, outcomes: Mapping[Outcome, int]
    ) -> None:
        """Outcomes of the next ones whose outcome was not known; pages that are done with go."""
        counts = {column: outcomes.get(outcome, 0) for outcome, column in _COUNTS.items()}
        query = BOOK.bind(
            "note_settled_customers", **_ids(_key(stored)), count=sum(counts.values()), **counts
        )
        await connection.execute(*query)
        await self.forget_pages(connection, _key(stored))

    async def states(
        self,
        team_id: UUID,
        journey_id: UUID,
        request_keys: Sequence[UUID],
        enrolment_ids: Sequence[UUID],
    ) -> list[TriggerState | None]:
        """What is kept of triggers of a journey, in order; None of one that was not mailed.

        `enrolment_ids` are what each leads to, if it leads to an enrolment."""
        query = BOOK.bind(
            "states_of_triggers",
            team_id=team_id,
            journey_id=journey_id,
            request_keys=list(request_keys),
            enrolment_ids=list(enrolment_ids),
            source=MailSource.JOURNEY,
        )
        found: list[TriggerState | None] = [None] * len(request_keys)
        async with transaction(self.pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        for place, *state in rows:
            found[place - 1] = TriggerState(*state)
        return found


def _ids(key: AudienceTriggerKey) -> dict[str, Any]:
    return {"team_id": key[0], "operation_id": key[1]}


def _key(stored: StoredAudienceTrigger) -> AudienceTriggerKey:
    return stored.asked.team_id, stored.asked.operation_id


def _found(row: Mapping[str, Any] | None, key: AudienceTriggerKey) -> StoredAudienceTrigger:
    if row is None:
        raise NotFound.of("operation", key[1])
    return _stored(row)


def _stored(row: Mapping[str, Any]) -> StoredAudienceTrigger:
    return StoredAudienceTrigger(
        asked=AskedAudienceTrigger(
            team_id=row["team_id"],
            operation_id=row["operation_id"],
            journey_id=row["journey_id"],
            audience_id=row["audience_id"],
            audience=row["audience"],
            rate=row["rate"],
        ),
        state=State(row["state"]),
        paused=row["paused"],
        version=row["version"],
        tries=row["tries"],
        found=row["found"],
        found_all=row["found_all"],
        through=row["through"],
        handed=row["handed"],
        settled=row["settled"],
        outcomes={outcome: row[column] for outcome, column in _COUNTS.items() if row[column]},
        reason=row["reason"],
        message=row["message"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )
