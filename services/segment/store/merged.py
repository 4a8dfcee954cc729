"""Customers who were merged into others: whom they lead to, and how they were."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import DomainError, FailedPrecondition, NotFound
from libs.common.ids import CustomerKey
from services.segment.domain.model import Customer, CustomerView
from services.segment.store.base import BOOK


async def merged_customers(connection: Connection, keys: Iterable[CustomerKey]) -> dict[CustomerKey, UUID]:
    """Of these customers those who were merged, and whom into."""
    rows = await connection.fetch(*BOOK.bind("merged_customers", keys=list(keys)))
    return {(team_id, customer_id): survivor_id for team_id, customer_id, survivor_id in rows}


async def merged_view(connection: Connection, key: CustomerKey) -> CustomerView | None:
    """A customer as they were when they were merged, and whom into; None for one who was not."""
    row = await connection.fetchrow(*BOOK.bind("merged_customer", team_id=key[0], customer_id=key[1]))
    if row is None:
        return None
    survivor_id, *own = row
    return CustomerView(Customer(*own), merged_into=survivor_id)


async def absent(connection: Connection, key: CustomerKey) -> DomainError:
    """Why a customer cannot be written: merged, or not there at all."""
    survivor = (await merged_customers(connection, [key])).get(key)
    return NotFound.of("customer", key[1]) if survivor is None else is_merged(survivor)


def is_merged(survivor: UUID) -> FailedPrecondition:
    """The refusal of what names a customer who was merged."""
    return FailedPrecondition(
        "CUSTOMER_MERGED",
        f"the customer was merged into {survivor}: name that one",
        metadata={"merged_into": str(survivor)},
    )
