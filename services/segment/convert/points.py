"""From the ledger's history: what it adds to the points of customers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.audience.expressions import Balance
from libs.common.feeds.rows import EntryRow
from libs.common.ids import CustomerKey

_NOTHING = Balance(0, 0)


def point_changes(rows: Iterable[EntryRow]) -> dict[CustomerKey, Balance]:
    """The sums of each customer's entries. Raises ValueError for a row that cannot be read."""
    changes: dict[CustomerKey, Balance] = {}
    for row in rows:
        if row.team is None:
            raise ValueError("points cannot read it")
        key = (DriverUUID(row.team), DriverUUID(row.customer))
        before = changes.get(key, _NOTHING)
        changes[key] = Balance(before.balance + row.delta_balance, before.cumulative + row.delta_cumulative)
    return changes
