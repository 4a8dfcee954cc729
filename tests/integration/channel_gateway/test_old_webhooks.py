"""Webhooks that came in go when they are old and worked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.db.pool import open_pool
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.forgetting import Forgetting
from tests.integration.channel_gateway.conftest import VAULT, Gateway
from tests.integration.channel_gateway.test_webhooks import Shop, order, stored


@pytest.mark.rule("C-20d")
async def test_old_webhooks_go_with_what_was_refused_of_them_once_they_are_worked(gateway: Gateway) -> None:
    shop = Shop(gateway, await gateway.shop())
    gateway.neighbours.segment.refuse_keys.add("demo:order-2")
    for number in (1, 2):
        await shop.post(order(number), f"w{number}")
    await gateway.settled()
    kept_days = 90
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:
        forgetting = Forgetting(InboxStore(pool, VAULT), gateway.clock, kept_days, "webhooks")
        assert await forgetting.step(10) == 0
        gateway.clock.advance(timedelta(days=kept_days))
        assert await forgetting.step(10) == 0
        gateway.clock.advance(timedelta(seconds=60))
        await shop.post(order(3), "w3")
        await gateway.settled()
        assert [await forgetting.step(1), await forgetting.step(10), await forgetting.step(10)] == [1, 1, 0]
    assert [record.webhook_id for record in await stored(gateway)] == ["w3"]
    status, answer = await shop.post(order(1), "w1")
    assert (status, answer["results"][0]["status"]) == (202, "accepted")


async def test_a_team_that_says_how_long_keeps_its_webhooks_for_that_long(gateway: Gateway) -> None:
    shop = Shop(gateway, await gateway.shop())
    for number in range(3):
        await shop.post(order(number), f"w{number}")
    await gateway.settled()
    said: dict[UUID, timedelta] = {}

    async def own() -> Mapping[UUID, timedelta]:
        return said

    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:
        forgetting = Forgetting(InboxStore(pool, VAULT), gateway.clock, 90, "webhooks", own)
        said[gateway.team_id] = timedelta(days=200)
        gateway.clock.advance(timedelta(days=100))
        assert await forgetting.step(10) == 0
        said[gateway.team_id] = timedelta(days=120)
        assert await forgetting.step(10) == 0
        said[gateway.team_id] = timedelta(days=30)
        assert [await forgetting.step(2), await forgetting.step(2), await forgetting.step(2)] == [2, 1, 0]
