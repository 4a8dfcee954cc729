"""What other stories leave of a person: rows as the services write them, where one person does not come by."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from libs.common.ids import new_id, partition_of


class Known(NamedTuple):
    """What the person is known by, and a text that is theirs."""

    team_id: str
    customer_id: str
    line_account: str
    line_id: str
    page_id: str
    phone: str
    email: str
    member_id: str
    text: str


_HERS: Final = """
CREATE TEMPORARY TABLE her AS
SELECT $1::uuid AS team, $2::uuid AS id, $3::uuid AS line, $4::text AS line_id, $5::text AS page_id,
       $6::text AS phone, $7::text AS email, $8::text AS member_id, $9::text AS said, $10::smallint AS own_partition,
       $11::uuid AS new_id, now() + interval '900 days' AS later,
       (SELECT effect_key FROM channel_gateway.delivery WHERE customer_id = $2::uuid LIMIT 1) AS effect,
       (SELECT max(sequence) FROM channel_gateway.webhook_inbox WHERE team_id = $1::uuid) AS webhook,
       (SELECT account_id FROM channel_gateway.account WHERE team_id = $1::uuid AND channel = 3) AS page
"""
_ON_LINE: Final = {"account_id": "line", "external_id": "line_id"}
_ON_MESSENGER: Final = {"channel": "3", "external_id": "page_id"}
_ROWS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    # Presses of coupons, who wrote when, who was limited, refused, left, and is held.
    (
        "channel_gateway.coupon_press",
        {
            "press_id": "new_id",
            **_ON_LINE,
            "channel": "1",
            "customer_id": "id",
            "coupon_id": "new_id",
            "offer_id": "new_id",
            "try_at": "NULL",
            "reason": "said",
        },
    ),
    ("channel_gateway.inbound", {**_ON_LINE, "last_at": "now()"}),
    ("channel_gateway.limited_person", {**_ON_MESSENGER, "noted_at": "now()"}),
    (
        "channel_gateway.opt_out",
        {**_ON_MESSENGER, "withdrawn": "true", "source": "3", "changed_at": "now()"},
    ),
    ("channel_gateway.account_hold", {"account_id": "line", "recipient": "line_id", "until_time": "later"}),
    ("segment.departure", {**_ON_MESSENGER, "account_id": "page", "left_at": "now()"}),
    # By which ids she was known before.
    (
        "segment.moved_identity",
        {**_ON_MESSENGER, "account_id": "page", "moved_at": "now()", "moved_to": "page_id"},
    ),
    (
        "channel_gateway.moved_person",
        {"account_id": "page", "old_id": "page_id", "moved_at": "now()", "moved_to": "page_id"},
    ),
    # Of her send: what the channel called it, and its trace.
    (
        "channel_gateway.taken_message",
        {
            "effect_key": "effect",
            "number": "0",
            "message_id": "'mid.' || page_id",
            "reported_at": "later",
        },
    ),
    (
        "channel_gateway.send_trace",
        {
            "effect_key": "effect",
            "trace_context": "convert_to(rpad(substr(phone, 2), 24, '0'), 'UTF8')",
            "noted_at": "later",
        },
    ),
    # A link that names her, her click as stats counts it, and an answer that is kept for whoever asks again.
    (
        "channel_gateway.link_target",
        {
            "digest": "substr(sha256('x'), 1, 16)",
            "url": "'https://shop.example/?member=' || lower(member_id)",
            "created_at": "now()",
        },
    ),
    (
        "stats.journey_click",
        {
            "customer_id": "id",
            "clicked_at": "now()",
            "journey_id": "new_id",
            "node_id": "said",
            "channel": "1",
        },
    ),
    ("stats.request_log", {"request_id": "'of ' || member_id", "digest": "''", "answer": "''"}),
    # What was refused of a webhook of hers, and a line of an import of points.
    (
        "channel_gateway.inbox_refusal",
        {"sequence": "webhook", "index": "99", "reason": "said"},
    ),
    (
        "points.import",
        {
            "import_id": "new_id",
            "file_name": "'points.csv'",
            "file_sha256": "''",
            "deduct_cumulative": "false",
            "repeat": "true",
            "actor": "'Ann'",
            "state": "4",
            "created_at": "now()",
        },
    ),
    (
        "points.import_row",
        {
            "import_id": "new_id",
            "row_number": "1",
            "member_id": "member_id",
            "email": "email",
            "phone": "phone",
            "points_text": "said",
            "points": "0",
            "status": "2",
            "fault": "''",
        },
    ),
    # Somebody who was merged into her, and an address of theirs that leads to her.
    (
        "segment.merged_customer",
        {
            "customer_id": "new_id",
            "survivor_id": "id",
            "member_id": "'old ' || member_id",
            "name": "said",
            "phone": "phone",
            "email": "email",
            "mail_number": "0",
            "revision": "1",
            "create_time": "now()",
            "update_time": "now()",
        },
    ),
    ("segment.customer_alias", {"kind": "2", "text": "'old.' || email", "customer_id": "id"}),
    # She is set aside: her actor works no mail.
    (
        "journey.parked_customer",
        {
            "partition": "own_partition",
            "customer_id": "id",
            "error": "said",
            "attempts": "5",
            "parked_at": "now()",
        },
    ),
)
"""Column → value, beside `team_id`, by table."""


async def leave_rows(admin_dsn: str, known: Known) -> None:
    """Writes them all."""
    partition = partition_of(UUID(known.team_id), UUID(known.customer_id))
    connection: asyncpg.Connection[Any] = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(_HERS, *known, partition, new_id())
        for table, values in _ROWS:
            columns = ", ".join(("team_id", *values))
            await connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {', '.join(('team', *values.values()))} FROM her"
            )
    finally:
        await connection.close()
