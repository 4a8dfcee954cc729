"""All five services while the database takes no connection of theirs, as when others have used up what it can serve."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest
import structlog

from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from omnijourney.journey.v1 import enrolment_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.stats.v1 import stats_service_pb2
from tests.integration.journey.whole_site import TIMEOUT_S
from tests.integration.whole_path.stage import Stage, node, says, until, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES: Final = ("journey", "segment", "points", "channel_gateway", "stats")
REFUSALS_MIN: Final = 3
"""Of each service, whose loops ask again and again."""
_REFUSE: Final = "ALTER DATABASE {} CONNECTION LIMIT 0"
_TAKE: Final = "ALTER DATABASE {} CONNECTION LIMIT -1"
_CUT: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND usename = ANY($1::text[])
"""


@asynccontextmanager
async def no_connections(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter[str]]:
    """Services lose their connections and are refused others; counts the refusals by service, until the block ends."""
    connect, refused = asyncpg.connect, Counter[str]()

    async def counted(*arguments: Any, **options: Any) -> Any:
        try:
            return await connect(*arguments, **options)
        except asyncpg.TooManyConnectionsError:
            name = options.get("server_settings", {}).get("application_name", "")
            refused.update(each for each in SERVICES if name == f"omnijourney {each}")
            raise

    connection = await connect(dsn)
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    roles = [f"omnijourney_{each}" for each in SERVICES]
    try:
        with monkeypatch.context() as patched:
            patched.setattr(asyncpg, "connect", counted)
            await connection.execute(_REFUSE.format(name))
            await connection.fetch(_CUT, roles)
            yield refused
    finally:
        await connection.execute(_TAKE.format(name))
        await connection.close()


async def test_what_was_begun_waits_and_everything_goes_on_when_there_are_connections_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No loop of any service may end over it: each is needed for what is looked at in the end."""
    module = await stage.module("Hello")
    gives = node_pb2.PointsNode(add=5)
    journey_id = await stage.live(
        node("give", "tag", points=gives),
        node("tag", "wait", tags=node_pb2.TagsNode(add=["VIP"])),
        waits("wait", "hello", seconds=60),
        says("hello", module),
    )
    bought = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
    by_orders = await stage.live(says("thanks", module), trigger=bought)
    before, begun, after = [await stage.customer(member_id=f"member {each}") for each in range(3)]
    await stage.trigger(journey_id, before)
    await stage.until_waiting(journey_id, enrolment_pb2.WAIT_REASON_DELAY)
    await stage.order_by_webhook("member 0")
    await stage.until_done(by_orders)
    await stage.trigger(journey_id, begun)
    with structlog.testing.capture_logs() as logged:
        async with no_connections(stage.site.admin_dsn, monkeypatch) as refused:
            async with asyncio.timeout(TIMEOUT_S):
                while any(refused[each] < REFUSALS_MIN for each in SERVICES):
                    await asyncio.sleep(0.05)
        last = pb.SystemTriggerItem(journey_id=journey_id, customer_id=after, request_id=str(new_id()))
        await retrying(lambda: stage.call("TriggerJourneys", items=[last]), attempts=None)
        await stage.order_by_webhook("member 1")
        await stage.until_waiting(journey_id, enrolment_pb2.WAIT_REASON_DELAY, 3)
        await stage.site.advance(minutes=2)
        await stage.until_done(journey_id, 3)
        await stage.until_done(by_orders, 2)
        await until(lambda: _is_counted(stage, journey_id, 3))
    assert [each for each in logged if each["event"] == "worker failed"] == []
    assert [await stage.balance(each) for each in (before, begun, after)] == [(5, 5)] * 3
    assert [len(await stage.texts(each)) for each in (before, begun, after)] == [2, 2, 1]


async def _is_counted(stage: Stage, journey_id: str, completed: int) -> bool:
    asked = stats_service_pb2.GetJourneyOverviewRequest(team_id=stage.site.team_id, journey_id=journey_id)
    found = await stage.site.stubs["stats"].GetJourneyOverview(asked, timeout=TIMEOUT_S)
    return bool(found.overview.completed_count == completed)
