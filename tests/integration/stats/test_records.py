"""Records of journey and the gateway: counted beside what was before, fact by fact where one cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from uuid import UUID

import asyncpg
import msgspec
import pytest

from libs.common.feeds import gateway_records as sends
from libs.common.feeds import journey_records as records
from libs.common.feeds.records import epoch_us, shard_of
from libs.common.feeds.rows import GatewayRow, RecordRow
from libs.common.ids import partition_of
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database
from libs.testing.history_rows import JOURNEY, NOON, TEAM, WHATSAPP, record, run_segment, segment_fact
from libs.testing.mails import customers
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.domain.model import Source
from tests.integration.stats.conftest import TIMEOUT_S, StartStats, Stats
from tests.integration.stats.test_projection import retry

PEOPLE = list(islice(customers(), 12))
ENTERED = ("hello", enrolment_pb2.STEP_RESULT_SEND_REQUESTED, True)
NO_NODE = ("hel\0lo", enrolment_pb2.STEP_RESULT_SEND_REQUESTED, True)
"""No counter can have this node."""
RECORD = 5
"""Kind of a row of the gateway."""


def of_shard(*facts: records.Fact, shard: int = 2, team_id: UUID = TEAM) -> RecordRow:
    row = record(PEOPLE[0], *facts, team_id=team_id)
    row.partition = records.FEED_START + shard
    return row


def enrolled(*people: UUID) -> list[records.Fact]:
    return [segment_fact(who, ENTERED, enrolled=True) for who in people]


def with_fact(row: RecordRow, place: int, fact: object) -> RecordRow:
    """The record with something else in the place of one of its facts."""
    whole = msgspec.msgpack.decode(row.body)
    whole[3][place] = fact
    return RecordRow(row.partition, row.position, row.team, records.pack_record(whole))


async def triggered(stats: Stats) -> int:
    return int((await stats.overview()).triggered_count)


async def admin(database: Database, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def owner(database: Database, statements: str) -> None:
    """In one transaction."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_what_the_release_before_has_not_counted_is_counted_once_with_the_records(
    start_stats: StartStats, database: Database
) -> None:
    """The table of before is read on from where the release before stopped, the records from their beginning."""
    stats = await start_stats()
    feed = stats.feeds["journey"]
    old = [run_segment(who, ENTERED, enrolled=True) for who in PEOPLE[:5]]
    feed.record(*old)
    await stats.settle()
    # A data directory of before: three of five are counted, and their cursors stand there; nobody knew of records.
    uncounted = {row.partition for row in old[:2]}
    which = ", ".join(map(str, uncounted))
    await owner(
        database,
        "TRUNCATE stats.counter, stats.total;"
        f" UPDATE stats.cursor SET position = 0 WHERE source = 1 AND partition IN ({which})",
    )
    left = sum(len(rows) for partition, rows in feed.rows.items() if partition in uncounted)
    feed.record(of_shard(*enrolled(*PEOPLE[5:9])), of_shard(*enrolled(PEOPLE[9]), shard=7))
    again = await start_stats()
    await again.settle()
    assert await triggered(again) == left + 5
    feed.record(of_shard(*enrolled(PEOPLE[10]), shard=0))
    third = await start_stats()
    await third.settle()
    assert await triggered(third) == left + 6
    (state,) = [
        state
        for state in (
            await third.stub.ListProjectionStates(pb.ListProjectionStatesRequest(), timeout=TIMEOUT_S)
        ).states
        if state.source == "journey"
    ]
    assert (state.counted_rows, state.waiting_rows) == (5 + 3, 0)


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("odd", [(9, 0), "text", (1, 5, b"c", b"e", True, 1, [], 0), (2, 0, 7)])
async def test_a_fact_that_cannot_be_read_is_set_aside_alone(
    stats: Stats, database: Database, odd: object
) -> None:
    feed, sound = stats.feeds["journey"], of_shard(*enrolled(*PEOPLE[:3]))
    feed.record(of_shard(*enrolled(PEOPLE[4])), with_fact(sound, 1, odd), of_shard(*enrolled(PEOPLE[5])))
    await stats.settle()
    assert await triggered(stats) == 4
    (row,) = await admin(database, "SELECT source, partition, position, facts FROM stats.row_set_aside")
    assert tuple(row) == (Source.RECORDS, 66, 2, [1])
    listed = await stats.stub.ListRowsSetAside(
        pb.ListRowsSetAsideRequest(source="journey"), timeout=TIMEOUT_S
    )
    assert [(each.source, each.partition, each.position) for each in listed.rows] == [("journey", 66, 2)]
    assert await retry(stats, "journey") == (0, 1)
    assert await triggered(stats) == 4
    feed.rows[66][1] = RecordRow(66, 2, TEAM.bytes, sound.body)
    assert await retry(stats, "journey") == (1, 0)
    assert await retry(stats, "journey") == (0, 0)
    assert await triggered(stats) == 5


