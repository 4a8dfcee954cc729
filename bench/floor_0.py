"""Floors: the least that any implementation must do on the same servers, as plain scripts without services.

They write the rows that must be there in the end in the same batches, durably, and pass the messages through streams;
nothing is decided, looked up, checked against other writers or told to other processes. Rows are as narrow as the
facts allow.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
from redis.asyncio import Redis

from bench.field import Field
from bench.measure import chunks
from bench.usage import Usage
from libs.common.ids import new_id

BATCH: Final = 500
_BODY: Final = bytes(120)
_AT_ONCE: Final = 4
"""Batches under way at once: as many as there are callers of the load."""

_TABLES: Final = """
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE TABLE floor.event (customer uuid PRIMARY KEY, number bigint NOT NULL, body bytea NOT NULL);
CREATE TABLE floor.actor (customer uuid PRIMARY KEY, taken bigint NOT NULL) WITH (fillfactor = 75);
CREATE TABLE floor.enrolment (
    customer uuid PRIMARY KEY, journey uuid NOT NULL, state smallint NOT NULL, wake_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX ON floor.enrolment (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE floor.burst (enrolment uuid NOT NULL, number smallint NOT NULL, body bytea NOT NULL,
                          PRIMARY KEY (enrolment, number));
CREATE TABLE floor.delivery (key uuid PRIMARY KEY, state smallint NOT NULL, body bytea NOT NULL)
    WITH (fillfactor = 70);
CREATE TABLE floor.outcome (key uuid PRIMARY KEY, number bigint NOT NULL);
CREATE TABLE floor.account (customer uuid PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE floor.entry (key uuid PRIMARY KEY, customer uuid NOT NULL, delta bigint NOT NULL, body bytea NOT NULL);
"""
_EVENT: Final = "INSERT INTO floor.event SELECT c, 1, $2 FROM unnest($1::uuid[]) AS c"
_ACTOR: Final = (
    "INSERT INTO floor.actor SELECT c, 1 FROM unnest($1::uuid[]) AS c "
    "ON CONFLICT (customer) DO UPDATE SET taken = floor.actor.taken + 1"
)
_ENROL: Final = "INSERT INTO floor.enrolment SELECT c, $2, 1, $3 FROM unnest($1::uuid[]) AS c"
_MOVE: Final = "UPDATE floor.enrolment SET state = $2, wake_at = $3 WHERE customer = ANY ($1::uuid[])"
_BURST: Final = "INSERT INTO floor.burst SELECT c, $2, $3 FROM unnest($1::uuid[]) AS c"
_DELIVER: Final = "INSERT INTO floor.delivery SELECT c, 1, $2 FROM unnest($1::uuid[]) AS c"
_SETTLE: Final = "UPDATE floor.delivery SET state = $2 WHERE key = ANY ($1::uuid[])"
_OUTCOME: Final = "INSERT INTO floor.outcome SELECT c, 1 FROM unnest($1::uuid[]) AS c"
_ACCOUNT: Final = "INSERT INTO floor.account SELECT c, 10 FROM unnest($1::uuid[]) AS c"
_ENTRY: Final = "INSERT INTO floor.entry SELECT c, c, 10, $2 FROM unnest($1::uuid[]) AS c"

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Floor:
    """What the plain script needed. The script's own CPU time counts: somebody has to speak to the servers."""

    items: int
    wall_s: float
    cpu_s: float

    @property
    def rate_per_s(self) -> float:
        """Items a second."""
        return self.items / self.wall_s

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds per 1,000 items."""
        return self.cpu_s / self.items * 1_000


class Script:
    """Connections of a plain script."""

    def __init__(self, pool: "asyncpg.Pool[Any]", redis: Redis) -> None:
        """Both of the measured servers."""
        self._pool = pool
        self._redis = redis

    async def commit(self, *statements: Statement) -> None:
        """One transaction."""
        async with self._pool.acquire() as connection, connection.transaction():
            for query, arguments in statements:
                await connection.execute(query, *arguments)

    async def pass_through_streams(self, customers: Sequence[UUID], mails_each: int = 1) -> None:
        """A message for each customer into a stream of their own, out again, and the stream gone."""
        keys = [customer.bytes for customer in customers]
        await self._pipeline(
            lambda pipe: [pipe.xadd(k, {b"m": _BODY}) for k in keys for _ in range(mails_each)]
        )
        await self._pipeline(lambda pipe: [pipe.xrange(key) for key in keys])
        await self._pipeline(lambda pipe: [pipe.delete(key) for key in keys])

    async def _pipeline(self, fill: Callable[[Any], object]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            fill(pipe)
            await pipe.execute()


@asynccontextmanager
async def script(field: Field) -> AsyncIterator[Script]:
    """Fresh tables, and connections that nobody else uses."""
    await field.admin.execute(_TABLES)
    async with asyncpg.create_pool(
        field.installation.postgres_dsn, min_size=_AT_ONCE, max_size=_AT_ONCE
    ) as pool:
        redis: Redis = Redis.from_url(field.installation.redis_url, protocol=2)
        try:
            yield Script(pool, redis)
        finally:
            await redis.aclose()


async def timed(field: Field, items: int, work: Callable[[], Awaitable[None]]) -> Floor:
    """Times `work` on the two servers and this process."""
    servers = {name: field.installation.pid_of(name) for name in ("postgres", "valkey")}
    usage = Usage(servers)
    usage.start()
    own_s, began_s = time.process_time(), time.perf_counter()
    await work()
    wall_s = time.perf_counter() - began_s
    return Floor(items, wall_s, time.process_time() - own_s + sum(usage.spent().values()))


async def _each(batches: Sequence[list[UUID]], one: Callable[[list[UUID]], Awaitable[None]]) -> None:
    waiting = iter(batches)

    async def worker() -> None:
        for batch in waiting:
            await one(batch)

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))


async def welcome_floor(field: Field, count: int, post: Callable[[], Awaitable[None]] | None = None) -> Floor:
    """w1 without services: event, turn and delivery, outcome, turn, wake-up and points, in seven commits of 500. The
    delay is a column that is set and cleared. `post`, if given, makes one HTTP request."""
    journey = new_id()
    wake = await field.admin.fetchval("SELECT now()")
    batches = list(chunks([new_id() for _ in range(count)], BATCH))
    async with script(field) as on:

        async def one(c: list[UUID]) -> None:
            await on.commit((_EVENT, (c, _BODY)))
            await on.pass_through_streams(c)
            await on.commit((_DELIVER, (c, _BODY)))
            await on.commit((_ACTOR, (c,)), (_ENROL, (c, journey, None)), (_BURST, (c, 1, _BODY)))
            if post is not None:
                for piece in chunks(c, 64):
                    await asyncio.gather(*(post() for _ in piece))
            await on.commit((_SETTLE, (c, 2)), (_OUTCOME, (c,)))
            await on.pass_through_streams(c)
            await on.commit((_ACTOR, (c,)), (_MOVE, (c, 1, wake)), (_BURST, (c, 2, _BODY)))
            await on.commit((_ACCOUNT, (c,)), (_ENTRY, (c, _BODY)))
            await on.commit((_MOVE, (c, 2, None)), (_BURST, (c, 3, _BODY)))

        await one([new_id() for _ in range(BATCH)])
        return await timed(field, count, lambda: _each(batches, one))


async def sleep_floor(field: Field, count: int) -> tuple[Floor, Floor, float]:
    """w2 without services: put to sleep, woken; and bytes of a sleeper."""
    journey = new_id()
    wake = await field.admin.fetchval("SELECT now()")
    batches = list(chunks([new_id() for _ in range(count)], BATCH))
    async with script(field) as on:

        async def sleep(c: list[UUID]) -> None:
            await on.commit((_EVENT, (c, _BODY)))
            await on.pass_through_streams(c)
            await on.commit((_ACTOR, (c,)), (_ENROL, (c, journey, wake)), (_BURST, (c, 1, _BODY)))

        async def wake_up(c: list[UUID]) -> None:
            await on.commit((_MOVE, (c, 2, None)), (_BURST, (c, 2, _BODY)))

        asleep = await timed(field, count, lambda: _each(batches, sleep))
        size = await field.admin.fetchval(
            "SELECT pg_total_relation_size('floor.actor') + pg_total_relation_size('floor.enrolment')"
        )
        awake = await timed(field, count, lambda: _each(batches, wake_up))
    return asleep, awake, size / count


async def order_floor(field: Field, customers: int, events: int) -> Floor:
    """w3 without services: each message is a row and passes a stream; each turn of a customer is an update."""
    people = [new_id() for _ in range(customers)]
    batches = list(chunks(people, BATCH))
    async with script(field) as on:

        async def one(c: list[UUID]) -> None:
            for _ in range(events):
                await on.commit((_EVENT, ([new_id() for _ in c], _BODY)))
            await on.pass_through_streams(c, events)
            await on.commit((_ACTOR, (c,)))

        return await timed(field, customers * events, lambda: _each(batches, one))


async def post_message(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes
) -> None:
    """One message to the emulator, as the adapter would send it."""
    async with session.post(url, data=body, headers=headers) as answer:
        await answer.read()
