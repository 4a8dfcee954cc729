"""What the parts of the store share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.db.queries import QueryBook
from libs.common.times import EARLIEST, UNREADABLE, UnreadableTime
from services.segment.domain.facts import Fact, Unreadable, decode_body
from services.segment.domain.model import Customer

BOOK: Final = QueryBook.load("services.segment")

Row = Mapping[str, Any]


def customer_of(row: Iterable[Any]) -> Customer:
    """A customer from its row: the columns are the fields, in their order."""
    return Customer(*row)


def fact_of(row: Iterable[Any]) -> Fact:
    """A fact from its row: partition, position, team, customer, event, the two times, depth, mail number, body."""
    partition, position, team_id, customer_id, event_id, occurred_at, record_time, depth, number, data = row
    body = decode_body(data)
    if isinstance(occurred_at, UnreadableTime) or isinstance(record_time, UnreadableTime):
        occurred_at, record_time, body = EARLIEST, EARLIEST, Unreadable(UNREADABLE)
    return Fact(
        partition,
        team_id,
        customer_id,
        event_id,
        occurred_at,
        record_time,
        depth,
        number,
        body,
        position,
    )


def by_key(customers: Iterable[Sequence[Any]] | None) -> dict[tuple[UUID, UUID], Customer]:
    """Customers by team and customer id, from an array of their rows that may be null."""
    return {(row[0], row[1]): Customer(*row) for row in customers or ()}


async def lock_customers(
    connection: Connection, keys: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Customer]:
    """Locks customers until the transaction ends; those that do not exist are left out."""
    return by_key(await connection.fetchval(*BOOK.bind("lock_customers", keys=list(set(keys)))))
