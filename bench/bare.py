"""The floor of posting: the same postings by one bare statement a batch, from one client, without services.

Rows are as narrow as the rules allow (P-04 to P-08): an account; an entry with its sequence, source, name and id, both
changes, both figures, time, key and actor, to be read by customer and by time; the answer under its key, so that a
repetition changes nothing; and an order, so that a refund can be exact. Nothing is decided but how many points an order
earns, no team is told from another, and nothing is chained, fingerprinted, numbered for a feed or guarded.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from bench.measure import chunks
from omnijourney.internal.v1 import postings_pb2

_TABLES: Final = """
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.account (
    customer uuid PRIMARY KEY, balance bigint NOT NULL, cumulative bigint NOT NULL, sequence bigint NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE bare.entry (
    customer uuid NOT NULL, sequence bigint NOT NULL, source smallint NOT NULL, source_id text NOT NULL,
    source_name text NOT NULL, delta_balance bigint NOT NULL, delta_cumulative bigint NOT NULL,
    balance bigint NOT NULL, cumulative bigint NOT NULL, at timestamptz NOT NULL, key uuid NOT NULL,
    actor text NOT NULL, PRIMARY KEY (customer, sequence)
);
CREATE INDEX ON bare.entry (at);
CREATE TABLE bare.outcome (
    key uuid PRIMARY KEY, customer uuid NOT NULL, sequence bigint NOT NULL, status smallint NOT NULL
);
CREATE TABLE bare.shop_order (
    key uuid PRIMARY KEY, amount bigint NOT NULL, refunded bigint NOT NULL, earned bigint NOT NULL
);
INSERT INTO bare.account SELECT unnest($1::uuid[]), 0, 0, 0;
"""
_POST: Final = """
WITH given AS (
    SELECT g.*, CASE WHEN amount > 0 THEN (amount + 5000000) / 10000000 ELSE points END AS delta
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[]) WITH ORDINALITY
           AS g (customer, key, amount, points, source_id, place)
), fresh AS (
    INSERT INTO bare.outcome SELECT key, customer, 0, 1 FROM given ON CONFLICT DO NOTHING RETURNING key
), told AS (
    SELECT given.*, row_number() OVER mine AS number, sum(delta) OVER mine AS gained
      FROM given JOIN fresh USING (key)
    WINDOW mine AS (PARTITION BY customer ORDER BY place)
), moved AS (
    UPDATE bare.account AS a
       SET balance = balance + s.delta, cumulative = cumulative + s.delta, sequence = sequence + s.entries
      FROM (SELECT customer, sum(delta) AS delta, count(*) AS entries FROM told GROUP BY customer) AS s
     WHERE a.customer = s.customer
    RETURNING a.customer, balance - s.delta AS balance, cumulative - s.delta AS cumulative,
              sequence - s.entries AS sequence
), ordered AS (
    INSERT INTO bare.shop_order SELECT key, amount, 0, delta FROM told WHERE amount > 0
)
INSERT INTO bare.entry
SELECT customer, sequence + number, CASE WHEN amount > 0 THEN 1 ELSE 3 END, source_id, source_id, delta, delta,
       balance + gained, cumulative + gained, now(), key, 'bench'
  FROM told JOIN moved USING (customer)
"""

Batch = tuple[list[UUID], list[UUID], list[int], list[int], list[str]]


class BareLedger:
    """One connection and the statement."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        """Made by `prepare`."""
        self._connection = connection

    @classmethod
    async def prepare(cls, dsn: str, customers: Sequence[str]) -> "BareLedger":
        """Makes the tables, an account for each customer."""
        connection = await asyncpg.connect(dsn, server_settings={"jit": "off"})
        *statements, fill = _TABLES.strip().rstrip(";").split(";\n")
        await connection.execute(";\n".join(statements))
        await connection.execute(fill, customers)
        await connection.execute("VACUUM ANALYZE bare.account")
        return cls(connection)

    def batches(self, postings: Sequence[postings_pb2.Posting], size: int) -> list[Batch]:
        """Postings as arguments of the statement."""
        return [
            (
                [DriverUUID(each.customer_id) for each in batch],
                [DriverUUID(each.key) for each in batch],
                [each.earn.amount.amount_micros for each in batch],
                [each.journey_add.points for each in batch],
                [each.earn.order_id or each.journey_add.journey_id for each in batch],
            )
            for batch in chunks(postings, size)
        ]

    async def post(self, batches: Sequence[Batch]) -> list[float]:
        """Posts batch after batch, each a transaction."""
        for batch in batches:
            await self._connection.execute(_POST, *batch)
        return []

    async def close(self) -> None:
        """Drops the tables and ends the connection."""
        await self._connection.execute("DROP SCHEMA bare CASCADE")
        await self._connection.close()
