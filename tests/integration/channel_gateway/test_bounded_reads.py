"""What is read of one team, subscription or replay is found without reading what is of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import Pool, open_pool, replanned, transaction
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.coupon_presses import CouponPressStore
from services.channel_gateway.store.webhooks_out import change_dead_letters

OTHERS = 5_000
"""Rows of others, beside some of ours."""
TEAM, OTHER = new_id(), new_id()
SUBSCRIPTION, BUSY = new_id(), new_id()


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Any]:
    """Writes rows of all teams."""
    connection = await asyncpg.connect(database.admin_dsn)
    await connection.execute("SET search_path = channel_gateway")
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Of the service's own role."""
    async with await open_pool(database.dsn_of("channel_gateway"), name="test") as opened:
        yield opened


async def relations(pool: Pool, query: str, **values: Any) -> set[str]:
    """The indexes, and the tables that are read whole, in the plan of a query of the team."""
    sql, *arguments = QUERIES.bind(query, **values)
    async with transaction(pool, [TEAM]) as connection:
        await replanned(connection)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments))
    return set(_read_by(plan[0]["Plan"]))


def _read_by(node: dict[str, Any]) -> list[str]:
    own = [node["Index Name"]] if "Index Name" in node else []
    if node["Node Type"] == "Seq Scan":
        own.append(f"all of {node['Relation Name']}")
    return own + [each for child in node.get("Plans", ()) for each in _read_by(child)]


async def fill_webhooks_out(admin: Any, of_us: int) -> None:
    """Given-up webhooks of two subscriptions of the team."""
    for subscription, count in ((SUBSCRIPTION, of_us), (BUSY, OTHERS)):
        await admin.execute(
            """
            INSERT INTO outgoing_webhook (
                team_id, subscription_id, webhook_id, event_type, body, occurred_at, next_at, give_up_at, dead_at
            )
            SELECT $1, $2, gen_random_uuid(), 'contact.added', '{}', now(), now(), now(),
                   now() - make_interval(secs => n)
              FROM generate_series(1, $3) AS n
            """,
            *(TEAM, subscription, count),
        )
    await admin.execute("ANALYZE outgoing_webhook")


async def test_given_up_webhooks_of_a_subscription_are_found_beside_many_of_another(
    admin: Any, pool: Pool
) -> None:
    await fill_webhooks_out(admin, 20)
    asked = {"team_id": TEAM, "subscription_id": SUBSCRIPTION, "webhook_ids": [], "most": 10}
    assert "outgoing_webhook_dead_of" in await relations(pool, "replay_dead_letters", **asked, hours=1)
    assert "outgoing_webhook_dead_of" in await relations(pool, "delete_dead_letters", **asked)


async def test_no_call_takes_up_more_than_its_bound(
    admin: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.store.webhooks_out.DEAD_LETTERS_MAX", 15)
    await fill_webhooks_out(admin, 20)
    async with transaction(pool, [TEAM]) as connection:
        for expected in (15, 5, 0):
            taken = await change_dead_letters(connection, (TEAM, SUBSCRIPTION), [], replay=True)
            assert taken == expected


async def test_a_replay_finds_its_teams_webhooks_beside_many_of_another(admin: Any, pool: Pool) -> None:
    for team, count in ((OTHER, OTHERS), (TEAM, 20)):
        await admin.execute(
            """
            INSERT INTO webhook_inbox (
                team_id, source, origin, webhook_id, body, digest, event_count, received_at, state
            )
            SELECT $1, 1, 'demo', n::text, '{}', '', 1, now(), 2 FROM generate_series(1, $2) AS n
            """,
            *(team, count),
        )
    await admin.execute("ANALYZE webhook_inbox")
    now = await admin.fetchval("SELECT now()")
    span = {"start_time": now, "end_time": now, "reached": 0, "source": 0, "most": 100}
    for refused_only in (False, True):
        used = await relations(pool, "restore_webhooks", team_id=TEAM, refused_only=refused_only, **span)
        assert "webhook_inbox_worked" in used
        assert "all of webhook_inbox" not in used


async def test_no_teams_presses_stand_before_anothers(admin: Any, pool: Pool) -> None:
    for team, count, age in ((OTHER, 10_500, 60), (TEAM, 1, 1)):
        await admin.execute(
            """
            INSERT INTO coupon_press (
                team_id, press_id, account_id, channel, external_id, customer_id, coupon_id, offer_id, try_at
            )
            SELECT $1, gen_random_uuid(), $1, 1, 'U1', $1, $1, $1, clock_timestamp() - make_interval(mins => $3)
              FROM generate_series(1, $2)
            """,
            *(team, count, age),
        )
    assert await CouponPressStore(pool).due_teams(10) == [OTHER, TEAM]
    assert await CouponPressStore(pool).due_teams(1) == [OTHER]


async def test_reserved_money_of_a_team_is_summed_without_anothers_broadcast(admin: Any, pool: Pool) -> None:
    stint = UUID(int=7)
    await admin.execute(
        """
        INSERT INTO delivery (
            team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, state, accepted, reason,
            messages, price_micros, currency, capped, stop_epoch, depth, recipient, created_at, stint_id
        )
        SELECT $1, gen_random_uuid(), $1, $1, $1, 'hello', 2, 8, true, '', 1, 1, 'HKD', false, 0, 0, '1', now(), $2
          FROM generate_series(1, $3)
        """,
        *(OTHER, stint, OTHERS),
    )
    await admin.execute("ANALYZE delivery")
    sql, *arguments = QUERIES.bind("get_reserved", team_id=TEAM)
    await admin.execute("INSERT INTO sender_stint (stint_id, sender) VALUES ($1, $1)", stint)
    async with transaction(pool, [TEAM]) as connection:
        plan = await connection.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {sql}", *arguments
        )
    read = [node for node in _nodes(json.loads(plan)[0]["Plan"]) if node.get("Relation Name") == "delivery"]
    assert [node.get("Rows Removed by Filter", 0) for node in read] == [0], "nothing of others was read"


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(each for child in node.get("Plans", ()) for each in _nodes(child))]


async def test_charges_are_found_beside_many_sends_that_cost_nothing(admin: Any, pool: Pool) -> None:
    for micros, count in ((0, OTHERS), (500_000, 20)):
        await admin.execute(
            """
            INSERT INTO delivery (
                team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, state, accepted, reason,
                messages, price_micros, currency, capped, stop_epoch, depth, recipient, created_at
            )
            SELECT $1, gen_random_uuid(), $2, $2, $2, 'hello', 2, 1, true, '', 1, $3::bigint, 'HKD', false, 0, 0, '886',
                   now() + make_interval(secs => n * sign(0.5 - $3::bigint))
              FROM generate_series(1, $4) AS n
            """,
            *(TEAM, OTHER, micros, count),
        )
    await admin.execute("ANALYZE delivery")
    everything = dict.fromkeys(("journey_id", "start_time", "before_time", "before_key", "before_kind"))
    found = await relations(pool, "list_charges", team_id=TEAM, channel=0, most=20, **everything)
    assert "delivery_charged" in found
    assert not found & {"delivery_by_time", "all of delivery"}
