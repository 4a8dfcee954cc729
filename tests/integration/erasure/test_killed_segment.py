"""Merges, of customers and of attributes, and erasures by a process of segment that is killed in the middle of their
steps, beside the other four."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import grpc
import pytest
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from libs.embedded.ports import free_port
from libs.testing.fixtures import Databases, Servers
from omnijourney.common.v1 import operation_pb2
from omnijourney.points.v1 import points_service_pb2
from omnijourney.segment.v1 import attribute_pb2, customer_pb2
from services.segment.config import Settings
from tests.integration.erasure.searching import found_in_tables
from tests.integration.journey.whole_site import ALL, LINE, TIMEOUT_S, Site, serving_site
from tests.integration.whole_path.stage import until
from tools.paths import ROOT

WAIT_S: Final = 200.0
"""A process takes its time to start on a busy machine."""
Result = TypeVar("Result")

POINTS: Final = ("segment.after_merge_step", "segment.after_erasing")
CHANGES: Final = ("segment.before_audience_change_commit", "segment.after_audience_change")
_EXPIRE: Final = (
    "UPDATE segment.customer_merge SET due_at = clock_timestamp() WHERE end_time IS NULL",
    "UPDATE segment.erasure SET claimed_until = clock_timestamp() WHERE claimed_until > clock_timestamp()",
)
"""What a process that was killed had claimed is free at once: nobody waits for the claims to be over."""


@dataclass
class Mortal:
    """Segment as a process, which is started again whenever it has died."""

    servers: Servers
    admin_dsn: str = ""
    armed: list[str] = field(default_factory=list)
    """Crash points of the next starts; then none."""
    deaths: Counter[str] = field(default_factory=Counter)
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None
    _environment: dict[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def serving(self, settings: Settings) -> AsyncIterator[Mortal]:
        """Runs it, as `services.segment.app.app` would."""
        self.port = settings.port or self.port
        self._environment = {
            **os.environ,
            "OMNIJOURNEY_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
            "OMNIJOURNEY_REDIS_URL": self.servers.redis_url,
            "OMNIJOURNEY_TOKEN": self.servers.token,
            "OMNIJOURNEY_SEGMENT_PORT": str(self.port),
            "OMNIJOURNEY_SEGMENT_METRICS_PORT": "0",
            "OMNIJOURNEY_LOG_LEVEL": "error",
            **{
                f"OMNIJOURNEY_{each.upper()}": getattr(settings, each)
                for each in ("points_target", "journey_target", "channel_gateway_target", "stats_target")
            },
        }
        keeping = asyncio.create_task(self._keep())
        try:
            yield self
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if self.process is not None and self.process.returncode is None:
                self.process.send_signal(signal.SIGTERM)
                await self.process.wait()

    async def _keep(self) -> None:
        while True:
            point = self.armed.pop(0) if self.armed else ""
            environment = {**self._environment, "OMNIJOURNEY_CRASH_POINTS": point}
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.segment", cwd=ROOT, env=environment
            )
            if await self.process.wait() == -signal.SIGKILL:
                self.deaths[point.partition(":")[0]] += 1
                await self._expire()
            elif point:  # it did not come so far: servers may be slow to answer
                self.armed.insert(0, point)

    async def _expire(self) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            for statement in _EXPIRE:
                await connection.execute(statement)
        finally:
            await connection.close()

    def arm(self, point: str, *probabilities: float) -> None:
        """Dies at a point: in the processes that are started from now on, the present one goes at once."""
        self.armed += [f"{point}:{each}:{number}" for number, each in enumerate(probabilities)]
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)


class Known(NamedTuple):
    """What is asked of a customer in the end."""

    tags: Sequence[str]
    identities: int
    balance: int
    cumulative: int
    orders: int


async def again(call: Callable[[], Awaitable[Result]]) -> Result:
    """A call, repeated while the service is dead."""
    return await retrying(call, attempts=None)


async def two(site: Site, account_id: str, name: str) -> tuple[str, str]:
    """Two customers who are one, with something of everything."""
    found: list[str] = []
    for number in (1, 2):
        key = customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id=f"U{new_id().hex}")
        person = customer_pb2.Customer(
            member_id=f"member-{name}-{number}",
            name=f"Zweigelt {name} {number}",
            tags=[f"tag {number}"],
            identities=[customer_pb2.Identity(key=key)],
        )
        made = await site.call("CreateCustomer", customer=person)
        found.append(made.customer.customer_id)
        await site.call("AdjustBalance", customer_id=found[-1], points=10 * number, note=f"Zweigelt {name}")
    return found[0], found[1]


async def known(site: Site, customer_id: str) -> Known:
    """What there is of one."""
    person = (await site.call("GetCustomer", customer_id=customer_id)).customer
    figures = (await site.call("GetBalance", customer_id=customer_id)).balance
    orders = (await site.call("ListOrders", customer_id=customer_id)).orders
    return Known(
        sorted(person.tags), len(person.identities), figures.balance, figures.cumulative, len(orders)
    )


async def merged(site: Site, survivor: str, loser: str) -> None:
    """Merges, and waits until that is done."""
    request_id = str(new_id())
    started = await again(
        lambda: site.call("MergeCustomers", survivor_id=survivor, loser_id=loser, request_id=request_id)
    )
    merge_id = started.customer_merge.customer_merge_id

    async def is_done() -> bool:
        found = await again(lambda: site.call("GetCustomerMerge", customer_merge_id=merge_id))
        return bool(found.customer_merge.operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED)

    await until(is_done, WAIT_S)


async def erased(site: Site, connection: asyncpg.Connection[Any], customer_id: str) -> None:
    """Erases, and waits until that is done for all who were merged into them as well."""
    request_id = str(new_id())
    await again(lambda: site.call("StartErasure", customer_id=customer_id, request_id=request_id))

    async def is_done() -> bool:
        query = "SELECT count(*) FROM segment.erasure WHERE known IS NOT NULL OR step < 11"
        return bool(await connection.fetchval(query) == 0)

    await until(is_done, WAIT_S)


async def define(site: Site, key: str) -> None:
    """A text attribute."""
    attribute = attribute_pb2.Attribute(key=key, type=attribute_pb2.ATTRIBUTE_TYPE_TEXT)
    await site.call("CreateAttribute", attribute=attribute)


async def one_attribute(site: Site, mortal: Mortal, connection: asyncpg.Connection[Any]) -> None:
    """Merges an attribute into another one, deletes a third, while segment is killed between and after their steps."""
    for key in ("old", "new", "gone"):
        await define(site, key)
    people = [{"old": "1", "gone": "1"}, {"old": "2", "new": "3"}, {"gone": "4"}]
    made = [
        (
            await site.call("CreateCustomer", customer=customer_pb2.Customer(attributes=each))
        ).customer.customer_id
        for each in people
    ]
    mortal.armed.append(f"{CHANGES[0]}:1:1")
    mortal.arm(CHANGES[1], 1, 1, 1)
    merging, deleting = str(new_id()), str(new_id())
    for work in (
        await again(lambda: site.call("MergeAttributes", key="old", into_key="new", request_id=merging)),
        await again(lambda: site.call("DeleteAttribute", key="gone", request_id=deleting)),
    ):
        number = work.operation.operation_id

        async def is_done(operation_id: str = number) -> bool:
            query = "SELECT ended FROM segment.audience_change WHERE change_id = $1"
            return bool(await connection.fetchval(query, operation_id))

        await until(is_done, WAIT_S)
    assert (mortal.deaths[CHANGES[0]], mortal.deaths[CHANGES[1]]) == (1, 3)
    found = [await again(partial(site.call, "GetCustomer", customer_id=each)) for each in made]
    assert [dict(each.customer.attributes) for each in found] == [{"new": "1"}, {"new": "3"}, {}]
    listed = await site.call("ListAttributes")
    assert [each.key for each in listed.attributes] == ["new"]
    told = [await site.call("ListFacts", customer_id=each) for each in made]
    changed = [[each.WhichOneof("fact") for each in page.facts].count("attribute_changed") for page in told]
    assert changed == [len(each) + got for each, got in zip(people, (1, 0, 0), strict=True)], "each once"


@pytest.mark.timeout(600)
async def test_who_is_merged_and_erased_while_segment_is_killed_ends_as_if_nobody_was(
    servers: Servers, databases: Databases
) -> None:
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    mortal = Mortal(servers)
    async with serving_site(servers, databases, with_stats=True, segment=mortal.serving) as site:
        mortal.admin_dsn = site.admin_dsn
        connection = await asyncpg.connect(site.admin_dsn)
        try:
            await again(lambda: site.call("ListTeams"))
            await site.team(ALL)
            account_id = await site.account(LINE)
            spared, struck = await two(site, account_id, "spared"), await two(site, account_id, "struck")
            await merged(site, *spared)
            assert not mortal.deaths
            mortal.arm(POINTS[0], 1, 0.5)
            await merged(site, *struck)
            assert mortal.deaths[POINTS[0]] >= 1
            expected = await known(site, spared[0])
            assert await known(site, struck[0]) == expected == Known(["tag 1", "tag 2"], 2, 30, 30, 0)
            await one_attribute(site, mortal, connection)
            mortal.arm(POINTS[1], 1, 0.3, 0.3)
            await erased(site, connection, struck[0])
            assert mortal.deaths[POINTS[1]] >= 1
            assert await found_in_tables(site.admin_dsn, ["Zweigelt struck", "member-struck"]) == []
            assert await found_in_tables(site.admin_dsn, ["Zweigelt spared", "member-spared"]) != [], (
                "the search finds who is not erased"
            )
            with pytest.raises(grpc.aio.AioRpcError) as nobody:
                await site.call("GetCustomer", customer_id=struck[0])
            assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
            request = points_service_pb2.CheckLedgerRequest(team_id=site.team_id)
            said = [each async for each in site.stubs["points"].CheckLedger(request, timeout=TIMEOUT_S)]
            assert [each.WhichOneof("item") for each in said] == ["summary"]
            assert (await site.call("GetBalance", customer_id=struck[0])).balance.balance == 30
        finally:
            await connection.close()
