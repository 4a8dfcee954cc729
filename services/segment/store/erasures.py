"""Erasures in PostgreSQL, and what they take out of segment's tables. Every step may be done again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.ids import CustomerKey, epoch_ms, new_id, partition_of
from libs.common.persons import names_person, searched
from services.segment.domain.erasure import (
    IDENTIFIERS_MAX,
    Erasure,
    ErasureStep,
    Known,
    Merged,
    bare_order,
    without_person,
)
from services.segment.domain.facts import TAGS, ContactRemoved, OrderReported, decode_body, encode_body
from services.segment.domain.keys import hidden_key
from services.segment.domain.model import CustomerView, OrderCompleted
from services.segment.store.base import BOOK, fact_of

POSITIONS_MAX: Final = 20_000
"""Rows of the customer's partition that one step passes over."""
KEYS_MAX: Final = 5_000
ENTRIES_MAX: Final = 500
"""Entries of the audit log, up to 32 kB each."""
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ORDERS: Final = msgspec.msgpack.Decoder(OrderCompleted)
_KNOWN: Final = msgspec.msgpack.Decoder(Known)

ErasureKey = tuple[UUID, UUID]
"""Team and erasure."""
Place = tuple[datetime, UUID]


class ErasureStore:
    """Keeps erasures. Methods with a connection run in the caller's transaction. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def insert(self, connection: Connection, key: CustomerKey, erasure_id: UUID, now: datetime) -> None:
        """Keeps one that begins."""
        query = BOOK.bind(
            "insert_erasure", team_id=key[0], customer_id=key[1], erasure_id=erasure_id, now=now
        )
        await connection.execute(*query)

    async def of_customer(self, connection: Connection, key: CustomerKey) -> Erasure | None:
        """The customer's, if there is one."""
        query = BOOK.bind("erasure_of_customer", team_id=key[0], customer_id=key[1])
        row = await connection.fetchrow(*query)
        return None if row is None else _erasure(row)

    async def read(self, key: ErasureKey) -> Erasure:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            row = await connection.fetchrow(*BOOK.bind("get_erasure", team_id=key[0], erasure_id=key[1]))
        if row is None:
            raise NotFound.of("operation", key[1])
        return _erasure(row)

    async def page(self, team_id: UUID, before: Place | None, most: int) -> list[Erasure]:
        """A team's, newest first."""
        at, erasure_id = before or (None, None)
        query = BOOK.bind("list_erasures", team_id=team_id, before_time=at, before_id=erasure_id, most=most)
        async with transaction(self.pool, [team_id]) as connection:
            return [_erasure(row) for row in await connection.fetch(*query)]

    # -- of whoever works on it

    async def claim(self, own: UUID, claim_s: float) -> ErasureKey | None:
        """Claims one of any team for so many real seconds; None if nothing waits."""
        row = await self.pool.fetchrow(*BOOK.bind("claim_erasure", own=own, claim_s=claim_s))
        return None if row is None else (row["team_id"], row["erasure_id"])

    async def advance(self, erasure: Erasure, own: UUID, claim_s: float) -> bool:
        """Notes how far it is; False if it is not the claim's any more."""
        async with transaction(self.pool, [erasure.team_id]) as connection:
            return await self.advance_within(connection, erasure, own, claim_s)

    async def advance_within(
        self, connection: Connection, erasure: Erasure, own: UUID, claim_s: float
    ) -> bool:
        """The same, with what the step did."""
        query = BOOK.bind(
            "advance_erasure",
            team_id=erasure.team_id,
            erasure_id=erasure.erasure_id,
            step=erasure.step,
            cursor=erasure.cursor,
            known=None if erasure.known is None else _ENCODE(erasure.known),
            mail_number=erasure.mail_number,
            now=erasure.updated_at,
            own=own,
            claim_s=claim_s,
        )
        return bool(await connection.fetchval(*query))

    async def leave(self, key: ErasureKey, own: UUID, pause_s: float) -> None:
        """Gives it back for so many real seconds."""
        query = BOOK.bind("leave_erasure", team_id=key[0], erasure_id=key[1], own=own, pause_s=pause_s)
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)

    # -- what is removed

    async def tokens(self, connection: Connection, key: CustomerKey) -> list[str]:
        """Tokens of the customer's browsers, and of those who were merged into them."""
        query = BOOK.bind("browsers_of_customer", team_id=key[0], customer_id=key[1], most=IDENTIFIERS_MAX)
        return [row["token"] for row in await connection.fetch(*query)]

    async def merged(self, connection: Connection, key: CustomerKey) -> list[Merged]:
        """Those who were merged into the customer."""
        named = {"team_id": key[0], "customer_id": key[1]}
        rows = await connection.fetch(*BOOK.bind("merged_into_customer", **named))
        aliases = await connection.fetch(*BOOK.bind("aliases_of_customer", **named, most=IDENTIFIERS_MAX))
        texts = tuple(row["text"] for row in aliases)
        return [
            Merged(customer_id, number, tuple(filter(None, (*own, *texts))))
            for customer_id, number, *own in rows
        ]

    async def former_ids(self, connection: Connection, view: CustomerView) -> list[str]:
        """Ids on channels that the customer, or who was merged into them, had and has no longer, and that are nobody
        else's by now: what is kept under these is theirs."""
        team_id, customer_id = view.customer.team_id, view.customer.customer_id
        named = {"team_id": team_id, "customer_id": customer_id, "most": IDENTIFIERS_MAX}
        rows = await connection.fetch(*BOOK.bind("removals_of_customer", kind=TAGS[ContactRemoved], **named))
        bodies = [decode_body(row["body"]) for row in rows]
        removed = [body.identity.external_id for body in bodies if isinstance(body, ContactRemoved)]
        present = [identity.key.external_id for identity in view.identities]
        query = BOOK.bind("former_ids", removed=removed, present=present, **named)
        return [row["external_id"] for row in await connection.fetch(*query)]

    async def is_merged_into(self, key: CustomerKey) -> bool:
        """Whether somebody is being merged into the customer."""
        async with transaction(self.pool, [key[0]]) as connection:
            query = BOOK.bind("is_merged_into", team_id=key[0], customer_id=key[1])
            return bool(await connection.fetchval(*query))

    async def insert_merged(
        self, connection: Connection, team_id: UUID, merged: Sequence[Merged], known: Known, now: datetime
    ) -> None:
        """Keeps one for each who was merged into a customer who is closed, without those that there are."""
        query = BOOK.bind(
            "insert_merged_erasures",
            team_id=team_id,
            erasure_ids=[new_id(epoch_ms(now)) for _ in merged],
            customer_ids=[each.customer_id for each in merged],
            mail_numbers=[each.mail_number for each in merged],
            known=_ENCODE(known),
            now=now,
        )
        await connection.execute(*query)

    async def are_merged_erased(self, key: CustomerKey) -> bool:
        """Whether all who were merged into the customer are erased."""
        async with transaction(self.pool, [key[0]]) as connection:
            query = BOOK.bind("are_merged_erased", team_id=key[0], customer_id=key[1])
            return bool(await connection.fetchval(*query))

    async def remove_customer(self, connection: Connection, view: CustomerView) -> None:
        """Removes the customer's row and all that leads to it."""
        customer = view.customer
        query = BOOK.bind(
            "remove_customer",
            team_id=customer.team_id,
            customer_id=customer.customer_id,
            external_ids=[identity.key.external_id for identity in view.identities],
        )
        await connection.execute(*query)

    async def bare_facts(self, erasure: Erasure) -> str:
        """Takes the person out of the next facts of their partition, and out of orders that those name; where to go on,
        empty at the end."""
        team_id, customer_id = erasure.key
        partition, after = partition_of(*erasure.key), int(erasure.cursor or 0)
        end = await self.pool.fetchval(*BOOK.bind("history_end", partition=partition))
        until = min(after + POSITIONS_MAX, end)
        part = {"partition": partition, "after": after, "until": until}
        async with transaction(self.pool, [team_id]) as connection:
            query = BOOK.bind("facts_of_customer", team_id=team_id, customer_id=customer_id, **part)
            rows = await connection.fetch(*query)
            await _bare(connection, partition, rows)
            await _hide_keys(connection, partition, rows, searched(erasure.identifiers))
            await _bare_orders(connection, erasure.key, rows)
        return str(until) if until < end else ""

    async def hide_keys(self, erasure: Erasure) -> str:
        """Hides the next keys of events that no fact carries and that name the person; where to go on, empty at the
        end."""
        team_id, wanted = erasure.team_id, searched(erasure.identifiers)
        async with transaction(self.pool, [team_id]) as connection:
            query = BOOK.bind("own_event_keys", team_id=team_id, after=erasure.cursor, row_max=KEYS_MAX)
            rows = await connection.fetch(*query)
            named = [
                row["event_key"]
                for row in rows
                if row["customer_id"] == erasure.customer_id and names_person(row["event_key"], wanted)
            ]
            if named:
                keys = [hidden_key(key) for key in named]
                query = BOOK.bind("hide_own_event_keys", team_id=team_id, before=named, keys=keys)
                await connection.execute(*query)
        return rows[-1]["event_key"] if len(rows) == KEYS_MAX else ""

    async def erase_audit(self, erasure: Erasure) -> str:
        """Empties the next entries of the audit log that hold the person; where to go on, empty at the end."""
        query = BOOK.bind(
            "erase_audit_entries",
            team_id=erasure.team_id,
            after=UUID(erasure.cursor) if erasure.cursor else None,
            row_max=ENTRIES_MAX,
            identifiers=searched(erasure.identifiers),
        )
        async with transaction(self.pool, [erasure.team_id]) as connection:
            last = await connection.fetchval(*query)
        return "" if last is None else str(last)


