"""Orders and their refunds as they are known, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, replanned, transaction
from services.segment.domain.model import Order, OrderCompleted, OrderRefunded, Refund, Uncounted
from services.segment.domain.views import KnownOrder
from services.segment.store.base import BOOK, Row

_ORDER: Final = msgspec.msgpack.Decoder(OrderCompleted)
_REFUND: Final = msgspec.msgpack.Decoder(OrderRefunded)


async def find_order(pool: Pool, team_id: UUID, shop_id: str, order_id: str) -> KnownOrder | None:
    """One order."""
    async with transaction(pool, [team_id]) as connection:
        rows = await connection.fetch(
            *BOOK.bind("get_order", team_id=team_id, shop_id=shop_id, order_id=order_id)
        )
        found = await _with_refunds(connection, team_id, rows)
    return found[0] if found else None


async def list_orders(
    pool: Pool,
    team_id: UUID,
    *,
    customer_id: UUID | None,
    shop_id: str,
    span: tuple[datetime, datetime],
    before: tuple[datetime, UUID],
    row_max: int,
) -> list[KnownOrder]:
    """Orders of a team, the newest first; `span` is [start, end)."""
    async with transaction(pool, [team_id]) as connection:
        await replanned(connection)
        query = BOOK.bind(
            "list_orders",
            team_id=team_id,
            customer_id=customer_id,
            shop_id=shop_id,
            start_time=span[0],
            end_time=span[1],
            before_time=before[0],
            before_key=before[1],
            row_max=row_max,
        )
        return await _with_refunds(connection, team_id, await connection.fetch(*query))


async def count_orders(pool: Pool, team_id: UUID) -> tuple[int, int]:
    """Orders and refunds of a team that count."""
    async with transaction(pool, [team_id]) as connection:
        (row,) = await connection.fetch(*BOOK.bind("count_orders", team_id=team_id))
    return row["orders"], row["refunds"]


async def _with_refunds(connection: Connection, team_id: UUID, rows: Sequence[Row]) -> list[KnownOrder]:
    known = {
        (row["shop_id"], row["order_id"]): KnownOrder(
            Order(
                row["order_key"],
                row["customer_id"],
                _ORDER.decode(row["body"]),
                Uncounted(row["uncounted"]),
                row["occur_time"],
            ),
            [],
        )
        for row in rows
    }
    if known:
        shops, orders = [list(each) for each in zip(*known, strict=True)]
        query = BOOK.bind("refunds_of_orders", team_id=team_id, shops=shops, orders=orders)
        for row in await connection.fetch(*query):
            known[row["shop_id"], row["order_id"]].refunds.append(_refund(row))
    return list(known.values())


def _refund(row: Row) -> Refund:
    return Refund(
        row["refund_key"],
        row["customer_id"],
        _REFUND.decode(row["body"]),
        Uncounted(row["uncounted"]),
        row["occur_time"],
    )
