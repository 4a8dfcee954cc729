"""Revisions of a journey without a screen: which there were, and two of them side by side."""

from __future__ import annotations

import pytest

from omnijourney.journey.v1 import node_pb2, trigger_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ALL, LINE, definition_of, say, target, wait

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def test_two_revisions_stand_side_by_side_with_what_is_different(stand: Stand) -> None:
    account, module = await stand.site.account(LINE), await stand.site.module()
    first = definition_of(wait(), say(LINE, module), name="Welcome", targets=[target(LINE, account)])
    made = (await stand.call("CreateJourney", definition=first)).journey
    tagged = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["vip"]))
    tags = node_pb2.Node(tags=node_pb2.TagsNode(add=["welcomed"]))
    then = definition_of(wait(), tags, name="Welcome", targets=[target(LINE, account)], trigger=tagged)
    then.nodes[0].delay.delay.seconds = 7200
    then.nodes[0].next_node_id = then.nodes[1].node_id = "thanks"
    paths = {"paths": ["nodes", "trigger"]}
    await stand.call("UpdateJourney", journey_id=made.journey_id, definition=then, update_mask=paths)
    browser = await stand.signed_in(language="zh-TW")
    address = f"/journeys/{made.journey_id}/revisions"
    listed = await browser.get(address)
    assert f'href="{address}/compare?before=1&amp;after=2"' in listed.html
    page = await browser.get(f"{address}/compare?before=1&after=2")
    assert page.status == 200, page.text
    assert "觸發條件 已修改 完成結帳 貼上任一標籤: vip" in page.text
    assert "時間延遲 n0 已修改 1 分鐘 2 小時" in page.text
    assert "新增/移除標籤 thanks 新增 – ＋ welcomed" in page.text
    assert "訊息 n1 移除 LINE: M –" in page.text
    assert 'id="node-1-n1"' in page.html, "on the left"
    assert 'id="node-2-thanks"' in page.html, "on the right"
    assert page.html.count(" marked") == 4, (
        "on each side one that is there only, and the one that was changed"
    )
    assert "兩個版本相同" in (await browser.get(f"{address}/compare?before=2&after=2")).text
    for odd in ("before=1&after=9", "before=0&after=1", "before=x", "before=99999999999&after=1"):
        assert (await browser.get(f"{address}/compare?{odd}")).status == 404, odd
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    for path in (address, f"{address}/compare?before=1&after=2"):
        assert (await stranger.get(path)).status == 404
