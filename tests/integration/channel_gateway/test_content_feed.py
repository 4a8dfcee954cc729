"""The history for those who follow content only: what is gone is told, what is sent all day is passed over."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import open_pool
from libs.common.feeds.gateway_records import GoneFact, read_record
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.records import SHARDS
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import PARTITIONS, new_id
from libs.testing.fixtures import Database
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.store import feed as feed_module
from services.channel_gateway.store.feed import FeedStore
from tests.integration.channel_gateway.conftest import LINE, START, TIMEOUT_S, WHATSAPP, Gateway

_OLD_FACT = """
WITH at AS (SELECT channel_gateway.allocate_positions(ARRAY[$2::smallint]) AS positions)
INSERT INTO channel_gateway.history (partition, position, team_id, kind, occurred_at, event_id, effect_key, outcome,
    reason)
SELECT $2, positions[1], $1, $3, $4, gen_random_uuid(), $5, 1, 'DELETED' FROM at
"""


def content_of(gateway: Gateway) -> PackedHistory[GatewayRow]:
    """The history as journey follows it."""
    return PackedHistory("channel_gateway", gateway.internal.channel, GatewayRow, content_only=True)


def gone_in(rows: Any) -> list[tuple[int, UUID]]:
    """Kinds and ids of what is gone."""
    facts = [fact for row in rows for fact in read_record(row.body).facts]
    return [(fact.kind, UUID(bytes=fact.content_id)) for fact in facts if isinstance(fact, GoneFact)]


async def _delete(gateway: Gateway, name: str, **fields: str) -> None:
    form = getattr(pb, f"Delete{name}Request")
    request = form(team_id=str(gateway.team_id), request_id=str(new_id()), **fields)
    await getattr(gateway.stub, f"Delete{name}")(request, timeout=TIMEOUT_S)


async def test_content_that_is_gone_is_told_to_those_who_wait_for_nothing_else(gateway: Gateway) -> None:
    account, module = await gateway.account(LINE), await gateway.module("hello")
    whatsapp = await gateway.account(WHATSAPP)
    template = await gateway.template(whatsapp)
    customers = [gateway.customer(account, LINE) for _ in range(12)]
    await gateway.ask(*[gateway.send(each, LINE, bot_module_id=module) for each in customers])
    await gateway.settled()
    history = content_of(gateway)
    sent = await history.read(dict.fromkeys(range(PARTITIONS), 0), 0, 100)
    assert not sent.rows
    assert sent.cursors != dict.fromkeys(range(PARTITIONS), 0), "what was sent is passed over"

    waiting = asyncio.create_task(history.read(sent.cursors, 20, 100))
    await asyncio.sleep(0.2)
    await _delete(gateway, "BotModule", bot_module_id=module)
    told = await asyncio.wait_for(waiting, 20)
    assert gone_in(told.rows) == [(1, UUID(module))]

    await _delete(gateway, "ChannelAccount", channel_account_id=whatsapp)
    page = await history.read(told.cursors, 0, 100)
    assert sorted(gone_in(page.rows)) == [(2, UUID(template)), (3, UUID(whatsapp))]
    assert not (await history.read(page.cursors, 0, 100)).rows


@pytest.fixture
async def feed(database: Database) -> Any:
    """The store alone."""
    pool = await open_pool(database.dsn_of("channel_gateway"), name="feed")
    yield FeedStore(pool)
    await pool.close()


async def test_content_that_went_before_there_were_records_is_told_first(
    database: Database, feed: FeedStore
) -> None:
    admin = await asyncpg.connect(database.admin_dsn)
    team, gone = new_id(), new_id()
    await admin.execute(_OLD_FACT, team, 7, 1, START, new_id())
    await admin.execute(_OLD_FACT, team, 9, 4, START, gone)
    await admin.close()
    rows, cursors = await feed.content_page(dict.fromkeys(range(PARTITIONS), 0))
    assert [(row["kind"], bytes(row["key"])) for row in rows] == [(4, gone.bytes)]
    assert await feed.content_page(cursors) == ([], cursors)


async def test_a_page_looks_no_further_than_it_may_and_is_gone_on_from(
    gateway: Gateway, feed: FeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [await gateway.module("hello") for _ in range(SHARDS + 1)]
    for module in modules:
        await _delete(gateway, "BotModule", bot_module_id=module)
    monkeypatch.setattr(feed_module, "PAGE_MAX", 1)
    found: list[UUID] = []
    cursors, pages = dict.fromkeys(range(PARTITIONS), 0), 0
    while True:
        rows, following = await feed.content_page(cursors)
        if following == cursors:
            break
        found += [UUID(bytes=fact.content_id) for row in rows for fact in read_record(row["body"]).facts]  # type: ignore[union-attr]
        cursors, pages = following, pages + 1
    assert sorted(map(str, found)) == sorted(modules)
    assert pages > 1
