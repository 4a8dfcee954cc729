"""w3: order. Many events of each of 1,000 customers, in by segment's batch call, out at the commit of the turns.

The events are attribute changes by effects (`ApplyChanges`): each is one mail to the customer's actor, and no journey
waits for it, so that what is measured is the way of a message and not what a journey does with it. Order and once are
checked in what the services keep: numbers of mail without gaps in order of position, and the number taken by each
actor, which only grows by one.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from bench.field import BenchFault, Field
from bench.floor_0 import Floor, order_floor
from bench.measure import chunks
from bench.team import BATCH, BenchTeam, spread
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import change_pb2

CUSTOMERS: Final = 1_000
KEY: Final = "step"
_DISORDER: Final = """
SELECT count(*) FROM (
    SELECT mail_number, row_number() OVER (PARTITION BY customer_id ORDER BY position) AS place
      FROM segment.fact WHERE mail_number IS NOT NULL
) AS f WHERE mail_number <> place
"""
_LEFT: Final = """
SELECT count(*) FROM segment.customer AS c
  LEFT JOIN journey.actor AS a ON a.team_id = c.team_id AND a.customer_id = c.customer_id
 WHERE c.mail_number <> COALESCE(a.taken_segment, 0)
"""


class Order(msgspec.Struct, frozen=True):
    """Messages a second from the first call to the commit of the last turn."""

    messages: int
    rate_per_s: float
    accepted_per_s: float
    cpu_s: dict[str, float]
    cpu_s_per_1000: float


async def order(field: Field, events: int) -> Order:
    """`events` each of 1,000 customers, in order."""
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    await team.create_attribute(KEY)
    customers = await team.create_customers(CUSTOMERS)
    await _post(field, team, customers, range(4))
    await _until_taken(field)
    await field.settled()
    await field.admin.execute("CHECKPOINT")
    field.usage.start()
    began_s = time.perf_counter()
    await _post(field, team, customers, range(4, 4 + events))
    posted_s = time.perf_counter() - began_s
    await _until_taken(field)
    wall_s = time.perf_counter() - began_s
    await field.settled()
    spent = field.usage.spent()
    disorder = await field.admin.fetchval(_DISORDER)
    if disorder:
        raise BenchFault(f"{disorder} messages are out of order")
    count = CUSTOMERS * events
    return Order(count, count / wall_s, count / posted_s, spent, sum(spent.values()) / count * 1_000)


async def _post(field: Field, team: BenchTeam, customers: Sequence[UUID], steps: Sequence[int]) -> None:
    """A caller a group of customers: each posts the next step when the one before is accepted."""

    async def walk(group: list[UUID]) -> None:
        for step in steps:
            now = timestamp(field.clock.now())
            changes = [
                change_pb2.Change(
                    effect_key=str(new_id()),
                    team_id=team.team_id,
                    customer_id=str(customer),
                    occur_time=now,
                    set_attribute=change_pb2.AttributeChange(key=KEY, text=str(step)),
                )
                for customer in group
            ]
            await team.change(changes)

    await spread(list(chunks(customers, BATCH)), walk)


async def _until_taken(field: Field) -> None:
    """Waits until every actor has taken all mail of its customer."""
    deadline_s = time.monotonic() + 600
    while await field.admin.fetchval(_LEFT):
        if time.monotonic() > deadline_s:
            raise BenchFault("mail is left that no actor takes")
        await asyncio.sleep(0.1)


async def floor(field: Field, events: int) -> Floor:
    """The same without services."""
    return await order_floor(field, CUSTOMERS, events)
