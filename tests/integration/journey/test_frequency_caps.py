"""A frequency cap over journeys on its whole path: set, triggered, skipped, waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.common.rpc.values import duration
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import limits_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from tests.integration.journey.example_shop import Shop
from tests.integration.journey.whole_site import Site, serving_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT: Final = """
name: {name}
trigger:
  checkout_completed:
targets:
- channel: LINE
  account: Shop
nodes:
- node_id: {name}
  message:
    channel: LINE
    bot_module: News
    capped_action: {action}
priority: {priority}
"""


@pytest_asyncio.fixture(loop_scope="module")
async def site(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        yield site


@pytest.mark.rule("J-38a")
async def test_of_three_journeys_the_highest_gets_the_room_one_waits_for_it_and_one_is_skipped(
    site: Site,
) -> None:
    shop = Shop(site)
    await shop.furnish()
    week = limits_pb2.FrequencyRule(message_max=1, period=duration(timedelta(days=1)))
    await site.call("UpdateFrequencyCap", frequency_cap=limits_pb2.FrequencyCap(rules=[week]))
    journeys = {}
    for name, action, priority in (("low", "SKIP", -1), ("middle", "WAIT", 0), ("high", "SKIP", 1)):
        content = TEXT.format(name=name, action=action, priority=priority)
        applied = await site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=content)
        journeys[name] = applied.journey.journey_id
        await site.call("PublishJourney", journey_id=journeys[name])
        again = await site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=content)
        assert not again.changes
    customer, other = await shop.customer(), await shop.customer()
    await shop.order(customer)
    await shop.settled(journeys["high"], completed=1)
    await shop.settled(journeys["middle"], live=1)
    await shop.settled(journeys["low"], completed=1)
    assert [await shop.sent(journeys[name]) for name in ("high", "middle", "low")] == [
        [("high", customer)],
        [],
        [],
    ]
    waiting = (await site.call("ListEnrolments", journey_id=journeys["middle"])).enrolments[0]
    steps = (await site.call("ExplainEnrolment", enrolment_id=waiting.enrolment_id)).steps
    assert [step.detail for step in steps] == ["FREQUENCY_CAP_REACHED"]
    await shop.order(other)
    await shop.settled(journeys["high"], completed=2)
    await site.advance(days=1, minutes=1)
    await shop.settled(journeys["middle"], completed=2)
    assert sorted(await shop.sent(journeys["middle"])) == sorted([("middle", customer), ("middle", other)])
    assert await shop.sent(journeys["low"]) == []
