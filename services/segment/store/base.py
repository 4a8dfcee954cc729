"""What the parts of the store share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.history import allocate, count_by_partition
from libs.common.db.pool import Connection
from libs.common.db.queries import QueryBook
from services.segment.domain.facts import Fact, decode_body, encode_body
from services.segment.domain.model import Customer

BOOK: Final = QueryBook.load("services.segment")

Row = Mapping[str, Any]


class CollisionError(Exception):
    """Another transaction was faster with something that this one decided on; do the whole batch again."""


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows turned into one list per column, as `unnest` wants them."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned or [[] for _ in range(width)]


def customer_of(row: Row) -> Customer:
    """A customer from its row."""
    return Customer(
        team_id=row["team_id"],
        customer_id=row["customer_id"],
        member_id=row["member_id"],
        name=row["name"],
        phone=row["phone"],
        email=row["email"],
        customer_interact_time=row["customer_interact_time"],
        team_interact_time=row["team_interact_time"],
        marketed_time=row["marketed_time"],
        checkout_time=row["checkout_time"],
        mail_number=row["mail_number"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def fact_of(row: Row) -> Fact:
    """A fact from its row."""
    return Fact(
        partition=row["partition"],
        team_id=row["team_id"],
        customer_id=row["customer_id"],
        event_id=row["event_id"],
        occurred_at=row["occur_time"],
        record_time=row["record_time"],
        depth=row["depth"],
        mail_number=row["mail_number"],
        body=decode_body(row["body"]),
        position=row["position"],
    )


async def lock_customers(
    connection: Connection, keys: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Customer]:
    """Locks customers until the transaction ends; those that do not exist are left out."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await connection.fetch(BOOK["lock_customers"], *columns(wanted, 2))
    return {(row["team_id"], row["customer_id"]): customer_of(row) for row in rows}


async def append_facts(connection: Connection, facts: Sequence[Fact]) -> list[Fact]:
    """Writes facts in their order and returns them with their positions. To be the last write of the transaction."""
    next_position = await allocate(connection, count_by_partition(fact.partition for fact in facts))
    placed: list[Fact] = []
    for fact in facts:
        position = next_position[fact.partition]
        next_position[fact.partition] = position + 1
        placed.append(msgspec.structs.replace(fact, position=position))
    if placed:
        await connection.execute(BOOK["insert_facts"], *columns(map(_fact_row, placed), 10))
    return placed


def _fact_row(fact: Fact) -> tuple[Any, ...]:
    return (
        fact.partition,
        fact.position,
        fact.team_id,
        fact.customer_id,
        fact.event_id,
        fact.occurred_at,
        fact.record_time,
        fact.depth,
        fact.mail_number,
        encode_body(fact.body),
    )