@pytest.mark.rule("C-20d")
async def test_facts_that_no_counter_can_hold_are_found_among_the_others(
    stats: Stats, database: Database
) -> None:
    facts = enrolled(*PEOPLE)
    for place in (0, 4, 11):
        facts[place] = segment_fact(PEOPLE[place], NO_NODE, enrolled=True)
    late = segment_fact(PEOPLE[5], ENTERED, enrolled=True, after_us=2**62)
    feed = stats.feeds["journey"]
    feed.record(of_shard(*facts[:5], late, *facts[6:]))
    await stats.settle()
    assert await triggered(stats) == 8
    (row,) = await admin(database, "SELECT facts FROM stats.row_set_aside")
    assert row["facts"] == [0, 4, 5, 11]
    mended = of_shard(*facts[:4], *enrolled(PEOPLE[4], PEOPLE[5]), *facts[6:])
    feed.rows[66][0] = RecordRow(66, 1, TEAM.bytes, mended.body)
    assert await retry(stats, "journey") == (0, 1)
    assert await triggered(stats) == 10
    (row,) = await admin(database, "SELECT facts FROM stats.row_set_aside")
    assert row["facts"] == [0, 11]


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("row", [RecordRow(66, 0, TEAM.bytes, b"\xc1"), RecordRow(66, 0, None)])
async def test_a_record_that_cannot_be_read_is_set_aside_whole(
    stats: Stats, database: Database, row: RecordRow
) -> None:
    feed = stats.feeds["journey"]
    feed.record(of_shard(*enrolled(PEOPLE[0])), RecordRow(*row.place, row.team, row.body))
    feed.record(of_shard(*enrolled(PEOPLE[1])))
    await stats.settle()
    assert await triggered(stats) == 2
    (kept,) = await admin(database, "SELECT position, facts FROM stats.row_set_aside")
    assert tuple(kept) == (2, None)
    assert await retry(stats, "journey") == (0, 1)
    feed.rows[66][1] = RecordRow(66, 2, TEAM.bytes, of_shard(*enrolled(*PEOPLE[2:4])).body)
    assert await retry(stats, "journey") == (1, 0)
    assert await triggered(stats) == 4


async def test_facts_of_other_journeys_and_quarters_in_one_record_are_counted_where_they_belong(
    stats: Stats,
) -> None:
    later = 1_800 * 1_000_000
    facts = [
        segment_fact(PEOPLE[0], ENTERED, enrolled=True),
        segment_fact(PEOPLE[1], ENTERED, enrolled=True, journey=1),
        segment_fact(PEOPLE[2], ENTERED, enrolled=True, after_us=later),
    ]
    row = record(PEOPLE[0], *facts, journeys=[JOURNEY, UUID(int=9)])
    row.partition = records.FEED_START + shard_of(partition_of(TEAM, PEOPLE[0]))
    stats.feeds["journey"].record(row)
    await stats.settle()
    assert await triggered(stats) == 2
    quarters = [NOON + timedelta(minutes=minutes) for minutes in (0, 15, 30, 45)]
    first = await stats.overview(start_time=timestamp(quarters[0]), end_time=timestamp(quarters[1]))
    second = await stats.overview(start_time=timestamp(quarters[2]), end_time=timestamp(quarters[3]))
    assert (first.triggered_count, second.triggered_count) == (1, 1)


def of_gateway(*facts: object) -> GatewayRow:
    body = sends.pack_record((1, epoch_us(NOON), facts))
    return GatewayRow(2, 0, TEAM.bytes, RECORD, body=body)


def settled(count: int, node: str = "hello") -> sends.SettledFact:
    """So many sends of a node that left."""
    sent = delivery_pb2.SEND_STATE_SENT
    return sends.SettledFact(
        JOURNEY.bytes, node, WHATSAPP, b"", sent, "", 1, 500_000, "HKD", 0, bytes(sends.SEND_BYTES * count)
    )


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("odd", [(9, 0), settled(4, "hel\0lo")])
async def test_of_a_record_of_the_gateway_too_only_what_cannot_be_counted_is_set_aside(
    stats: Stats, database: Database, odd: object
) -> None:
    feed = stats.feeds["channel_gateway"]
    feed.record(of_gateway(settled(2), odd, settled(3), sends.GoneFact(1, b"m" * 16, "DELETED")))
    await stats.settle()
    overview = await stats.overview()
    assert overview.messages_sent_count == 5
    assert [(m.currency_code, m.amount_micros) for m in overview.message_cost.amounts] == [("HKD", 2_500_000)]
    (row,) = await admin(database, "SELECT source, partition, position, facts FROM stats.row_set_aside")
    assert tuple(row) == (Source.GATEWAY, 2, 1, [1])
    mended = of_gateway(settled(2), settled(4), settled(3))
    feed.rows[2][0] = GatewayRow(2, 1, TEAM.bytes, RECORD, body=mended.body)
    assert await retry(stats, "channel_gateway") == (1, 0)
    assert (await stats.overview()).messages_sent_count == 9
