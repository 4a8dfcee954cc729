"""A team whose module POINTS is taken away and given back, with journeys running (P-09): all services as they are."""

from __future__ import annotations

import pytest

from omnijourney.journey.v1 import node_pb2
from omnijourney.segment.v1 import team_pb2
from tests.integration.journey.whole_site import ALL, refusal
from tests.integration.whole_path.stage import SYSTEM, Stage, node, until
from tests.integration.whole_path.test_goals import BOUGHT

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("P-09")]


async def _modules(stage: Stage, *modules: int) -> None:
    team = team_pb2.Team()
    team.settings.modules.extend(team_pb2.Module.ValueType(module) for module in modules)
    await stage.call("UpdateTeam", team=team, update_mask={"paths": ["settings.modules"]})


async def test_orders_and_journeys_give_points_while_the_team_has_the_module(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Settings are read again at once, instead of within the seconds that they may be kept.
    monkeypatch.setattr("libs.common.clients.team_settings.KEPT_S", 0.0)
    await stage.call("SetEarningFormula", amount="100", points="1")
    adds = node("adds", points=node_pb2.PointsNode(add=7))
    gives = await stage.live(adds, name="gives", trigger=SYSTEM)
    mei = await stage.customer()
    bought = await stage.live(
        node("seen", tags=node_pb2.TagsNode(add=["bought"])), name="bought", trigger=BOUGHT
    )

    async def order(count: int) -> None:
        await stage.order(mei, 500)
        await stage.until_done(bought, count)

    await order(1)
    await until(lambda: _has(stage, mei, 5))
    await _modules(stage, *(module for module in ALL if module != team_pb2.MODULE_POINTS))
    await order(2)
    await stage.trigger(gives, mei)
    await stage.until_done(gives)
    assert await stage.steps(gives) == ["adds SKIPPED MODULE_MISSING"]
    refused = await refusal(stage.call("GetBalance", customer_id=mei))
    assert refused.reason == "MODULE_MISSING"
    await _modules(stage, *ALL)
    assert await stage.balance(mei) == (5, 5), "as it was, and nothing is made up for"
    await order(3)
    await stage.trigger(gives, mei)
    await until(lambda: _has(stage, mei, 17))


async def _has(stage: Stage, customer_id: str, points: int) -> bool:
    return await stage.balance(customer_id) == (points, points)
