"""Connection pools, and transactions that see the rows of some teams only.

Tenant tables are under row-level security (`SELECT platform.hold_teams_apart('table')` in their migration). A service's
role neither owns its tables nor bypasses their policies, so a statement outside `transaction`, or in one for other
teams, finds no row and can write none.

What runs for a client of one team (`libs.common.callers.caller`) sees that team, whatever team it is asked for: another
one is refused here, and the database itself lets no such transaction see it (`platform.teams`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from libs.common.callers import caller
from libs.common.db import sessions
from libs.common.errors import NoConnection

Connection: TypeAlias = "asyncpg.Connection[Any]"
"""What statements run on."""

CONNECT_TIMEOUT_S: Final = 10.0
ACQUIRE_TIMEOUT_S: Final = 10.0
"""Longest wait for a free connection; longer means that the pool is too small for what runs at once."""
COMMAND_TIMEOUT_S: Final = 30.0
"""Longest a statement may take, enforced here; the server gives up a little later (`libs.common.db.sessions`)."""
_STATEMENT_CACHE_SIZE: Final = 256
_IDLE_CONNECTION_LIFETIME_S: Final = 300.0


class Pool:
    """Connections to one database, each used by one caller at a time, the one that was used last first.

    The driver's own pool runs a task for each acquisition and one for each release; where a statement takes 90 µs that
    is a third of it. Connections come back as they are: whatever a transaction sets ends with it, and nobody holds
    session locks, cursors or listeners on a pool's connection.
    """

    def __init__(self, connect: "Callable[[], Awaitable[Connection]]", size_max: int) -> None:
        """`connect` opens a connection; no more than `size_max` are open at any time."""
        self._connect = connect
        self._size_max = size_max
        self._size = 0
        """Connections that are open or being opened."""
        self._open: set[Connection] = set()
        self._free: list[tuple[Connection, float]] = []
        """With the real time of their return, which rises."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        """Each gets a connection, or None: there is room to open one."""
        self._closing = False
        self._all_back = asyncio.Event()

    async def acquire(self) -> Connection:
        """A connection, to be released. Raises TimeoutError when none is free within ACQUIRE_TIMEOUT_S, and the
        driver's errors."""
        if self._closing:
            raise asyncpg.InterfaceError("the pool is closing")
        while self._free:
            connection, _ = self._free.pop()
            if not connection.is_closed():
                return connection
            self._forget(connection)
        if self._size < self._size_max:
            self._size += 1
            return await self._open_one()
        return await self._wait() or await self._open_one()

    def release(self, connection: Connection) -> None:
        """Takes a connection back. One that was left within a transaction is closed."""
        if self._closing or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._forget(connection)
        elif (waiter := self._next_waiter()) is not None:
            waiter.set_result(connection)
        else:
            now = time.monotonic()
            self._free.append((connection, now))
            if now - self._free[0][1] > _IDLE_CONNECTION_LIFETIME_S:
                longest_unused, _ = self._free.pop(0)
                longest_unused.terminate()
                self._forget(longest_unused)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of one statement, see `fetch_alone`."""
        return await fetch_alone(self, query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> Any:
        """First row of one statement, None if there is none."""
        async with connection_of(self) as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """First value of the first row of one statement, None if there is no row."""
        async with connection_of(self) as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> str:
        """Status of one statement, or of several without arguments."""
        async with connection_of(self) as connection:
            return str(await connection.execute(query, *arguments))

    async def close(self) -> None:
        """Gives out no more, and ends when all connections are back and closed."""
        self._closing = True
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(asyncpg.InterfaceError("the pool is closing"))
        free, self._free = self._free, []
        for connection, _ in free:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
            self._forget(connection)
        if self._size:
            await self._all_back.wait()

    def terminate(self) -> None:
        """Closes all connections at once, even those in use."""
        self._closing = True
        for connection in self._open:
            connection.terminate()

    async def __aenter__(self) -> "Pool":
        """Itself; it is open from the start."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.close()

    async def _open_one(self) -> Connection:
        """A new connection, for which there is room already."""
        try:
            connection = await self._connect()
        except BaseException:
            self._make_room()
            raise
        self._open.add(connection)
        return connection

    async def _wait(self) -> "Connection | None":
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                return await waiter
        except BaseException:
            # A caller that stops waiting in the moment in which its turn comes passes the turn on.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                connection = waiter.result()
                self._make_room() if connection is None else self.release(connection)
            raise

    def _next_waiter(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._make_room()

    def _make_room(self) -> None:
        """A connection is no more: the caller that waits longest may open one."""
        waiter = None if self._closing else self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
            return
        self._size -= 1
        if self._closing and not self._size:
            self._all_back.set()


async def open_pool(dsn: str, *, name: str, size_max: int = 8, pooler: str = "") -> Pool:
    """A pool of connections to `dsn`; `name` is the application name that the server shows. `pooler`: `host:port` of a
    PgBouncer that hands out sessions by transaction, by which they go instead.

    Raises the driver's error when the server cannot be reached within CONNECT_TIMEOUT_S.
    """
    # A pooler refuses settings that it does not know (there they are the role's), and the next session has not prepared
    # what the one before has. A statement that is not kept is prepared and run in one exchange, by one session.
    settings = {"application_name": name, "timezone": "UTC", **({} if pooler else sessions.SETTINGS)}
    address = _by_way_of(pooler, dsn) if pooler else dsn

    async def connect() -> Connection:
        return await asyncpg.connect(
            address,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            statement_cache_size=0 if pooler else _STATEMENT_CACHE_SIZE,
            server_settings=settings,
        )

    pool = Pool(connect, size_max)
    pool.release(await pool.acquire())
    return pool


def _by_way_of(pooler: str, dsn: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{pooler}"))


class Acquired:
    """A connection for a block; what `connection_of` gives."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool) -> None:
        """Nothing is acquired before the block begins."""
        self._pool = pool

    async def __aenter__(self) -> Connection:
        """The connection."""
        self._connection = await _acquired(self._pool)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        """Releases it."""
        self._pool.release(self._connection)


async def _acquired(pool: Pool) -> Connection:
    try:
        return await pool.acquire()
    except TimeoutError as error:
        raise NoConnection.overloaded("database connections", retry_after_s=1.0) from error


def connection_of(pool: Pool) -> "Acquired | Transaction":
    """A connection for the block, of no team; outside any transaction, but for a client of one team, whose statements
    are one, so that functions which bind themselves are held to that team.

    Raises NoConnection `OVERLOADED` when none is free within ACQUIRE_TIMEOUT_S.
    """
    return Acquired(pool) if caller().team_id is None else Transaction(pool, "BEGIN", ())


async def fetch_alone(pool: Pool, query: str, *arguments: Any) -> list[Any]:
    """The rows of one statement that is a transaction by itself: committed when this returns, in one round trip, in
    three for a client of one team.

    It sees no team's rows unless it calls a function that binds itself to its teams (`platform.bind`). Raises
    NoConnection `OVERLOADED` when no connection is free, and the driver's errors.
    """
    async with connection_of(pool) as connection:
        return await connection.fetch(query, *arguments)


class Transaction:
    """A transaction for a block; what `transaction` and `snapshot` give. Begun and bound to its teams in one round
    trip; the driver's own would take two."""

    __slots__ = ("_begin", "_connection", "_pool")

    def __init__(self, pool: Pool, begin: str, teams: Iterable[UUID]) -> None:
        """Nothing happens before the block begins. Raises NotFound for a team that the caller does not see."""
        found = caller()
        if found.team_id is not None:
            teams = list(teams)
            found.require(teams)
            begin += f"; SELECT set_config('omnijourney.caller_team', '{found.team_id.hex}', true)"
        bound = ",".join([team.hex for team in teams])  # hex digits only: safe inside a literal
        # No team at all is what the session says already.
        bind = f"; SELECT set_config('omnijourney.teams', '{{{bound}}}', true)" if bound else ""
        self._begin = begin + bind
        self._pool = pool

    async def __aenter__(self) -> Connection:
        """The connection that it runs on."""
        self._connection = connection = await _acquired(self._pool)
        try:
            await connection.execute(self._begin)
        except BaseException:
            await self._end(connection, commit=False)
            raise
        return connection

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commits when the block ended well, else rolls back."""
        await self._end(self._connection, commit=kind is None)

    async def _end(self, connection: Connection, *, commit: bool) -> None:
        try:
            if commit:
                await connection.execute("COMMIT")
            else:
                await _roll_back(connection)
        finally:
            self._pool.release(connection)


def transaction(pool: Pool, teams: Iterable[UUID]) -> Transaction:
    """A transaction (read committed) that sees and writes rows of `teams` only; commits when the block ends well.

    Raises NotFound for a team that the caller does not see, NoConnection `OVERLOADED` when no connection is free,
    and the driver's errors.
    """
    return Transaction(pool, "BEGIN", teams)


def snapshot(pool: Pool, teams: Iterable[UUID]) -> Transaction:
    """A transaction that reads rows of `teams` only, all as of one moment (repeatable read), and writes nothing.

    Raises what `transaction` raises.
    """
    return Transaction(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", teams)


async def replanned(connection: Connection) -> None:
    """Has the rest of the transaction plan each statement for the arguments that it is given: what searches by filters
    that may be absent, or over ranges of any length, wants that."""
    await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")


async def _roll_back(connection: Connection) -> None:
    """Ends a transaction that failed. A connection on which that fails, too, is closed: nobody may get it half-way."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - what matters is the fault that led here, and the caller raises it
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


async def bind_teams(connection: Connection, teams: Iterable[UUID]) -> None:
    """Binds the running transaction to `teams`, instead of those it was bound to before. Raises NotFound for a team
    that the caller does not see."""
    teams = list(teams)
    caller().require(teams)
    await connection.execute("SELECT set_config('omnijourney.teams', $1, true)", _array(teams))


def _array(teams: Iterable[UUID]) -> str:
    return "{" + ",".join(str(team) for team in teams) + "}"
