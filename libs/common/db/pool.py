"""Connection pools, and transactions that see the rows of some teams only.

Tenant tables are under row-level security (`SELECT platform.hold_teams_apart('table')` in their migration). A service's
role neither owns its tables nor bypasses their policies, so a statement outside `transaction`, or in one for other
teams, finds no row and can write none.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from libs.common.errors import ResourceExhausted

Pool: TypeAlias = "asyncpg.Pool[Any]"
Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"
"""What statements run on: a connection of its own or one lent by a pool."""

CONNECT_TIMEOUT_S: Final = 10.0
ACQUIRE_TIMEOUT_S: Final = 10.0
"""Longest wait for a free connection; longer means that the pool is too small for what runs at once."""
COMMAND_TIMEOUT_S: Final = 30.0
"""Longest a statement may take, enforced here; the server gives up a little later."""
_STATEMENT_TIMEOUT_MS: Final = 35_000
_LOCK_TIMEOUT_MS: Final = 20_000
_IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 60_000
"""A process that stands still (stopped, paged out) loses its transaction and with it its row locks."""
_STATEMENT_CACHE_SIZE: Final = 256
_IDLE_CONNECTION_LIFETIME_S: Final = 300.0


async def open_pool(dsn: str, *, name: str, size_min: int = 1, size_max: int = 8) -> Pool:
    """A pool of connections to `dsn`; `name` is the application name that the server shows.

    Raises the driver's error when the server cannot be reached within CONNECT_TIMEOUT_S.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=size_min,
        max_size=size_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        statement_cache_size=_STATEMENT_CACHE_SIZE,
        max_inactive_connection_lifetime=_IDLE_CONNECTION_LIFETIME_S,
        reset=_keep,
        server_settings=_server_settings(name),
    )


async def _keep(connection: Connection) -> None:
    """Connections go back as they are: whatever a transaction sets ends with it, and nobody holds session locks,
    cursors or listeners on a pool's connection. The driver's own reset would cost a round trip a transaction."""


def _server_settings(name: str) -> dict[str, str]:
    return {
        "application_name": name,
        "timezone": "UTC",
        # The value a session falls back to after each transaction: no team at all.
        "omnijourney.teams": "{}",
        "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(_LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "jit": "off",
        # A statement's plan is made once a connection. Made anew for each batch, as the server prefers where a batch's
        # arrays are short, plans cost more than many of the statements. `replanned` is for those that it does not fit.
        "plan_cache_mode": "force_generic_plan",
    }


@contextlib.asynccontextmanager
async def connection_of(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for the block, outside any transaction and of no team.

    Raises ResourceExhausted `OVERLOADED` when none is free within ACQUIRE_TIMEOUT_S.
    """
    try:
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
    except TimeoutError as error:
        raise ResourceExhausted.overloaded("database connections", retry_after_s=1.0) from error
    try:
        yield connection
    finally:
        await pool.release(connection)


async def fetch_alone(pool: Pool, query: str, *arguments: Any) -> list[Any]:
    """The rows of one statement that is a transaction by itself: committed when this returns, in one round trip.

    It sees no team's rows unless it calls a function that binds itself to its teams (`platform.bind`). Raises
    ResourceExhausted `OVERLOADED` when no connection is free, and the driver's errors.
    """
    async with connection_of(pool) as connection:
        return await connection.fetch(query, *arguments)


@contextlib.asynccontextmanager
async def transaction(pool: Pool, teams: Iterable[UUID]) -> AsyncIterator[Connection]:
    """A transaction (read committed) that sees and writes rows of `teams` only; commits when the block ends well.

    Raises ResourceExhausted `OVERLOADED` when no connection is free, and the driver's errors.
    """
    async with connection_of(pool) as connection, _begun(connection, "BEGIN", teams):
        yield connection


@contextlib.asynccontextmanager
async def snapshot(pool: Pool, teams: Iterable[UUID]) -> AsyncIterator[Connection]:
    """A transaction that reads rows of `teams` only, all as of one moment (repeatable read), and writes nothing.

    Raises what `transaction` raises.
    """
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    async with connection_of(pool) as connection, _begun(connection, begin, teams):
        yield connection


async def replanned(connection: Connection) -> None:
    """Has the rest of the transaction plan each statement for the arguments that it is given: what searches by filters
    that may be absent, or over ranges of any length, wants that."""
    await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")


@contextlib.asynccontextmanager
async def _begun(connection: Connection, begin: str, teams: Iterable[UUID]) -> AsyncIterator[None]:
    """A transaction bound to `teams` in one round trip; the driver's own would take two."""
    bound = ",".join(team.hex for team in teams)  # hex digits only: safe inside a literal
    # No team at all is what the session says already.
    bind = f"; SELECT set_config('omnijourney.teams', '{{{bound}}}', true)" if bound else ""
    try:
        await connection.execute(begin + bind)
        yield
    except BaseException:
        await _roll_back(connection)
        raise
    await connection.execute("COMMIT")


async def _roll_back(connection: Connection) -> None:
    """Ends a transaction that failed. A connection on which that fails, too, is closed: nobody may get it half-way."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - what is to be told is the fault that led here, and the caller raises it
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


async def bind_teams(connection: Connection, teams: Iterable[UUID]) -> None:
    """Binds the running transaction to `teams`, instead of those it was bound to before."""
    await connection.execute("SELECT set_config('omnijourney.teams', $1, true)", _array(teams))


def _array(teams: Iterable[UUID]) -> str:
    return "{" + ",".join(str(team) for team in teams) + "}"
