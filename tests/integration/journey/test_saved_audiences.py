"""Journeys whose conditions name saved audiences: checked when published, and told when one is to be deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.testing.fixtures import Databases, Servers
from omnijourney.segment.v1 import audience_pb2
from tests.integration.journey.whole_site import ALL, Site, ask, refusal, serving_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
VIP = audience_pb2.Audience(
    tags=audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["vip"])
)
RICH = audience_pb2.Audience(
    points=audience_pb2.PointsPredicate(
        figure=audience_pb2.POINTS_FIGURE_BALANCE, operator=audience_pb2.COMPARE_OPERATOR_GREATER, value=5
    )
)


@pytest_asyncio.fixture(loop_scope="module")
async def site(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services with a team that has all modules."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        await site.team(ALL)
        yield site


def within(audience_id: str) -> audience_pb2.Audience:
    """Being in a saved audience."""
    return audience_pb2.Audience(
        saved_audience=audience_pb2.SavedAudiencePredicate(
            operator=audience_pb2.MEMBERSHIP_OPERATOR_IN, saved_audience_id=audience_id
        )
    )


async def save(site: Site, name: str, audience: audience_pb2.Audience) -> str:
    """Saves an audience and returns its id."""
    saved = audience_pb2.SavedAudience(name=name, audience=audience)
    made = await site.call("CreateSavedAudience", saved_audience=saved)
    return str(made.saved_audience.saved_audience_id)


@pytest.mark.rule("S-04")
async def test_an_audience_that_a_journey_names_is_deleted_by_force_only(site: Site) -> None:
    used, free = await save(site, "used", VIP), await save(site, "free", VIP)
    journey_id = await site.draft(ask(within(used.upper())))
    [named] = (await site.call("ListReferringJourneys", saved_audience_id=used)).journeys
    assert named.journey_id == journey_id
    assert list(named.fields) == ["nodes[0].condition.audience.saved_audience.saved_audience_id"]
    told = await refusal(site.call("DeleteSavedAudience", saved_audience_id=used))
    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert told.metadata["used_by"] == f"journey {journey_id}"
    assert (await site.call("GetSavedAudience", saved_audience_id=used)).saved_audience.name == "used"
    gone = await site.call("DeleteSavedAudience", saved_audience_id=used, force=True)
    assert [(each.journey_id, each.name) for each in gone.users] == [(journey_id, "J")]
    assert not (await site.call("DeleteSavedAudience", saved_audience_id=free)).users


async def test_what_a_journey_names_is_looked_at_when_it_is_published(site: Site) -> None:
    rich = await save(site, "rich", RICH)
    path = "nodes[0].condition.audience.saved_audience"
    assert path not in await site.faults(ask(within(rich)))
    assert (await site.faults(ask(within(str(new_id())))))[path] == "RESOURCE_NOT_FOUND"
    settings = (await site.call("GetTeam")).team.settings
    settings.modules.remove(2)
    await site.call("UpdateTeam", team={"settings": settings}, update_mask={"paths": ["settings.modules"]})
    assert (await site.faults(ask(within(rich))))[path] == "MODULE_MISSING"
