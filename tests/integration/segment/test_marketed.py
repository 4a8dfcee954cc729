"""The time "team last marketed" follows what the gateway says of messages that left."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.common.db.pool import open_pool
from libs.common.feeds.follower import CursorMovedError
from libs.common.feeds.gateway_records import Fact, GoneFact, Record, SettledFact, pack_record
from libs.common.feeds.records import epoch_us
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database, Servers
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.store.marketed import MarketedStore
from services.segment.worker import marketed as worker
from tests.integration.segment.conftest import START, Segment, serving_segment

_NEVER = {"time": {"field": "TIME_FIELD_MARKETED", "never": {}}}


def packed(customers: Sequence[UUID]) -> bytes:
    """Ids as PostgreSQL sends an array of them."""
    if not customers:
        return struct.pack(">iii", 0, 0, 2950)
    head = struct.pack(">iiiii", 1, 0, 2950, len(customers), 1)
    return head + b"".join(struct.pack(">i", 16) + each.bytes for each in customers)


def record(team_id: UUID, at: datetime, ends: Sequence[tuple[UUID, int]], shard: int = 0) -> GatewayRow:
    """A record of sends, each by its customer and outcome, those with one outcome together."""
    facts: list[Fact] = [GoneFact(1, new_id().bytes, "DELETED")]
    customers: list[UUID] = []
    for outcome in sorted({outcome for _, outcome in ends}):
        alike = [customer for customer, each in ends if each == outcome]
        keys = b"".join(new_id().bytes + new_id().bytes for _ in alike)
        facts.append(SettledFact(new_id().bytes, "hello", 1, b"", outcome, "", 1, 0, "TWD", 0, keys))
        customers += alike
    row = GatewayRow(shard, 0, team_id.bytes, 5)
    row.body, row.customers = pack_record(Record(epoch_us(at), facts)), packed(customers)
    return row


def old_fact(team_id: UUID, at: datetime, customer: UUID, outcome: int) -> GatewayRow:
    """What the release before told of a send."""
    row = GatewayRow(9, 0, team_id.bytes, 1, at, new_id().bytes, new_id().bytes, "hello", 1, outcome)
    row.customers = customer.bytes
    return row


@pytest.fixture
async def gateway() -> AsyncIterator[FeedServer]:
    """Its history."""
    async with FeedServer("channel_gateway").serving() as serving:
        yield serving


@pytest.fixture
async def segment(
    servers: Servers, database: Database, redis: object, gateway: FeedServer
) -> AsyncIterator[Segment]:
    """Segment that follows it."""
    async with serving_segment(
        servers, database, channel_gateway_target=f"127.0.0.1:{gateway.port}"
    ) as segment:
        yield segment


async def judged(segment: Segment, questions: Sequence[tuple[UUID, Mapping[str, Any]]]) -> list[int]:
    """Verdicts of customers by audiences."""
    response = await segment.call(
        "EvaluateCustomers",
        audiences=[audience for _, audience in questions],
        items=[
            {"team_id": str(segment.team_id), "customer_id": str(customer), "audience_index": index}
            for index, (customer, _) in enumerate(questions)
        ],
    )
    return [each.verdict for each in response.evaluations]


def before(at: datetime) -> dict[str, Any]:
    """Those to whom the team marketed before a time."""
    return {"time": {"field": "TIME_FIELD_MARKETED", "before": {"instant": at}}}


async def marketed(segment: Segment, customer: UUID) -> datetime | None:
    """The time as people see it."""
    times = (await segment.customer(str(customer))).times
    return times.marketed_time.ToDatetime(tzinfo=UTC) if times.HasField("marketed_time") else None


@pytest.mark.rule("J-32")
@pytest.mark.parametrize("seed", range(3))
async def test_a_condition_sees_every_message_that_left_before_it_was_asked(
    segment: Segment, gateway: FeedServer, seed: int
) -> None:
    rng = random.Random(seed)
    customers = [UUID(await segment.create()) for _ in range(5)]
    last: dict[UUID, datetime] = {}
    segment.clock.set(START + timedelta(days=10))
    for _ in range(12):
        for _ in range(rng.randrange(4)):
            # Times may come in any order: several gateways record outcomes.
            at = START + timedelta(minutes=rng.randrange(2_000))
            ends = [(rng.choice(customers), rng.choice([*Outcome])) for _ in range(rng.randrange(1, 6))]
            if rng.random() < 0.2:
                gateway.record(*(old_fact(segment.team_id, at, *end) for end in ends))
            else:
                gateway.record(record(segment.team_id, at, ends, shard=rng.randrange(8)))
            for customer, outcome in ends:
                if outcome == Outcome.SENT:
                    last[customer] = max(at, last.get(customer, at))
        questions = []
        wanted = []
        for customer in customers:
            line = last.get(customer, START) + timedelta(minutes=rng.choice([-1, 0, 1]))
            questions += [(customer, before(line)), (customer, _NEVER)]
            wanted += [customer in last and last[customer] < line, customer not in last]
        verdicts = await judged(segment, questions)
        assert verdicts == [pb.VERDICT_YES if each else pb.VERDICT_NO for each in wanted]
    assert [await marketed(segment, each) for each in customers] == [last.get(each) for each in customers]


async def test_it_follows_without_being_asked(
    segment: Segment, gateway: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINGER_S", 0.0)
    customers = [UUID(await segment.create()) for _ in range(3)]
    at = START - timedelta(days=1)
    gateway.record(record(segment.team_id, at, [(each, Outcome.SENT) for each in customers[:2]]))
    gateway.record(record(segment.team_id, at, [(customers[2], Outcome.FAILED)]))
    async with asyncio.timeout(60):
        while await marketed(segment, customers[1]) is None:
            await asyncio.sleep(0.01)
    assert [await marketed(segment, each) for each in customers] == [at, at, None]


async def test_audiences_are_counted_and_listed_as_they_are_judged(
    segment: Segment, gateway: FeedServer
) -> None:
    customers = [UUID(await segment.create()) for _ in range(3)]
    gateway.record(record(segment.team_id, START, [(customers[0], Outcome.SENT)]))
    assert (await segment.call("CountAudience", audience=_NEVER)).customer_count == 2
    gateway.record(record(segment.team_id, START, [(customers[1], Outcome.SENT)]))
    listed = (await segment.call("ListAudienceCustomers", audience=_NEVER)).customers
    assert [each.customer_id for each in listed] == [str(customers[2])]


async def test_only_who_asks_for_that_time_waits_for_the_gateway(
    servers: Servers, database: Database, redis: object
) -> None:
    async with serving_segment(servers, database, channel_gateway_target="127.0.0.1:1") as segment:
        customer = UUID(await segment.create(tags=["vip"]))
        tagged = {"tags": {"operator": 1, "tags": ["VIP"]}}
        assert await judged(segment, [(customer, tagged)]) == [pb.VERDICT_YES]
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await judged(segment, [(customer, tagged), (customer, _NEVER)])
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("body", "customers"),
    [
        pytest.param(b"\xc1", packed([]), id="no record"),
        pytest.param(pack_record(Record(0, [])), b"\0", id="no customers"),
        pytest.param(pack_record(Record(0, [])), packed([UUID(int=1)]), id="a customer too many"),
        pytest.param(
            pack_record(Record(2**62, [SettledFact(b"", "", 1, b"", 1, "", 1, 0, "", 0, b"\0" * 32)])),
            packed([UUID(int=1)]),
            id="a time of no year",
        ),
    ],
)
async def test_a_record_that_cannot_be_read_is_set_aside_and_holds_up_nobody(
    segment: Segment, gateway: FeedServer, body: bytes, customers: bytes
) -> None:
    customer = UUID(await segment.create())
    bad = GatewayRow(3, 0, segment.team_id.bytes, 5)
    bad.body, bad.customers = body, customers
    unreadable = GatewayRow(3, 0, None)
    gateway.record(bad, unreadable, record(segment.team_id, START, [(customer, Outcome.SENT)], shard=3))
    async with asyncio.timeout(60):
        while await marketed(segment, customer) is None:
            await asyncio.sleep(0.02)
    connection = await asyncpg.connect(segment.dsn)
    try:
        places = await connection.fetch("SELECT partition, position FROM row_set_aside ORDER BY position")
    finally:
        await connection.close()
    assert [tuple(place) for place in places] == [(3, 1), (3, 2)]
    assert await judged(segment, [(customer, _NEVER)]) == [pb.VERDICT_NO]


async def test_a_page_that_was_taken_elsewhere_is_not_taken_again(
    segment: Segment, gateway: FeedServer
) -> None:
    customers = [UUID(await segment.create()) for _ in range(20)]
    for number, customer in enumerate(customers):
        gateway.record(record(segment.team_id, START, [(customer, Outcome.SENT)], shard=number % 8))
    verdicts = await asyncio.gather(*(judged(segment, [(each, _NEVER)]) for each in customers))
    assert verdicts == [[pb.VERDICT_NO]] * 20
    connection = await asyncpg.connect(segment.dsn)
    try:
        assert await connection.fetchval("SELECT sum(position) FROM gateway_cursor") == 20
    finally:
        await connection.close()


async def test_of_a_page_that_passes_over_other_partitions_only_its_row_is_kept_aside(
    segment: Segment,
) -> None:
    pool = await open_pool(segment.dsn, name="marketed")
    try:
        store = MarketedStore(pool)
        before = await store.cursors()
        after = {**before, 3: 1, 9: 5}
        await store.set_aside(before, after, (3, 1), "no record")
        with pytest.raises(CursorMovedError):
            await store.set_aside(before, after, (3, 1), "again")
        assert await store.cursors() == after
        places = await pool.fetch("SELECT partition, position, reason FROM row_set_aside")
        assert [tuple(place) for place in places] == [(3, 1, "no record")]
    finally:
        await pool.close()
