"""Services told to stop in the middle of their work (X-05)."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox import open_mailbox
from libs.testing.fixtures import Servers
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import journey_pb2, journey_service_pb2, node_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.journey.house import LINE, House, message, until

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


@pytest.mark.rule("X-05")
async def test_what_the_others_are_asked_for_while_they_are_told_to_stop_is_done_once(house: House) -> None:
    key, account, module = await house.attribute("level"), await house.account(), await house.module()
    sets = node_pb2.Node(node_id="sets", attribute=node_pb2.AttributeNode(key=key, text="gold"))
    target = journey_pb2.Target(channel=LINE, account_id=account)
    journey_id = await house.publish(sets, message("says", bot_module_id=module), targets=[target])

    async def known(number: int) -> journey_service_pb2.SystemTriggerItem:
        person = customer_pb2.Customer(name="Mei")
        person.identities.add(
            key=customer_pb2.IdentityKey(channel=LINE, account_id=account, external_id=f"U{number:032x}")
        )
        made = (await house.call("segment", "CreateCustomer", customer=person)).customer
        return journey_service_pb2.SystemTriggerItem(
            journey_id=journey_id, request_id=str(new_id()), customer_id=made.customer_id
        )

    items = await asyncio.gather(*(known(number) for number in range(CUSTOMERS // 2)))
    for service, part in (("segment", items[::2]), ("gateway", items[1::2])):
        await house.call("journey", "TriggerJourneys", items=part)
        await house.stop(service)
        await house.start(service)

    async def all_through() -> bool:
        return bool((await _entered(house, journey_id)).completed_count == len(items))

    await until(all_through)
    sent = (await house.call("gateway", "ListDeliveries", page_size=500)).deliveries
    wanted = sorted((item.customer_id, delivery_pb2.SEND_STATE_SENT) for item in items)
    assert sorted((each.customer_id, each.state) for each in sent) == wanted, "each once, and none in doubt"
    admin = await asyncpg.connect(house.database.admin_dsn)
    try:
        effects = "SELECT customer_id::text FROM segment.fact WHERE team_id = $1 AND effect_key IS NOT NULL"
        changed = await admin.fetch(effects, house.team_id)
    finally:
        await admin.close()
    assert sorted(row["customer_id"] for row in changed) == sorted(item.customer_id for item in items)
