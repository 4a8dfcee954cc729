"""segment: audiences over many customers, beside SQL written by hand; judging, a stream, events in batches."""

import statistics
import time
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from google.protobuf.json_format import ParseDict

from bench import duck
from bench.audiences import AUDIENCES
from bench.crowd import ATTRIBUTES, seed
from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.measure import timed_ms
from bench.recorded_events import EVENTS, RecordedEvents, recorded_events
from bench.team import call
from libs.common.ids import new_id
from omnijourney.segment.v1 import attribute_pb2, audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1.team_pb2 import MODULE_POINTS, Team, TeamSettings

ROUNDS: Final = 5
PAGE: Final = 50
JUDGED: Final = 500
_JUDGED_BY: Final = "tagged, rich, not lately"
_STREAMED: Final = "born in a decade"
_CURSOR_ROWS: Final = 500


class Asked(msgspec.Struct, frozen=True):
    """One audience; milliseconds of each round."""

    name: str
    customers: int
    count_ms: list[float]
    page_ms: list[float]
    floor_count_ms: list[float]
    floor_page_ms: list[float]
    duck_ms: float | None

    @property
    def count_ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.count_ms) / statistics.median(self.floor_count_ms)

    @property
    def page_ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.page_ms) / statistics.median(self.floor_page_ms)


class People(msgspec.Struct, frozen=True):
    """Everything of one run."""

    customers: int
    asked: list[Asked]
    without_duck: str
    judged_ms: list[float]
    stream_per_s: float
    cursor_per_s: float
    streamed: int
    events: list[RecordedEvents]


async def people(field: Field, count: int) -> People:
    """Makes a team with so many customers and asks."""
    await field.clock.set(1.0)
    team_id = await _team(field)
    now = field.clock.now()
    await seed(field.admin, team_id, count, now)
    await field.admin.execute("CHECKPOINT", timeout=CALL_TIMEOUT_S)
    bind = {"team": f"'{team_id}'::uuid", "now": f"timestamptz '{now.isoformat()}'"}
    async with field.admin.acquire() as admin:
        await admin.execute("SET search_path = segment; SET work_mem = '64MB'")
        asked = [await _ask(field, admin, team_id, bind, each) for each in range(len(AUDIENCES))]
        ours, bare, streamed = await _stream(field, admin, team_id, bind)
    fast = await duck.counts_ms(field.admin, bind)
    if isinstance(fast, dict):
        asked = [msgspec.structs.replace(each, duck_ms=fast[each.name]) for each in asked]
    return People(
        count,
        asked,
        fast if isinstance(fast, str) else "",
        await _judge(field, team_id),
        ours,
        bare,
        streamed,
        await recorded_events(field, team_id, await some(field, EVENTS)),
    )


async def _team(field: Field) -> UUID:
    team_id = new_id()
    settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=[MODULE_POINTS])
    team = Team(team_id=str(team_id), name="People", settings=settings)
    stub = field.client.segment
    await call(stub.CreateTeam, pb.CreateTeamRequest(request_id=str(new_id()), team=team))
    for key, kind in ATTRIBUTES.items():
        attribute = attribute_pb2.Attribute(key=key, type=attribute_pb2.AttributeType.ValueType(kind))
        request = pb.CreateAttributeRequest(
            team_id=str(team_id), request_id=str(new_id()), attribute=attribute
        )
        await call(stub.CreateAttribute, request)
    return team_id


async def _ask(field: Field, admin: Any, team_id: UUID, bind: dict[str, str], number: int) -> Asked:
    """In turns, so that a slow moment of the machine meets all four. The first round warms up."""
    named = AUDIENCES[number]
    hand = _bound(named.hand, bind)
    count_sql = f"SELECT count(*) FROM ({hand}) AS x"  # noqa: S608 - texts of ours alone
    page_sql = f"SELECT customer_id FROM ({hand}) AS x ORDER BY customer_id LIMIT {PAGE}"  # noqa: S608 - as above
    audience = ParseDict(named.form, audience_pb2.Audience())
    stub = field.client.segment
    took: list[list[float]] = [[], [], [], []]
    for _ in range(ROUNDS + 1):
        counting = pb.CountAudienceRequest(team_id=str(team_id), audience=audience)
        counted = await timed_ms(took[0], partial(call, stub.CountAudience, counting))
        listing = pb.ListAudienceCustomersRequest(team_id=str(team_id), audience=audience, page_size=PAGE)
        listed = await timed_ms(took[1], partial(call, stub.ListAudienceCustomers, listing))
        floor = await timed_ms(took[2], partial(admin.fetchval, count_sql))
        page = await timed_ms(took[3], partial(admin.fetch, page_sql))
    # What is asked about the last days moves on meanwhile.
    if abs(counted.customer_count - floor) > 1 + floor // 1_000:
        raise BenchFault(f"{named.name}: {counted.customer_count} customers, by hand {floor}")
    ours = {each.customer_id for each in listed.customers}
    if len(ours ^ {str(row[0]) for row in page}) > 2:
        raise BenchFault(f"{named.name}: another page than by hand")
    counts, pages, counts_by_hand, pages_by_hand = (each[1:] for each in took)
    return Asked(named.name, floor, counts, pages, counts_by_hand, pages_by_hand, None)


def _bound(hand: str, bind: dict[str, str]) -> str:
    for name, value in bind.items():
        hand = hand.replace(f":{name}", value)
    return hand


async def _stream(field: Field, admin: Any, team_id: UUID, bind: dict[str, str]) -> tuple[float, float, int]:
    """Ids a second: streamed, and by a bare cursor of the driver; and how many."""
    named = next(each for each in AUDIENCES if each.name == _STREAMED)
    audience = ParseDict(named.form, audience_pb2.Audience())
    request = pb.StreamAudienceCustomersRequest(team_id=str(team_id), audience=audience)
    rates: list[list[float]] = [[], []]
    streamed = 0
    for _ in range(3):
        began, streamed = time.perf_counter(), 0
        async for part in field.client.segment.StreamAudienceCustomers(request, timeout=CALL_TIMEOUT_S):
            streamed += len(part.customer_ids)
        rates[0].append(streamed / (time.perf_counter() - began))
        began, read = time.perf_counter(), 0
        async with admin.transaction():
            async for _row in admin.cursor(f"{_bound(named.hand, bind)} ORDER BY 1", prefetch=_CURSOR_ROWS):
                read += 1
        rates[1].append(read / (time.perf_counter() - began))
        if read != streamed:
            raise BenchFault(f"{streamed} customers streamed of {read}")
    return statistics.median(rates[0]), statistics.median(rates[1]), streamed


async def _judge(field: Field, team_id: UUID) -> list[float]:
    """Milliseconds of calls that judge 500."""
    named = next(each for each in AUDIENCES if each.name == _JUDGED_BY)
    ids = await some(field, JUDGED)
    request = pb.EvaluateCustomersRequest(
        audiences=[ParseDict(named.form, audience_pb2.Audience())],
        items=[pb.EvaluationItem(team_id=str(team_id), customer_id=str(each)) for each in ids],
    )
    took: list[float] = []
    for _ in range(40):
        await timed_ms(took, partial(call, field.client.segment.EvaluateCustomers, request))
    return took[20:]


async def some(field: Field, count: int) -> list[UUID]:
    """So many of the customers made, in no order."""
    rows = await field.admin.fetch("SELECT id FROM segment.bench_crowd ORDER BY md5(n::text) LIMIT $1", count)
    return [row["id"] for row in rows]
