"""Changes of everyone in an audience."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound, ResourceExhausted
from libs.common.text import fold
from services.segment.domain.attributes import fitted
from services.segment.domain.audience_changes import RUNNING_MAX, AudienceChange, ChangeKey, ChangeState
from services.segment.store.base import BOOK, Row


class AudienceChangeStore:
    """Reads outside of writes."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def unfinished(self) -> list[ChangeKey]:
        """Of all teams, those that have not ended. Raises the driver's errors."""
        rows = await self.pool.fetch(BOOK["unfinished_audience_changes"])
        return [(row["team_id"], row["change_id"]) for row in rows]

    async def read(self, key: ChangeKey) -> AudienceChange:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            return await _one(connection, "read_audience_change", key)

    async def page(
        self, team_id: UUID, before: tuple[datetime, UUID] | None, row_max: int
    ) -> list[AudienceChange]:
        """Of a team, newest first."""
        at, last = before or (None, None)
        query = BOOK.bind(
            "list_audience_changes", team_id=team_id, before_time=at, before_id=last, row_max=row_max
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [_change_of(row) for row in await connection.fetch(*query)]


async def insert_change(connection: Connection, change: AudienceChange) -> None:
    """A new one. Raises ResourceExhausted where too many of the team have not ended."""
    query = BOOK.bind("count_unfinished_audience_changes", team_id=change.team_id)
    if await connection.fetchval(*query) >= RUNNING_MAX:
        raise ResourceExhausted.overloaded("changes of the team", 1.0)
    asked = ("add_tags", "remove_tags", "keys", "texts", "triggers", "of_tag", "total_count", "audience")
    columns = _columns(change)
    ids = {"team_id": change.team_id, "change_id": change.change_id}
    query = BOOK.bind(
        "insert_audience_change", **ids, now=change.created_at, **{name: columns[name] for name in asked}
    )
    await connection.execute(*query)
    if change.convert_key:
        query = BOOK.bind(
            "convert_by_audience_change",
            **ids,
            key=change.convert_key,
            old_type=change.convert_from,
            new_type=change.convert_to,
            merge_into=change.merge_into,
        )
        await connection.execute(*query)


async def lock_change(connection: Connection, key: ChangeKey) -> AudienceChange:
    """One, until the transaction ends. Raises NotFound."""
    return await _one(connection, "lock_audience_change", key)


async def move_change(connection: Connection, change: AudienceChange) -> None:
    """How far it is now; it was locked before."""
    moved = ("state", "reached", "done_count", "refused_count", "reason", "message", "updated_at")
    columns = _columns(change)
    query = BOOK.bind(
        "move_audience_change",
        team_id=change.team_id,
        change_id=change.change_id,
        ended=change.state.has_ended,
        **{name: columns[name] for name in moved},
    )
    await connection.execute(*query)


async def has_tag(connection: Connection, team_id: UUID, tag: str) -> bool:
    """Whether any customer of the team has it."""
    query = BOOK.bind("has_tag", team_id=team_id, tag_folded=fold(tag))
    return bool(await connection.fetchval(*query))


async def spell_tag(connection: Connection, team_id: UUID, customers: Sequence[UUID], tag: str) -> None:
    """Writes a tag of customers as it is given."""
    query = BOOK.bind("spell_tag", team_id=team_id, customers=customers, tag=tag, tag_folded=fold(tag))
    await connection.execute(*query)


async def next_customers(
    connection: Connection, team_id: UUID, after: UUID | None, row_max: int
) -> list[UUID]:
    """Customers of the team in order of their ids."""
    query = BOOK.bind("next_customers", team_id=team_id, after=after, row_max=row_max)
    return [row["customer_id"] for row in await connection.fetch(*query)]


async def seen_values(
    connection: Connection, change: AudienceChange, customers: Sequence[UUID]
) -> list[tuple[UUID, str]]:
    """The values that customers have of the attribute as the type that it had when the change was asked for."""
    query = BOOK.bind(
        "values_of_type",
        team_id=change.team_id,
        customers=customers,
        key=change.convert_key,
        type=change.convert_from,
    )
    return [(row["customer_id"], row["value"]) for row in await connection.fetch(*query)]


async def convert_values(connection: Connection, change: AudienceChange, customers: Sequence[UUID]) -> int:
    """Converts the values that fit; returns how many do not."""
    kind = AttributeType(change.convert_to)
    values = await seen_values(connection, change, customers)
    fitting = [(customer, value, text) for customer, value in values if (text := fitted(kind, value))]
    if fitting:
        ids, before, texts = zip(*fitting, strict=True)
        query = BOOK.bind(
            "convert_values",
            team_id=change.team_id,
            key=change.convert_key,
            old_type=change.convert_from,
            type=change.convert_to,
            customers=ids,
            before=before,
            texts=texts,
            folded=[fold(text) for text in texts],
            numbers=[Decimal(text) if kind is AttributeType.NUMBER else None for text in texts],
        )
        await connection.execute(*query)
    return len(values) - len(fitting)


async def customers_with_value(connection: Connection, team_id: UUID, key: str, row_max: int) -> list[UUID]:
    """Some who have a value of the attribute, of whatever type, in order of their ids; none: nobody has."""
    query = BOOK.bind("customers_with_value", team_id=team_id, key=key, row_max=row_max)
    return [row["customer_id"] for row in await connection.fetch(*query)]


async def count_values(connection: Connection, team_id: UUID, key: str) -> int:
    """Customers who have a value of the attribute, of whatever type."""
    return int(await connection.fetchval(*BOOK.bind("count_values", team_id=team_id, key=key)))


async def delete_values(connection: Connection, team_id: UUID, key: str, customers: Sequence[UUID]) -> None:
    """Deletes the values that customers have of an archived attribute; of nobody: its definition."""
    if customers:
        query = BOOK.bind("delete_values", team_id=team_id, key=key, customers=customers)
    else:
        query = BOOK.bind("delete_archived_attribute", team_id=team_id, key=key)
    await connection.execute(*query)


async def unfinished_works_on_values(
    connection: Connection, team_id: UUID, keys: Sequence[str]
) -> list[AudienceChange]:
    """Works that convert, delete or merge any of the attributes, or merge another into one; oldest first."""
    query = BOOK.bind("unfinished_works_on_values", team_id=team_id, keys=keys)
    return [_change_of(row) for row in await connection.fetch(*query)]


async def values_of_attribute(
    connection: Connection, team_id: UUID, key: str, kind: AttributeType, row_max: int
) -> list[str]:
    """Some values of a type, whoever has them."""
    query = BOOK.bind("values_of_attribute", team_id=team_id, key=key, type=int(kind), row_max=row_max)
    return [row["value"] for row in await connection.fetch(*query)]


async def _one(connection: Connection, query: str, key: ChangeKey) -> AudienceChange:
    row = await connection.fetchrow(*BOOK.bind(query, team_id=key[0], change_id=key[1]))
    if row is None:
        raise NotFound.of("operation", key[1])
    return _change_of(row)


def _columns(change: AudienceChange) -> dict[str, Any]:
    return msgspec.structs.asdict(change) | {"state": int(change.state)}


def _change_of(row: Row) -> AudienceChange:
    columns = dict(row) | {"state": ChangeState(row["state"])}
    lists = ("add_tags", "remove_tags", "keys", "texts")
    return AudienceChange(**columns | {name: tuple(columns[name]) for name in lists})
