"""Reading rows of which one may hold a time that the driver cannot turn into a `datetime`.

PostgreSQL has the years 4713 BC to 294276, Python 1 to 9999: one other time, however it came into a table, makes the
driver raise for the whole answer. What serves all teams reads by `read_rows` or `read_alone`: the answer is then read
again with `UnreadableTime` in its place, and the other rows are as they are.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from libs.common.db.pool import Connection, Pool, connection_of
from libs.common.times import UnreadableTime

_TYPE: Final = {"typename": "timestamptz", "schema": "pg_catalog"}
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL's."""
_MICROSECOND: Final = timedelta(microseconds=1)

_log = structlog.get_logger(__name__)


async def read_rows(connection: Connection, query: str, *arguments: Any) -> list[Any]:
    """Rows of a statement that may run twice; times that cannot be read are `UnreadableTime`. Raises the driver's
    errors."""
    try:
        return await connection.fetch(query, *arguments)
    except OverflowError:
        _log.warning("a row has a time that cannot be read", query=query)
    async with times_of_any_year(connection):
        return await connection.fetch(query, *arguments)


async def read_alone(pool: Pool, query: str, *arguments: Any) -> list[Any]:
    """The same of a statement that is a transaction by itself. Raises as `fetch_alone`."""
    async with connection_of(pool) as connection:
        return await read_rows(connection, query, *arguments)


@asynccontextmanager
async def times_of_any_year(connection: Connection) -> AsyncIterator[None]:
    """Within the block the connection reads times that it cannot hold as `UnreadableTime`; its columns only, not what
    lies in composite values. It costs two round trips and the connection's prepared statements."""
    await connection.set_type_codec(**_TYPE, encoder=_encoded, decoder=_decoded, format="tuple")
    try:
        yield
    finally:
        if not connection.is_closed():
            await _restore(connection)


async def _restore(connection: Connection) -> None:
    """Nobody may get a connection that reads otherwise than the others."""
    try:
        await connection.reset_type_codec(**_TYPE)
    except BaseException:
        connection.terminate()
        raise


def _encoded(at: datetime) -> tuple[int]:
    return ((at - _EPOCH) // _MICROSECOND,)


def _decoded(value: tuple[int]) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=value[0])
    except OverflowError:
        return UnreadableTime.before() if value[0] < 0 else UnreadableTime.after()
