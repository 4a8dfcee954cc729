"""Replays of stored webhooks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from libs.common.errors import NotFound, ResourceExhausted
from services.channel_gateway.domain.replays import RUNNING_MAX, STEP_MAX, Replay, ReplayState
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.rows import Row


async def create_replay(connection: Connection, replay: Replay) -> None:
    """Stores a replay that is to run. Raises ResourceExhausted where too many run."""
    running = await connection.fetchval(*QUERIES.bind("count_running_replays", team_id=replay.team_id))
    if running >= RUNNING_MAX:
        raise ResourceExhausted.overloaded("replays of the team", 1.0)
    await connection.execute(
        *QUERIES.bind(
            "create_replay",
            team_id=replay.team_id,
            replay_id=replay.replay_id,
            source=replay.source,
            start_time=replay.start_at,
            end_time=replay.end_at,
            refused_only=replay.refused_only,
            now=replay.created_at,
        )
    )


async def load_replay(connection: Connection, team_id: UUID, replay_id: UUID) -> Replay:
    """One replay. Raises NotFound."""
    row = await connection.fetchrow(*QUERIES.bind("get_replay", team_id=team_id, replay_id=replay_id))
    if row is None:
        raise NotFound.of("operation", replay_id)
    return _replay(row)


async def cancel_replay(connection: Connection, team_id: UUID, replay_id: UUID, now: datetime) -> Replay:
    """Ends a replay that runs; another one stays. Raises NotFound."""
    await connection.execute(*QUERIES.bind("cancel_replay", team_id=team_id, replay_id=replay_id, now=now))
    return await load_replay(connection, team_id, replay_id)


class ReplayStore:
    """Reads outside of writes, and the steps."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def replay(self, team_id: UUID, replay_id: UUID) -> Replay:
        """One replay. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await load_replay(connection, team_id, replay_id)

    async def list_replays(
        self, team_id: UUID, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Replay]:
        """A page of a team's replays, newest first."""
        created_at, last_id = before or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_replays", team_id=team_id, before_time=created_at, before_id=last_id, most=limit
                )
            )
        return [_replay(row) for row in rows]

    async def teams(self, most: int) -> list[UUID]:
        """Teams whose replays may go on. Raises the driver's errors."""
        rows = await self._pool.fetch(*QUERIES.bind("replaying_teams", most=most))
        return [row["team_id"] for row in rows]

    async def step(self, team_id: UUID, now: datetime) -> int:
        """Has the next webhooks of a team's oldest replay worked once more; how many. Raises the driver's errors."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*QUERIES.bind("hold_running_replay", team_id=team_id))
            return 0 if row is None else await _step(connection, _replay(row), now)


async def _step(connection: Connection, replay: Replay, now: datetime) -> int:
    query = QUERIES.bind(
        "restore_webhooks",
        team_id=replay.team_id,
        reached=replay.reached,
        start_time=replay.start_at,
        end_time=replay.end_at,
        source=replay.source,
        refused_only=replay.refused_only,
        most=STEP_MAX,
    )
    sequences = [row["sequence"] for row in await connection.fetch(*query)]
    await connection.execute(*QUERIES.bind("drop_refusals_of", team_id=replay.team_id, sequences=sequences))
    is_last = len(sequences) < STEP_MAX
    await connection.execute(
        *QUERIES.bind(
            "move_replay",
            team_id=replay.team_id,
            replay_id=replay.replay_id,
            reached=max(sequences, default=replay.reached),
            done_count=replay.done_count + len(sequences),
            state=int(ReplayState.SUCCEEDED if is_last else ReplayState.RUNNING),
            now=now,
        )
    )
    return len(sequences)


def _replay(row: Row) -> Replay:
    values = dict(row)
    values["state"] = ReplayState(values["state"])
    return Replay(*values.values())
