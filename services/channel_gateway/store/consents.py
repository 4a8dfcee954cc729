"""Consents of customers, and what people on channels said: one truth for all senders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.ids import new_id
from services.channel_gateway.domain.consents import (
    ConsentChange,
    Consenting,
    ConsentState,
    NewStatement,
    Statement,
)
from services.channel_gateway.store.book import QUERIES, columns


class ConsentStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def statements(self, customer: Consenting) -> list[Statement]:
        """What was said of a customer and by them."""
        async with transaction(self._pool, [customer.team_id]) as connection:
            return await find_statements(connection, customer)

    async def changes(
        self, customer: Consenting, after: tuple[datetime, UUID] | None, most: int
    ) -> list[ConsentChange]:
        """Changes, newest first, after one."""
        before_at, before_id = after or (None, None)
        query = QUERIES.bind(
            "list_consent_changes", **_who(customer), before_at=before_at, before_id=before_id, most=most
        )
        async with transaction(self._pool, [customer.team_id]) as connection:
            return [ConsentChange(*row) for row in await connection.fetch(*query)]


async def hold_customer(connection: Connection, customer_id: UUID) -> None:
    """Nobody else records what the customer wants until the transaction ends."""
    await connection.execute(*QUERIES.bind("hold_customer", customer_id=customer_id))


async def find_statements(connection: Connection, customer: Consenting) -> list[Statement]:
    """What was said of a customer and by them."""
    rows: Sequence[Any] = await connection.fetch(*QUERIES.bind("find_statements", **_who(customer)))
    return [Statement(*row) for row in rows]


async def keep_statement(
    connection: Connection, customer: Consenting, said: NewStatement, at: datetime
) -> Statement:
    """Puts a statement in the place of the customer's last one of the channel."""
    withdrawn = said.state is ConsentState.WITHDRAWN
    query = QUERIES.bind(
        "keep_consent",
        team_id=customer.team_id,
        customer_id=customer.customer_id,
        channel=said.channel,
        withdrawn=withdrawn,
        source=said.source,
        at=at,
    )
    await connection.execute(*query)
    return Statement(said.channel, withdrawn, said.source, at)


async def tell_change(
    connection: Connection, customer: Consenting, said: NewStatement, before: int, at: datetime
) -> None:
    """Adds to the changes, `before` as the contract's state."""
    query = QUERIES.bind(
        "tell_consent",
        team_id=customer.team_id,
        change_id=new_id(),
        customer_id=customer.customer_id,
        channel=said.channel,
        withdrawn=said.state is ConsentState.WITHDRAWN,
        before_state=before,
        source=said.source,
        note=said.note,
        actor=said.actor,
        at=at,
    )
    await connection.execute(*query)


def _who(customer: Consenting) -> dict[str, Any]:
    channels, external_ids = columns(customer.persons, 2)
    return {
        "team_id": customer.team_id,
        "customer_id": customer.customer_id,
        "channels": channels,
        "external_ids": external_ids,
    }
