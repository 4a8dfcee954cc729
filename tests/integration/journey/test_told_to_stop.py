"""Journey told to stop in the middle of its work (X-05)."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from libs.common.ids import PARTITIONS
from libs.common.mailbox import open_mailbox
from libs.testing.fixtures import Servers
from omnijourney.journey.v1 import node_pb2
from tests.integration.journey.house import House, until

CUSTOMERS = 60


async def _entered(house: House, journey_id: str) -> Any:
    return await house.call("journey", "CountEnrolments", journey_id=journey_id)


@pytest.mark.rule("X-05")
async def test_it_ends_its_turns_hands_back_its_partitions_and_loses_nothing(
    house: House, servers: Servers
) -> None:
    key = await house.attribute("level")
    sets = node_pb2.Node(node_id="sets", attribute=node_pb2.AttributeNode(key=key, text="gold"))
    journey_id = await house.publish(sets)
    customers = await house.trigger(journey_id, CUSTOMERS)

    await house.stop("journey")

    admin = await asyncpg.connect(house.database.admin_dsn)
    try:
        held = "SELECT count(*) FROM journey.partition_lease WHERE owner IS NOT NULL AND expires_at > now()"
        assert await admin.fetchval(held) == 0, "the next worker need not wait for leases to expire"
        workers = "SELECT count(*) FROM journey.lease_worker WHERE expires_at > now()"
        assert await admin.fetchval(workers) == 0
        async with open_mailbox(servers.redis_url) as mailbox:
            depths = await mailbox.depths(range(PARTITIONS))
        assert sum(depth.taken for depth in depths.values()) == 0, "nobody is left in hand"

        await house.start("journey")

        async def all_through() -> bool:
            counts = await _entered(house, journey_id)
            return bool(counts.completed_count == CUSTOMERS and not counts.live_count)

        await until(all_through)
        effects = "SELECT customer_id::text FROM segment.fact WHERE team_id = $1 AND effect_key IS NOT NULL"
        changed = await admin.fetch(effects, house.team_id)
    finally:
        await admin.close()
    assert sorted(row["customer_id"] for row in changed) == sorted(customers), "each once"
