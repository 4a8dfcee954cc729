"""Quiet time by the customers' own clocks on its whole path: published, triggered, sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.testing.fixtures import Databases, Servers
from omnijourney.journey.v1 import journey_service_pb2 as pb
from tests.integration.journey.example_shop import Shop
from tests.integration.journey.whole_site import Site, serving_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT: Final = """
name: By own clocks
do_not_disturb:
  windows:
  - start_minute: 720
    end_minute: 780
  zone: CUSTOMER
  zone_attribute_key: tier
trigger:
  system:
targets:
- channel: LINE
  account: Shop
nodes:
- node_id: say
  message:
    channel: LINE
    bot_module: News
"""
"""Noon is quiet; the attribute that the shop has holds the zone here."""


@pytest_asyncio.fixture(loop_scope="module")
async def site(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services, at noon of the team's zone."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        now = await site.now()
        noon = now.replace(hour=4, minute=0, second=0, microsecond=0)
        await site.advance(seconds=((noon if noon > now else noon + timedelta(days=1)) - now).total_seconds())
        yield site


@pytest.mark.rule("J-38b")
async def test_each_customer_is_left_alone_by_their_own_clock_and_by_the_teams_where_it_is_not_known(
    site: Site,
) -> None:
    shop = Shop(site)
    await shop.furnish()
    content = TEXT
    journey_id = (
        await site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=content)
    ).journey.journey_id
    await site.call("PublishJourney", journey_id=journey_id)
    exported = await site.call("ExportJourney", journey_id=journey_id, format=pb.TEXT_FORMAT_YAML)
    assert "zone_attribute_key: tier" in exported.content
    here, tokyo, nowhere = [await shop.customer() for _ in range(3)]
    await site.call("SetCustomerAttributes", customer_id=tokyo, values={"tier": "asia/tokyo"})
    await site.call("SetCustomerAttributes", customer_id=nowhere, values={"tier": "Atlantis"})
    await shop.trigger(journey_id, here, tokyo, nowhere)
    await shop.settled(journey_id, live=2, completed=1)
    assert await shop.sent(journey_id) == [("say", tokyo)], "it is 13:00 in Tokyo, and noon here"
    await site.advance(hours=1)
    await shop.settled(journey_id, completed=3)
    assert sorted(await shop.sent(journey_id)) == sorted(("say", each) for each in (here, tokyo, nowhere))
