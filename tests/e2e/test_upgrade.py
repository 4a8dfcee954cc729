"""A data directory of the release before: whoever sleeps in it wakes once, and nobody is lost."""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration

from libs.client import Client
from libs.client.paging import items
from libs.common.clock import SystemClock
from libs.common.rpc.values import timestamp
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.installation_service_pb2 import GetLagRequest, SetClockRequest
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.enrolment_pb2 import ENROLMENT_STATE_COMPLETED, Enrolment
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.stats.v1 import stats_service_pb2 as stats
from tests.e2e import older

CUSTOMERS: Final = 60
POINTS: Final = 10
_SCRIPT: Final = Path(__file__).parent / "older_release"


@pytest.fixture
def asleep() -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """A data directory of the release before with sleepers, and what was made in it."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        code = folder / "code"
        code.mkdir()
        older.unpack(code)
        command = ("-m", "sleepers_before", str(folder / "data"), str(CUSTOMERS))
        done = older.run(code, *command, beside=_SCRIPT)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
        yield folder / "data", json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
async def awake(asleep: tuple[Path, Mapping[str, Any]]) -> AsyncIterator[tuple[Client, Mapping[str, Any]]]:
    """This release on that directory, the night over."""
    directory, known = asleep
    settings = InstallationSettings(
        postgres_dsn="", redis_url="", token="", bind_host="127.0.0.1", data_dir=directory, clock_control="on"
    )
    async with (
        Installation(InstallationOptions(settings=settings, free_ports=True)) as installation,
        Client(installation.targets, installation.token) as client,
    ):
        # Those whom the release before left on their way come to rest first.
        await _until(lambda: _resting(client, known), 2 * CUSTOMERS)
        morning = SystemClock().now() + timedelta(hours=7)
        await client.installation("segment").SetClock(
            SetClockRequest(rate=1.0, domain_time=timestamp(morning)), timeout=30
        )
        await _until(lambda: _completed(client, known), 2 * CUSTOMERS)
        for service in ("journey", "points", "channel_gateway", "stats"):
            await client.installation(service).GetLag(GetLagRequest(wait=Duration(seconds=20)), timeout=30)
        yield client, known


@pytest.mark.timeout(300)
async def test_sleepers_of_the_release_before_wake_once_and_are_told_and_counted(
    awake: tuple[Client, Mapping[str, Any]],
) -> None:
    client, known = awake
    enrolments = await _enrolments(client, known)
    assert Counter(each.customer_id for each in enrolments) == Counter(dict.fromkeys(known["customers"], 2))
    assert await _balances(client, known) == [2 * POINTS] * CUSTOMERS
    assert await _sent(client, known) == Counter(each.enrolment_id for each in enrolments)
    for each in enrolments:
        assert await _nodes(client, each, known) == ["hello", "sleep", "points"]
    assert await _counted(client, known) == (2 * CUSTOMERS, 2 * CUSTOMERS)


async def _balances(client: Client, known: Mapping[str, Any]) -> list[int]:
    asked = points.BatchGetBalancesRequest()
    for customer_id in known["customers"]:
        asked.items.add(team_id=known["team_id"], customer_id=customer_id)
    return [each.balance for each in (await client.points.BatchGetBalances(asked, timeout=30)).balances]


async def _sent(client: Client, known: Mapping[str, Any]) -> Counter[str]:
    """Messages by enrolment."""
    request = gateway.ListDeliveriesRequest(team_id=known["team_id"], page_size=100)
    sends = items(client.channel_gateway.ListDeliveries, request, "deliveries", timeout_s=10)
    return Counter([each.enrolment_id async for each in sends])


async def _nodes(client: Client, enrolment: Enrolment, known: Mapping[str, Any]) -> list[str]:
    """Nodes that an enrolment entered, before and after."""
    asked = journey.ExplainEnrolmentRequest(team_id=known["team_id"], enrolment_id=enrolment.enrolment_id)
    told = await client.journey.ExplainEnrolment(asked, timeout=30)
    return [step.node_id for step in told.steps if step.entered]


async def _counted(client: Client, known: Mapping[str, Any]) -> tuple[int, int]:
    """Enrolments that stats has counted, and those of them that are complete."""
    asked = stats.GetJourneyOverviewRequest(team_id=known["team_id"], journey_id=known["journey_id"])
    overview = (await client.stats.GetJourneyOverview(asked, timeout=30)).overview
    return overview.triggered_count, overview.completed_count


async def _until(count: Any, wanted: int) -> None:
    async with asyncio.timeout(90):
        while await count() < wanted:
            await asyncio.sleep(0.2)


async def _enrolments(client: Client, known: Mapping[str, Any]) -> list[Enrolment]:
    request = journey.ListEnrolmentsRequest(
        team_id=known["team_id"], journey_id=known["journey_id"], page_size=100
    )
    return [each async for each in items(client.journey.ListEnrolments, request, "enrolments", timeout_s=10)]


async def _resting(client: Client, known: Mapping[str, Any]) -> int:
    return sum(each.HasField("wake_time") for each in await _enrolments(client, known))


async def _completed(client: Client, known: Mapping[str, Any]) -> int:
    return sum(each.state == ENROLMENT_STATE_COMPLETED for each in await _enrolments(client, known))
