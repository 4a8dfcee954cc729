"""A fact that this release cannot read: it stops neither its team's readers nor the mail of anybody."""

from __future__ import annotations

import asyncpg
import pytest

from libs.common.db.pool import open_pool
from libs.common.feeds.rows import FactRow
from libs.common.ids import PARTITIONS
from libs.common.mailbox import mail as m
from libs.testing.fixtures import Database
from omnijourney.segment.v1 import history_pb2
from services.segment.domain.facts import decode_body, encode_body
from services.segment.worker.relay import FactMailStore
from tests.integration.segment.conftest import Segment

LATER = b"\x92\x63\xa1x"
"""A body with the tag 99, as a later release may write it before it is rolled back."""


async def _spoil(
    database: Database, order_id: bytes, body: bytes | None = LATER, at: str | None = None
) -> tuple[int, int]:
    """Puts another body or time into the fact of an order, past the checks; returns its place."""
    owner = await asyncpg.connect(database.admin_dsn)
    try:
        await owner.execute("SET session_replication_role = replica")
        await owner.execute(
            "ALTER TABLE segment.fact DROP CONSTRAINT IF EXISTS fact_body_has_kind,"
            " DROP CONSTRAINT IF EXISTS fact_times_readable"
        )
        row = await owner.fetchrow(
            "UPDATE segment.fact"
            " SET body = COALESCE($1, body), occur_time = COALESCE($3::text::timestamptz, occur_time)"
            " WHERE position($2 IN body) > 0 RETURNING partition, position",
            body,
            order_id,
            at,
        )
    finally:
        await owner.close()
    assert row is not None
    return row["partition"], row["position"]


NO_TIMES = ["4713-01-01 BC", "0001-12-31 BC", "10000-01-01", "294276-12-31"]
"""Of years that Python has not."""


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("body", "at"),
    [*((body, None) for body in (LATER, b"\xc1", b"", b"\x91" * 2_000)), *((None, at) for at in NO_TIMES)],
)
async def test_a_fact_that_cannot_be_read_hides_no_other(
    segment: Segment, database: Database, body: bytes | None, at: str | None
) -> None:
    results = await segment.record(
        *(segment.order(f"e{n}", f"order-{n}", who={"member_id": str(n % 2)}) for n in range(4))
    )
    await segment.settled()
    place = await _spoil(database, b"order-1", body, at)
    rows = (await segment.feed()).rows
    assert len(rows) == 6
    (bare,) = [row for row in rows if row.team is None]
    assert bare == FactRow(*place, None)
    if at is None:  # people ask for a span of time, in which such a one never lies
        listed = (await segment.call("ListFacts")).facts
        assert [fact.WhichOneof("fact") for fact in listed].count(None) == 1
    # Their mail says so, and what comes after it is there, too.
    mails = await segment.mail(results[1].customer_id)
    assert [type(mail.body) for mail in mails] == [m.Unreadable, m.Checkout]
    assert len(await segment.mail(results[0].customer_id)) == 2


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("body", [b"", b"\x92", b"\x92\x02", b"\x92\x02\xc1"])
async def test_whoever_reads_some_kinds_goes_on_behind_one_that_has_none(
    segment: Segment, database: Database, body: bytes
) -> None:
    await segment.record(*(segment.order(f"e{n}", f"order-{n}", who={"member_id": "1"}) for n in range(3)))
    await segment.settled()
    places = [(row.partition, row.position) for row in (await segment.feed()).rows if row.kind]
    spoilt = await _spoil(database, b"order-1", body)
    kinds = [history_pb2.FACT_KIND_CHECKOUT_COMPLETED]
    rows = (await segment.feed(kinds=kinds)).rows
    read = [row.place for row in rows if row.team is not None]
    assert len(read) == 2
    assert set(read) < set(places) - {spoilt}
    assert [row.place for row in rows if row.team is None] in ([], [spoilt])


def test_whatever_a_body_is_it_is_read() -> None:
    for body in (LATER, b"", b"\xc1", b"\x91" * 100_000):
        unreadable = decode_body(body)
        with pytest.raises(AssertionError):
            encode_body(unreadable)


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("at", [None, *NO_TIMES])
async def test_the_mail_of_others_is_delivered_behind_it(
    segment: Segment, database: Database, at: str | None
) -> None:
    """The relay reads the store again after a start, as after any gap."""
    await segment.record(segment.order("e1", "order-1", who={"member_id": "1"}))
    await segment.settled()
    await _spoil(database, b"order-1", None if at else LATER, at)
    owner = await asyncpg.connect(database.admin_dsn)
    await owner.execute("UPDATE segment.mail_cursor SET position = 0")
    await owner.close()
    async with await open_pool(segment.dsn, name="test", size_max=1) as pool:
        mails = await FactMailStore(pool).fetch_after(dict.fromkeys(range(PARTITIONS), 0), 500)
    assert [type(mail.body) for mail in mails] == [m.Unreadable]
