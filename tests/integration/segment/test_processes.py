"""Two processes of segment on one database: what they both are told happens once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, timedelta

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database, Servers
from omnijourney.internal.v1 import change_pb2, customers_service_pb2
from omnijourney.segment.v1 import event_pb2, segment_service_pb2, segment_service_pb2_grpc
from services.segment.app import app
from services.segment.config import Settings
from tests.integration.segment.conftest import START, TIMEOUT_S, Segment, identity

_SEED = 4_711
_MEMBERS = 12
_ORDERS = 60
_CALLS = 40


async def test_two_processes_agree(servers: Servers, database: Database, segment: Segment) -> None:
    rng = random.Random(_SEED)
    print(f"SEED={_SEED}")
    reports: list[event_pb2.CustomerEvent] = []
    for number in range(_ORDERS):
        member = rng.randrange(_MEMBERS)
        who = {"member_id": f"m{member}", "phone": f"+44700000{member:04d}"}
        reports += [
            segment.order(f"shop-{number}", f"o{number}", who=who),
            segment.order(f"pixel-{number}", f"o{number}", who=who),
            segment.event(f"join-{number}", contact_added={"identity": identity(str(member + 1))}, who=who),
        ]
    settings = servers.settings(Settings, database)
    async with (
        app(settings, clock=SteppedClock(START + timedelta(hours=_CALLS))) as serving,
        servers.channel(serving.port) as channel,
    ):
        stubs = (segment.stub, segment_service_pb2_grpc.SegmentServiceStub(channel))

        async def call(stub: object) -> list[event_pb2.EventResult]:
            batch = rng.sample(reports, len(reports) // 4)
            request = segment_service_pb2.RecordEventsRequest(events=batch)
            response = await stub.RecordEvents(request, timeout=TIMEOUT_S)  # type: ignore[attr-defined]
            return list(response.results)

        results = await asyncio.gather(*(call(stubs[number % 2]) for number in range(_CALLS)))
    everything = [result for part in results for result in part]
    assert {result.status for result in everything} == {
        event_pb2.EVENT_STATUS_ACCEPTED,
        event_pb2.EVENT_STATUS_DUPLICATE,
    }
    assert sum(result.customer_created for result in everything) == _MEMBERS
    facts = Counter(await segment.fact_kinds())
    assert (facts["customer_created"], facts["checkout_completed"]) == (_MEMBERS, _ORDERS)
    for customer_id in {result.customer_id for result in everything}:
        mail = await segment.mail(customer_id)
        assert [letter.number for letter in mail] == list(range(1, len(mail) + 1))
        assert [letter.position for letter in mail] == sorted(letter.position for letter in mail)


async def test_marks_from_two_processes_leave_the_latest(
    servers: Servers, database: Database, segment: Segment
) -> None:
    customers = [await segment.create() for _ in range(20)]
    segment.clock.advance(timedelta(hours=_CALLS))
    rng = random.Random(_SEED)
    settings = servers.settings(Settings, database)
    async with (
        app(settings, clock=SteppedClock(START)) as serving,
        servers.channel(serving.port) as channel,
    ):
        stubs = (segment.internal.customers, Internal(channel).customers)

        async def mark(number: int) -> list[change_pb2.ChangeResult]:
            at = timestamp(START + timedelta(hours=number))
            some = rng.sample(customers, len(customers) - 1) if number < _CALLS else customers
            marks = [segment.change(each, mark_marketed={"at": at}) for each in some]
            request = customers_service_pb2.ApplyChangesRequest(changes=marks)
            response = await stubs[number % 2].ApplyChanges(request, timeout=TIMEOUT_S)
            return list(response.results)

        events = [
            segment.event("one", contact_added={"identity": identity("1")}, who={"customer_id": customers[0]})
        ]
        marked = asyncio.gather(*map(mark, range(1, _CALLS + 1)))
        await segment.record(*events)
        results = [result for part in await marked for result in part]
    assert change_pb2.CHANGE_STATUS_REFUSED not in {result.status for result in results}
    for customer_id in customers:
        times = (await segment.customer(customer_id)).times
        assert times.marketed_time.ToDatetime(tzinfo=UTC) == START + timedelta(hours=_CALLS)
    assert (await segment.customer(customers[0])).times.HasField("customer_interact_time")
