"""From the gateway's history: when the team last marketed to customers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.feeds.gateway_records import GoneFact, ResolvedFact, SettledFact, customers_of, read_record
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import CustomerKey
from libs.common.mailbox.mail import Outcome

_SEND: Final = 1
"""A `GatewayRow.kind`: a send was settled."""
_RECORD: Final = 5


def marketed_times(rows: Iterable[GatewayRow]) -> dict[CustomerKey, datetime]:
    """The time of the last message that left for each customer. Raises ValueError for a row that cannot be read."""
    times: dict[CustomerKey, datetime] = {}
    for row in rows:
        team_id = _team(row)
        for customer, at in _left(row):
            key = (team_id, DriverUUID(customer))
            if key not in times or times[key] < at:
                times[key] = at
    return times


def _team(row: GatewayRow) -> UUID:
    if row.team is None:
        raise ValueError("the gateway cannot read it")
    return DriverUUID(row.team)


def _left(row: GatewayRow) -> Iterator[tuple[bytes, datetime]]:
    """The customers to whom messages left, and when."""
    if row.kind == _SEND and row.outcome == Outcome.SENT:
        yield row.customers, row.at
    elif row.kind == _RECORD:
        record, place = read_record(row.body), 0
        customers = customers_of(row.customers)
        for fact in record.facts:
            if isinstance(fact, GoneFact):
                continue
            if isinstance(fact, SettledFact) and fact.outcome == Outcome.SENT:
                at = record.at
                yield from ((customer, at) for customer in customers[place : place + fact.count])
            elif isinstance(fact, ResolvedFact) and fact.outcome == Outcome.SENT:
                at = fact.settled_at
                yield from ((customer, at) for customer in customers[place : place + fact.count])
            place += fact.count
        if place != len(customers):
            raise ValueError("another number of sends than of customers")
