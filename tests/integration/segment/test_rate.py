"""How fast batches of events are recorded on this machine. It prints; the bound is far below what is reached."""

from __future__ import annotations

import time

from omnijourney.segment.v1 import segment_service_pb2
from tests.integration.segment.conftest import TIMEOUT_S, Segment

_BATCH = 500
_BATCHES = 20
_CUSTOMERS = 2_000
_LEAST_EVENTS_PER_S = 500


async def test_batches_are_recorded_fast(segment: Segment) -> None:
    for start in range(0, _CUSTOMERS, _BATCH):
        customers = [
            {"member_id": str(number), "phone": f"+4470000{number:05d}"}
            for number in range(start, start + _BATCH)
        ]
        await segment.call("BatchCreateCustomers", customers=customers)
    requests = [
        segment_service_pb2.RecordEventsRequest(
            events=[
                segment.order(
                    f"e{batch}-{number}",
                    f"o{batch}-{number}",
                    who={"member_id": str((batch * _BATCH + number * 7) % _CUSTOMERS)},
                    items=["Tea", "Cup", "Spoon"],
                )
                for number in range(_BATCH)
            ]
        )
        for batch in range(_BATCHES)
    ]
    began = time.perf_counter()
    for request in requests:
        response = await segment.stub.RecordEvents(request, timeout=TIMEOUT_S)
        assert all(result.customer_id for result in response.results)
    took_s = time.perf_counter() - began
    rate = _BATCH * _BATCHES / took_s
    print(f"RecordEvents: {rate:,.0f} orders/s in batches of {_BATCH}, mail relayed at the same time")
    await segment.settled()
    assert rate > _LEAST_EVENTS_PER_S
