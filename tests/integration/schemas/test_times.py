"""Times that no calendar has are refused by the tables that keep times from outside."""

from typing import Any

import asyncpg
import pytest

_CONSTRAINTS = """
SELECT conrelid::regclass::text AS table, pg_get_expr(conbin, conrelid) AS condition
  FROM pg_constraint WHERE conname LIKE '%\\_finite' AND contype = 'c' ORDER BY 1
"""


async def test_infinite_times_are_refused(connection: "asyncpg.Connection[Any]") -> None:
    rows = await connection.fetch(_CONSTRAINTS)
    assert [row["table"] for row in rows] == [
        "channel_gateway.delivery",
        "channel_gateway.history",
        "journey.journey",
        "journey.mail",
        "platform.api_client",
        "points.coupon",
        "points.entry",
        "segment.customer",
        "segment.fact",
        "segment.refund",
        "segment.shop_order",
    ]


@pytest.mark.parametrize("time", ["infinity", "-infinity"])
async def test_an_infinite_time_cannot_be_stored(connection: "asyncpg.Connection[Any]", time: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="mail_time_finite"):
        await connection.execute(
            "INSERT INTO journey.mail (partition, position, team_id, customer_id, number, request_key, journey_id,"
            " occurred_at) SELECT 0, 1, id, id, 1, id, id, $1::text::timestamptz FROM gen_random_uuid() AS id",
            time,
        )
