"""The SQL of simulations: what was asked, who works on it, what it found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from services.journey.domain.simulation_work import (
    KEPT_MAX,
    AskedSimulation,
    SimulationState,
    StoredSimulation,
)
from services.journey.store import codec
from services.journey.store.book import BOOK

SimulationKey = tuple[UUID, UUID]
"""Team and simulation."""


class SimulationStore:
    """Keeps simulations. Methods with a connection run in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self.pool = pool

    async def insert(self, connection: Connection, asked: AskedSimulation, now: datetime) -> None:
        """Keeps one that waits; the oldest of the team that have ended go."""
        await connection.execute(
            *BOOK.bind(
                "insert_simulation",
                **_key((asked.team_id, asked.simulation_id)),
                journey_id=asked.journey_id,
                definition=codec.definition_text(asked.definition),
                start_at=asked.start,
                end_at=asked.end,
                created_at=now,
            )
        )
        await connection.execute(*BOOK.bind("forget_simulations", team_id=asked.team_id, kept=KEPT_MAX))

    async def count_unfinished(self, connection: Connection, team_id: UUID) -> int:
        """How many of a team wait or run."""
        count = await connection.fetchval(*BOOK.bind("count_unfinished_simulations", team_id=team_id))
        return int(count)

    async def read(self, key: SimulationKey) -> StoredSimulation:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            return _found(await connection.fetchrow(*BOOK.bind("read_simulation", **_key(key))), key)

    async def lock(self, connection: Connection, key: SimulationKey) -> StoredSimulation:
        """One, locked until the transaction ends. Raises NotFound."""
        return _found(await connection.fetchrow(*BOOK.bind("lock_simulation", **_key(key))), key)

    async def page(
        self, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredSimulation]:
        """A page, newest first."""
        created_at, simulation_id = after or (None, None)
        query = BOOK.bind(
            "list_simulations",
            team_id=team_id,
            after_created_at=created_at,
            after_simulation_id=simulation_id,
            row_max=limit,
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [_simulation(row) for row in await connection.fetch(*query)]

    async def cancel(self, connection: Connection, key: SimulationKey, now: datetime) -> None:
        """Ends one that has not ended; whoever works on it finds out when it notes how far it is."""
        await connection.execute(*BOOK.bind("cancel_simulation", **_key(key), ended_at=now))

    # -- of whoever works on it ---------------------------------------------------------------------------------

    async def claim(self, own: UUID, claim_s: float) -> SimulationKey | None:
        """Claims one of any team for so many real seconds; None if nothing waits."""
        row = await self.pool.fetchrow(*BOOK.bind("claim_simulation", own=own, claim_s=claim_s))
        return (row["team_id"], row["simulation_id"]) if row is not None else None

    async def note(
        self, key: SimulationKey, own: UUID, done: int, claim_s: float, counts: bytes | None = None
    ) -> bool:
        """Notes how far it is, with counts if there are new ones, and renews the claim; False if it is not the claim's
        any more."""
        query = BOOK.bind("note_simulated", **_key(key), own=own, done=done, claim_s=claim_s, counts=counts)
        async with transaction(self.pool, [key[0]]) as connection:
            return bool(await connection.fetchval(*query))

    async def leave(self, key: SimulationKey, own: UUID, tries: int, pause_s: float) -> None:
        """Gives it back, to be begun again after so many real seconds."""
        query = BOOK.bind("leave_simulation", **_key(key), own=own, tries=tries, pause_s=pause_s)
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)

    async def end(
        self,
        key: SimulationKey,
        own: UUID,
        done: int,
        now: datetime,
        *,
        findings: bytes | None = None,
        reason: str = "",
        message: str = "",
    ) -> None:
        """Ends it, with findings or with the reason why there are none; nothing if it is not the claim's."""
        state = SimulationState.FAILED if findings is None else SimulationState.SUCCEEDED
        query = BOOK.bind(
            "end_simulation",
            **_key(key),
            own=own,
            state=state,
            done=done,
            reason=reason,
            message=message,
            findings=findings,
            ended_at=now,
        )
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)


def _key(key: SimulationKey) -> dict[str, Any]:
    return {"team_id": key[0], "simulation_id": key[1]}


def _found(row: Mapping[str, Any] | None, key: SimulationKey) -> StoredSimulation:
    if row is None:
        raise NotFound.of("operation", key[1])
    return _simulation(row)


def _simulation(row: Mapping[str, Any]) -> StoredSimulation:
    return StoredSimulation(
        asked=AskedSimulation(
            team_id=row["team_id"],
            simulation_id=row["simulation_id"],
            journey_id=row["journey_id"],
            definition=codec.read_definition(row["definition"]),
            start=row["start_at"],
            end=row["end_at"],
        ),
        state=SimulationState(row["state"]),
        done=row["done"],
        tries=row["tries"],
        reason=row["reason"],
        message=row["message"],
        findings=row["findings"],
        counts=row["counts"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
