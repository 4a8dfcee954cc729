"""Times that no calendar has are refused by the tables that keep times from outside."""

from typing import Any

import asyncpg
import pytest

from tests.integration.schemas.services import SERVICES

_CONSTRAINTS = """
SELECT conrelid::regclass::text AS table, pg_get_expr(conbin, conrelid) AS condition
  FROM pg_constraint WHERE conname ~ '_times?_readable$' AND contype = 'c' ORDER BY 1
"""


async def test_times_that_nobody_can_read_are_refused(connection: "asyncpg.Connection[Any]") -> None:
    rows = await connection.fetch(_CONSTRAINTS)
    assert [row["table"] for row in rows] == [
        "channel_gateway.consent",
        "channel_gateway.consent_change",
        "channel_gateway.content_pruning",
        "channel_gateway.content_pruning_of_team",
        "channel_gateway.delivery",
        "channel_gateway.history",
        "channel_gateway.inbound",
        "channel_gateway.inbox_replay",
        "channel_gateway.moved_person",
        "channel_gateway.opt_out",
        "channel_gateway.pixel_key",
        "channel_gateway.shop_key",
        "channel_gateway.template",
        "channel_gateway.webhook_inbox",
        "journey.actor",
        "journey.enrolment",
        "journey.history",
        "journey.journey",
        "journey.mail",
        "journey.simulation",
        "platform.api_client",
        "platform.audit_entry",
        "points.coupon",
        "points.coupon_claim",
        "points.entry",
        "segment.customer",
        "segment.departure",
        "segment.erasure",
        "segment.fact",
        "segment.fact_pruning",
        "segment.identity",
        "segment.merged_customer",
        "segment.moved_identity",
        "segment.refund",
        "segment.shop_order",
        "segment.spelling_search",
        "segment.text_pruning",
        "stats.counter",
    ]


_UNCHECKED = """
SELECT attrelid::regclass::text || '.' || attname
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname = ANY ($1) AND atttypid = 'timestamptz'::regtype AND NOT attisdropped
   AND NOT EXISTS (
        SELECT FROM pg_constraint
         WHERE conrelid = attrelid AND contype = 'c' AND attnum = ANY (conkey)
           AND pg_get_constraintdef(pg_constraint.oid)
               LIKE '%' || attname || ' >= ''0001-01-02 00:00:00+00''%' || attname || ' < ''9999-12-31 00:00:00+00''%')
"""
OURS = {"applied_at", "created_at", "create_time", "updated_at", "update_time", "real_time", "set_aside_at"}
"""Columns, in any table, that this product's own clock sets."""
OURS_ALONE = {
    "channel_gateway.delivery.settled_at",
    "channel_gateway.frequency_use.noted_at",
    "channel_gateway.message_refund.refunded_at",
    "channel_gateway.outgoing_webhook.dead_at",  # of outgoing webhooks all real time
    "channel_gateway.outgoing_webhook.give_up_at",
    "channel_gateway.outgoing_webhook.next_at",
    "channel_gateway.refund_due.told_at",
    "channel_gateway.webhook_attempt.attempted_at",
    "channel_gateway.webhook_subscription.closed_until",
    "channel_gateway.webhook_subscription.looked_at",
    "journey.audience_trigger.due_at",  # real time
    "segment.erasure.claimed_until",  # real time
    "journey.audience_trigger.ended_at",
    "journey.audience_trigger.started_at",
    "journey.actor.live_since",  # `created_at` of the enrolment that is named beside it
    "journey.journey.deleted_at",
    "journey.journey.published_at",
    "journey.lease_worker.expires_at",
    "journey.orphan.rested_at",
    "journey.parked_customer.parked_at",
    "journey.simulation.claimed_until",  # a claim of nobody has ended
    "journey.simulation.ended_at",
    "journey.partition_lease.expires_at",  # a lease of nobody has ended for ever
    "platform.clock.domain_anchor",  # the time of the installation, which only ever goes on from its present one
    "platform.clock.real_anchor",
    "points.account.last_at",
    "points.import.ended_at",
    "points.ledger_check.checked_at",
    "points.outcome.recorded_at",
    "segment.customer_merge.due_at",  # real time
    "segment.customer_merge.end_time",
    "segment.contact_import.ended_at",
    "segment.contact_import.touched_at",  # real time
    "segment.customer_tag.apply_time",
    "segment.identity.bind_time",
    "stats.rebuild.claimed_until",  # real time
    "stats.rebuild.ended_at",
}
"""The same of one table."""


async def test_every_time_that_comes_from_outside_is_checked_by_its_table(
    connection: "asyncpg.Connection[Any]",
) -> None:
    """A new column has either a check, or a place in these lists for a reason that holds."""
    found = {row[0] for row in await connection.fetch(_UNCHECKED, [*SERVICES, "platform"])}
    unchecked = {name for name in found if name.rpartition(".")[2] not in OURS}
    assert unchecked - OURS_ALONE == set(), (
        "add CHECK (… >= '0001-01-02 00:00+00' AND … < '9999-12-31 00:00+00')"
    )
    assert OURS_ALONE - unchecked == set(), "no such column, or it is checked by now"


@pytest.mark.parametrize("time", ["infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "10000-01-01"])
async def test_such_a_time_cannot_be_stored(connection: "asyncpg.Connection[Any]", time: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="mail_time_readable"):
        await connection.execute(
            "INSERT INTO journey.mail (partition, position, team_id, customer_id, number, request_key, journey_id,"
            " occurred_at) SELECT 0, 1, id, id, 1, id, id, $1::text::timestamptz FROM gen_random_uuid() AS id",
            time,
        )