async def load_erased(connection: Connection, keys: Iterable[CustomerKey]) -> set[CustomerKey]:
    """Which of these were customers and are erased."""
    rows = await connection.fetch(*BOOK.bind("erased_customers", keys=list(keys)))
    return {(row["team_id"], row["customer_id"]) for row in rows}


async def is_any_being_erased(connection: Connection, team_id: UUID, customer_ids: Sequence[UUID]) -> bool:
    """Whether an erasure of any of these customers, who are locked, has begun."""
    query = BOOK.bind("is_any_being_erased", team_id=team_id, customer_ids=list(customer_ids))
    return bool(await connection.fetchval(*query))


async def _bare(connection: Connection, partition: int, rows: Sequence[Mapping[str, Any]]) -> None:
    changed = [
        (row["position"], row["body"], encode_body(bare))
        for row in rows
        if (bare := without_person(body := fact_of(tuple(row)[:10]).body)) != body
    ]
    if changed:
        query = BOOK.bind(
            "replace_bodies",
            partitions=[partition] * len(changed),
            positions=[position for position, _, _ in changed],
            before=[before for _, before, _ in changed],
            after=[after for _, _, after in changed],
        )
        await connection.execute(*query)


async def _hide_keys(
    connection: Connection, partition: int, rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]
) -> None:
    named = [row for row in rows if row["event_key"] and names_person(row["event_key"], wanted)]
    if named:
        query = BOOK.bind(
            "hide_event_keys",
            partition=partition,
            positions=[row["position"] for row in named],
            keys=[hidden_key(row["event_key"]) for row in named],
        )
        await connection.execute(*query)


async def _bare_orders(connection: Connection, key: CustomerKey, rows: Sequence[Mapping[str, Any]]) -> None:
    bodies = [fact_of(tuple(row)[:10]).body for row in rows]
    named = sorted(
        {(body.order.shop_id, body.order.order_id) for body in bodies if isinstance(body, OrderReported)}
    )
    if not named:
        return
    query = BOOK.bind(
        "lock_orders",
        team_id=key[0],
        customer_id=key[1],
        shops=[shop for shop, _ in named],
        orders=[order for _, order in named],
    )
    held = await connection.fetch(*query)
    query = BOOK.bind(
        "replace_orders",
        team_id=key[0],
        shops=[row["shop_id"] for row in held],
        orders=[row["order_id"] for row in held],
        bodies=[_ENCODE(bare_order(_ORDERS.decode(row["body"]))) for row in held],
    )
    await connection.execute(*query)


def _erasure(row: Mapping[str, Any]) -> Erasure:
    values = dict(row)
    known = values.pop("known")
    return Erasure(
        **{
            **values,
            "step": ErasureStep(values["step"]),
            "known": None if known is None else _KNOWN.decode(known),
        }
    )
