"""Times that no calendar has are refused by the tables that keep times from outside."""

from typing import Any

import asyncpg
import pytest

from tests.integration.schemas.services import SERVICES

_CONSTRAINTS = """
SELECT conrelid::regclass::text AS table, pg_get_expr(conbin, conrelid) AS condition
  FROM pg_constraint WHERE conname LIKE '%\\_finite' AND contype = 'c' ORDER BY 1
"""


async def test_infinite_times_are_refused(connection: "asyncpg.Connection[Any]") -> None:
    rows = await connection.fetch(_CONSTRAINTS)
    assert [row["table"] for row in rows] == [
        "channel_gateway.delivery",
        "channel_gateway.history",
        "channel_gateway.shop_key",
        "journey.journey",
        "journey.mail",
        "platform.api_client",
        "points.coupon",
        "points.coupon_claim",
        "points.entry",
        "segment.customer",
        "segment.fact",
        "segment.refund",
        "segment.shop_order",
        "stats.counter",
    ]


_UNCHECKED = """
SELECT attrelid::regclass::text || '.' || attname
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname = ANY ($1) AND atttypid = 'timestamptz'::regtype AND NOT attisdropped
   AND NOT EXISTS (
        SELECT FROM pg_constraint
         WHERE conrelid = attrelid AND contype = 'c' AND attnum = ANY (conkey)
           AND pg_get_constraintdef(pg_constraint.oid) LIKE '%isfinite(' || attname || ')%')
"""
OURS = {"applied_at", "created_at", "create_time", "updated_at", "update_time", "real_time", "set_aside_at"}
"""Columns, in any table, that this product's own clock sets."""
OURS_ALONE = {
    "channel_gateway.delivery.first_attempt_at",
    "channel_gateway.delivery.next_attempt_at",  # now, and a wait that is bounded whatever a channel says
    "channel_gateway.delivery.settled_at",
    "channel_gateway.inbound.last_at",
    "channel_gateway.webhook_inbox.received_at",
    "journey.actor.sending_since",
    "journey.actor.wake_at",
    "journey.enrolment.wake_at",  # a time of the clock, and a delay that is bounded
    "journey.history.at",
    "journey.journey.deleted_at",
    "journey.journey.published_at",
    "journey.lease_worker.expires_at",
    "journey.orphan.rested_at",
    "journey.parked_customer.parked_at",
    "journey.partition_lease.expires_at",  # a lease of nobody has ended for ever
    "platform.clock.domain_anchor",  # the time of the installation, which only ever goes on from its present one
    "platform.clock.real_anchor",
    "points.account.last_at",
    "points.entry.posted_at",
    "points.import.ended_at",
    "points.ledger_check.checked_at",
    "points.outcome.recorded_at",
    "segment.customer_tag.apply_time",
    "segment.fact.record_time",
    "segment.identity.bind_time",
}
"""The same of one table."""


async def test_every_time_that_comes_from_outside_is_checked_by_its_table(
    connection: "asyncpg.Connection[Any]",
) -> None:
    """A new column has either a check, or a place in these lists for a reason that holds."""
    found = {row[0] for row in await connection.fetch(_UNCHECKED, [*SERVICES, "platform"])}
    unchecked = {name for name in found if name.rpartition(".")[2] not in OURS}
    assert unchecked - OURS_ALONE == set(), "add CHECK (isfinite(…)) in a migration"
    assert OURS_ALONE - unchecked == set(), "no such column, or it is checked by now"


@pytest.mark.parametrize("time", ["infinity", "-infinity"])
async def test_an_infinite_time_cannot_be_stored(connection: "asyncpg.Connection[Any]", time: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="mail_time_finite"):
        await connection.execute(
            "INSERT INTO journey.mail (partition, position, team_id, customer_id, number, request_key, journey_id,"
            " occurred_at) SELECT 0, 1, id, id, 1, id, id, $1::text::timestamptz FROM gen_random_uuid() AS id",
            time,
        )
