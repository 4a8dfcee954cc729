"""Those whom a split sent on beside those whom it held out (J-37d)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.feeds import journey_records as records
from libs.common.feeds.rows import FactRow
from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.testing import history_rows
from libs.testing.feeds import FeedServer
from libs.testing.history_rows import JOURNEY, NOON, TEAM, record, run_segment
from libs.testing.mails import customers
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import attribution_pb2, figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from tests.integration.stats.conftest import TIMEOUT_S, StartStats, Stats

PEOPLE = list(islice(customers(), 20))
DONE = enrolment_pb2.ENROLMENT_STATE_COMPLETED
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def came(who: UUID, *, held_out: bool, at: datetime = NOON, node: str = "divide") -> Any:
    """A customer comes to a split of three ways, of which the third holds out."""
    result = enrolment_pb2.STEP_RESULT_HELD_OUT if held_out else enrolment_pb2.STEP_RESULT_WAY_TAKEN
    step = records.StepRecord(node, 1, result, True, "3" if held_out else "1")
    fact = records.RunSegmentFact(0, who.bytes, who.bytes, True, DONE, [step])
    return record(who, fact, at=at)


def order(who: UUID, at: datetime) -> FactRow:
    return history_rows.order(who, at, order=new_id().bytes, micros=1_000_000, currency="TWD")


async def lifts(stats: Stats, journey_id: UUID = JOURNEY) -> list[attribution_pb2.JourneyLift]:
    request = pb.GetJourneyLiftRequest(team_id=str(TEAM), journey_id=str(journey_id))
    return list((await stats.stub.GetJourneyLift(request, timeout=TIMEOUT_S)).lifts)


def counts(lift: attribution_pb2.JourneyLift) -> tuple[int, int, int, int]:
    return (
        lift.treated_count,
        lift.treated_order_count,
        lift.holdout_count,
        lift.holdout_order_count,
    )


@pytest.mark.rule("J-37d")
async def test_each_customer_counts_once_with_whether_they_ordered_within_the_window(stats: Stats) -> None:
    runs, orders = stats.feeds["journey"], stats.feeds["segment"]
    runs.record(*(came(who, held_out=place >= 8) for place, who in enumerate(PEOPLE[:12])))
    await stats.settle()
    orders.record(
        *(order(who, NOON + HOUR) for who in PEOPLE[:4]),
        order(PEOPLE[0], NOON + 2 * HOUR),  # again
        order(PEOPLE[4], NOON - HOUR),  # before
        order(PEOPLE[5], NOON + 7 * DAY),  # the window is over
        order(PEOPLE[6], NOON),  # at its first moment
        order(PEOPLE[7], NOON + 7 * DAY - timedelta(seconds=1)),  # at its last
        order(PEOPLE[8], NOON + DAY),
        order(PEOPLE[19], NOON + HOUR),  # never came
    )
    runs.record(
        came(PEOPLE[5], held_out=False, at=NOON + 6 * DAY)
    )  # comes again, and counts from the first time
    await stats.settle()
    (lift,) = await lifts(stats)
    assert (lift.node_id, counts(lift)) == ("divide", (8, 6, 4, 1))
    assert lift.lift.value == pytest.approx(0.5)
    assert (lift.lift_low.value, lift.lift_high.value) == pytest.approx((-0.0639, 0.7714), abs=0.0001)


async def test_the_window_is_that_of_the_team(feeds: dict[str, FeedServer], start_stats: StartStats) -> None:
    (settings,) = feeds["segment"].answers["BatchGetTeamSettings"].settings
    settings.attribution_window.FromTimedelta(HOUR)
    stats = await start_stats()
    feeds["journey"].record(came(PEOPLE[0], held_out=False), came(PEOPLE[1], held_out=True))
    feeds["segment"].record(order(PEOPLE[0], NOON + HOUR / 2), order(PEOPLE[1], NOON + HOUR))
    await stats.settle()
    (lift,) = await lifts(stats)
    assert counts(lift) == (1, 1, 1, 0)


@pytest.mark.rule("J-37d")
@pytest.mark.parametrize("orders_first", [True, False])
async def test_it_is_the_same_whichever_history_is_read_first(stats: Stats, orders_first: bool) -> None:
    bought = [order(who, NOON + place * HOUR) for place, who in enumerate(PEOPLE[:6])]
    arrived = [came(who, held_out=place % 2 > 0, at=NOON + 2 * HOUR) for place, who in enumerate(PEOPLE[:6])]
    parts = [("segment", bought), ("journey", arrived)]
    for name, rows in parts if orders_first else parts[::-1]:
        stats.feeds[name].record(*rows)
        await stats.settle()
    (lift,) = await lifts(stats)
    assert counts(lift) == (3, 2, 3, 2)


@pytest.mark.rule("J-37d", "T-01i")
async def test_over_nobody_there_is_no_rate_and_of_a_strange_journey_nothing(stats: Stats) -> None:
    runs = stats.feeds["journey"]
    runs.record(came(PEOPLE[0], held_out=True), came(PEOPLE[1], held_out=False, node="open"))
    await stats.settle()
    (lift,) = await lifts(stats)
    assert (lift.node_id, counts(lift)) == ("divide", (0, 0, 1, 0)), "nobody is held out at the other"
    for ratio in (lift.lift, lift.lift_low, lift.lift_high):
        assert not ratio.HasField("value")
        assert ratio.absent_reason == figures_pb2.ABSENT_REASON_DIVISION_BY_ZERO
    runs.record(run_segment(PEOPLE[2], ("hello", enrolment_pb2.STEP_RESULT_SENT, True), journey_id=TEAM))
    await stats.settle()
    assert await lifts(stats, TEAM) == []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lifts(stats, new_id())
    assert remote_error(caught.value).reason == "RESOURCE_NOT_FOUND"
