"""segment: events in batches, beside a bare statement that writes the rows which they left, in the same form.

Batches of ours and of the statement take turns, on customers of whom neither has touched one before, so that both
find pages equally cold. The statement writes into copies of the tables with all their indexes and checks; nobody is
looked for, no key is looked up, nothing is decided, nobody is told and no entry of the audit log is written. Either
begins when nothing is at work any more on what was written before: mail is delivered and taken, all is counted.
"""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec

from bench.field import BenchFault, Field
from bench.measure import timed_ms
from bench.team import call
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.segment.v1 import customer_pb2, event_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

BATCH: Final = 500
BATCHES: Final = 20
"""Of each kind, beside two that warm up."""
_WARM: Final = 2
_COPIED: Final = ("fact", "event_key", "shop_order", "history_head")
_BARE: Final = """
WITH moved AS (
    UPDATE segment.customer AS c
       SET customer_interact_time = GREATEST(c.customer_interact_time, now()), checkout_time = n.checkout_time,
           mail_number = c.mail_number + n.mails, revision = c.revision + 1, update_time = now()
      FROM unnest($2::uuid[], $3::timestamptz[], $4::integer[]) AS n (customer_id, checkout_time, mails)
     WHERE c.team_id = $1 AND c.customer_id = n.customer_id
), given AS (
    UPDATE segment.bench_history_head AS h SET position = h.position + n.count
      FROM (SELECT f.partition, count(*) FROM unnest($5::segment.fact[]) AS f GROUP BY f.partition) AS n
     WHERE h.partition = n.partition
), keys AS (
    INSERT INTO segment.bench_event_key SELECT * FROM unnest($6::segment.event_key[])
), orders AS (
    INSERT INTO segment.bench_shop_order SELECT * FROM unnest($7::segment.shop_order[])
)
INSERT INTO segment.bench_fact SELECT * FROM unnest($5::segment.fact[])
"""
_WRITTEN: Final = {
    "fact": "SELECT * FROM segment.fact WHERE team_id = $1 AND event_key = ANY ($2)",
    "event_key": "SELECT * FROM segment.event_key WHERE team_id = $1 AND event_key = ANY ($2)",
    "shop_order": "SELECT * FROM segment.shop_order WHERE team_id = $1 AND customer_id = ANY ($2)",
}


class RecordedEvents(msgspec.Struct, frozen=True):
    """Events of one kind. CPU is segment's and PostgreSQL's until the answer."""

    kind: str
    per_s: float
    bare_per_s: float
    cpu_us: float
    bare_cpu_us: float

    @property
    def share(self) -> float:
        """Of the bare statement's rate."""
        return self.per_s / self.bare_per_s


def _interacted(_: int) -> dict[str, Any]:
    return {"customer_interacted": event_pb2.CustomerInteracted()}


def _ordered(number: int) -> dict[str, Any]:
    order = event_pb2.OrderCompleted(
        shop_id="bench",
        order_id=f"{new_id()}",
        amount=Money(currency_code="TWD", amount_micros=number * 1_000_000),
        items=[event_pb2.OrderItem(name="A thing", quantity="2")],
        signed=True,
    )
    return {"order_completed": order}


KINDS: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    "something else that they did": _interacted,
    "orders": _ordered,
}


EVENTS: Final = len(KINDS) * 2 * BATCH * (BATCHES + _WARM)
"""Customers of whom something is told, of each kind as many by us as by the statement."""


async def recorded_events(field: Field, team_id: UUID, customers: Sequence[UUID]) -> list[RecordedEvents]:
    """Each kind, of EVENTS customers."""
    each = len(customers) // len(KINDS)
    return [
        await _of_kind(field, team_id, kind, customers[place * each : (place + 1) * each])
        for place, kind in enumerate(KINDS)
    ]


async def _of_kind(field: Field, team_id: UUID, kind: str, customers: Sequence[UUID]) -> RecordedEvents:
    parts = [customers[start : start + BATCH] for start in range(0, len(customers), BATCH)]
    took: list[list[float]] = [[], []]
    spent = [0.0, 0.0]
    async with field.admin.acquire() as admin:
        for name in _COPIED:
            await admin.execute(f"DROP TABLE IF EXISTS segment.bench_{name}")
            await admin.execute(f"CREATE TABLE segment.bench_{name} (LIKE segment.{name} INCLUDING ALL)")
        await admin.execute("INSERT INTO segment.bench_history_head SELECT * FROM segment.history_head")
        for ours, bare in zip(parts[::2], parts[1::2], strict=True):
            request = _request(field, team_id, kind, ours)
            await field.idle()
            field.usage.start()
            answer = await timed_ms(took[0], partial(call, field.client.segment.RecordEvents, request))
            spent[0] += _spent_s(field)
            if any(result.reason for result in answer.results):
                raise BenchFault("events were refused")
            write = partial(admin.execute, _BARE, team_id, *await _rows(admin, team_id, request, ours, bare))
            await field.idle()
            field.usage.start()
            await timed_ms(took[1], write)
            spent[1] += _spent_s(field)
    rates = [BATCH / (statistics.median(each[_WARM:]) / 1e3) for each in took]
    return RecordedEvents(kind, *rates, *(each / len(customers) * 2 * 1e6 for each in spent))


def _spent_s(field: Field) -> float:
    spent = field.usage.spent()
    return spent["segment"] + spent["postgres"]


def _request(field: Field, team_id: UUID, kind: str, customers: Sequence[UUID]) -> pb.RecordEventsRequest:
    at = timestamp(field.clock.now())
    return pb.RecordEventsRequest(
        events=[
            event_pb2.CustomerEvent(
                team_id=str(team_id),
                event_key=str(new_id()),
                occur_time=at,
                customer=customer_pb2.CustomerSelector(customer_id=str(each)),
                **KINDS[kind](number),
            )
            for number, each in enumerate(customers)
        ]
    )


async def _rows(
    admin: Any,
    team_id: UUID,
    request: pb.RecordEventsRequest,
    ours: Sequence[UUID],
    bare: Sequence[UUID],
) -> tuple[Any, ...]:
    """What a batch left, as arguments of the bare statement, which does it to other customers."""
    keys = [event.event_key for event in request.events]
    found = {
        table: [
            tuple(row) for row in await admin.fetch(query, team_id, ours if table == "shop_order" else keys)
        ]
        for table, query in _WRITTEN.items()
    }
    if len(found["fact"]) + len(found["event_key"]) != len(keys):
        raise BenchFault(f"{len(keys)} events left other rows than one key each")
    now = request.events[0].occur_time.ToDatetime().astimezone() if found["shop_order"] else None
    times, mails = [now] * len(bare), [int(bool(found["fact"]))] * len(bare)
    return bare, times, mails, found["fact"], found["event_key"], found["shop_order"]
