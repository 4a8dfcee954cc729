"""The lean floor of w1: the fewest rows in which the facts of a welcome journey can be kept, durably and once.

Eight row writes: the event, whose key is what a repetition is known by; the actor with what it must remember packed in
one column, written three times; the send, reserved and settled in one row; the entry of points and the account. What
the turns did is one row a batch, and a batch's mail one entry of a stream. Each commit is one statement. Unlike in
floor-0 every row has a body of its own, as real ones would.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from bench.field import Field
from bench.floor_0 import BATCH, Floor, timed
from bench.measure import chunks
from bench.team import AT_ONCE, spread
from libs.common.ids import new_id

_TABLES: Final = """
DROP SCHEMA IF EXISTS lean CASCADE;
CREATE SCHEMA lean;
CREATE TABLE lean.event (key uuid PRIMARY KEY, customer uuid NOT NULL, number bigint NOT NULL, body bytea NOT NULL);
CREATE TABLE lean.actor (customer uuid PRIMARY KEY, taken bigint NOT NULL, wake_at timestamptz, state bytea NOT NULL)
    WITH (fillfactor = 40);
CREATE TABLE lean.record (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE lean.delivery (key uuid PRIMARY KEY, state smallint NOT NULL, body bytea NOT NULL) WITH (fillfactor = 50);
CREATE TABLE lean.entry (key uuid PRIMARY KEY, customer uuid NOT NULL, delta bigint NOT NULL, body bytea NOT NULL);
CREATE TABLE lean.account (customer uuid PRIMARY KEY, balance bigint NOT NULL);
"""
_EVENT: Final = "INSERT INTO lean.event SELECT c, c, 1, b FROM unnest($1::uuid[], $2::bytea[]) AS g (c, b)"
_BEGIN: Final = """
WITH told AS (INSERT INTO lean.record (body) VALUES ($3))
INSERT INTO lean.actor SELECT c, 1, NULL, b FROM unnest($1::uuid[], $2::bytea[]) AS g (c, b)
"""
_MOVE: Final = """
WITH told AS (INSERT INTO lean.record (body) VALUES ($4))
UPDATE lean.actor SET taken = taken + 1, wake_at = $3, state = b
  FROM unnest($1::uuid[], $2::bytea[]) AS g (c, b) WHERE customer = c
"""
_RESERVE: Final = "INSERT INTO lean.delivery SELECT c, 1, b FROM unnest($1::uuid[], $2::bytea[]) AS g (c, b)"
_SETTLE: Final = "UPDATE lean.delivery SET state = 2 WHERE key = ANY ($1::uuid[])"
_POST: Final = """
WITH posted AS (
    INSERT INTO lean.entry SELECT c, c, 10, b FROM unnest($1::uuid[], $2::bytea[]) AS g (c, b) RETURNING customer, delta
)
INSERT INTO lean.account SELECT customer, delta FROM posted
    ON CONFLICT (customer) DO UPDATE SET balance = lean.account.balance + EXCLUDED.balance
"""
_BODY_BYTES: Final = 120
_FACT_BYTES: Final = 60
"""Of the batch's record, for each of its turns."""


async def lean_floor(field: Field, count: int) -> Floor:
    """w1 in seven commits of 500, each one statement."""
    await field.admin.execute(_TABLES)
    wake = await field.admin.fetchval("SELECT now()")
    batches = list(chunks([new_id() for _ in range(count)], BATCH))
    dsn = field.installation.postgres_dsn
    async with asyncpg.create_pool(dsn, min_size=AT_ONCE, max_size=AT_ONCE) as pool:

        async def one(customers: list[UUID]) -> None:
            await _welcome(pool, field.redis, customers, wake)

        await one([new_id() for _ in range(BATCH)])
        return await timed(field, count, lambda: spread(batches, one))


async def _welcome(pool: "asyncpg.Pool[Any]", redis: Redis, c: list[UUID], wake: object) -> None:
    bodies = [customer.bytes.ljust(_BODY_BYTES, b".") for customer in c]
    told = b"".join(bodies)[: _FACT_BYTES * len(c)]
    await pool.execute(_EVENT, c, bodies)
    await _pass_on(redis, c, bodies)
    await pool.execute(_RESERVE, c, bodies)
    await pool.execute(_BEGIN, c, bodies, told)
    await pool.execute(_SETTLE, c)
    await _pass_on(redis, c, bodies)
    await pool.execute(_MOVE, c, bodies, wake, told)
    await pool.execute(_POST, c, bodies)
    await pool.execute(_MOVE, c, bodies, None, told)


async def _pass_on(redis: Redis, customers: Sequence[UUID], bodies: Sequence[bytes]) -> None:
    """One entry of one stream for all of a batch, out again, and the stream gone."""
    key = customers[0].bytes
    pipe: Any
    async with redis.pipeline(transaction=False) as pipe:
        pipe.xadd(key, {b"m": b"".join(bodies)})
        pipe.xrange(key)
        pipe.delete(key)
        await pipe.execute()
