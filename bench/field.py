"""A whole installation to be measured: servers with instruments, five services as processes, a client.

Durable as the product is: fsync stays on. Beyond the product's own settings PostgreSQL keeps the times of commits (what
"done" means here) and counts statements.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
from redis.asyncio import Redis

from bench import wal
from bench.usage import Usage
from libs.client import Client
from libs.client.services import SERVICES
from libs.common.clock import SystemClock
from libs.common.rpc.values import duration, timestamp
from libs.embedded import start_embedded
from libs.emulators.config import EmulatorSettings
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from libs.supervisor.plan import worker_names
from omnijourney.common.v1 import installation_service_pb2 as operations_pb2
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub

REAL: Final = SystemClock()
CALL_TIMEOUT_S: Final = 60.0
PATIENCE_S: Final = 120.0
"""How long nothing may get done before a work fails."""
_POLL_S: Final = 0.1
_LAG_WAIT: Final = timedelta(seconds=10)
_COUNT_EVERY_S: Final = 0.5
_REQUESTS: Final = re.compile(r"^omnijourney_rpc_requests_total\{(.*)\} (\S+)$", re.MULTILINE)
_OURSELVES: Final = "grpc.health"


class BenchFault(Exception):
    """What was measured did not come out right: a fast system that is wrong is no figure."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Round trips so far."""

    statements: float
    redis_calls: float
    rpcs: float


class DomainClock:
    """The installation's clock, followed from here, and moved. Times of commits are real, all others of the domain."""

    def __init__(self, client: Client, admin: "asyncpg.Pool[Any]") -> None:
        """Call `set` first."""
        self._client = client
        self._admin = admin
        self._real = REAL.now()
        self._domain = self._real
        self._rate = 1.0

    def now(self) -> datetime:
        """Domain time."""
        return self._domain + (REAL.now() - self._real) * self._rate

    async def set(self, rate: float, at: datetime | None = None) -> None:
        """Sets the rate, and the time if one is given; returns when all who work by it have seen it."""
        request = operations_pb2.SetClockRequest(rate=rate, domain_time=timestamp(at) if at else None)
        stub = InstallationServiceStub(self._client.channel("segment"))
        version = (await stub.SetClock(request, timeout=CALL_TIMEOUT_S)).version
        row = await self._admin.fetchrow("SELECT real_anchor, domain_anchor, rate FROM platform.clock")
        assert row is not None, "there is one clock"
        self._real, self._domain, self._rate = row
        for service in ("journey", "channel_gateway", "segment"):
            lag = operations_pb2.GetLagRequest(min_clock_version=version)
            follower = InstallationServiceStub(self._client.channel(service))
            await follower.GetLag(lag, timeout=CALL_TIMEOUT_S)


@dataclass(slots=True)
class Field:
    """Everything a work needs."""

    installation: Installation
    client: Client
    clock: DomainClock
    admin: "asyncpg.Pool[Any]"
    redis: Redis
    session: aiohttp.ClientSession
    usage: Usage

    async def counts(self) -> Counts:
        """Statements (BEGIN and COMMIT too), calls to Redis by clients, RPCs served."""
        statements = await self.admin.fetchval(
            "SELECT sum(s.calls) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid "
            "WHERE r.rolname <> current_user AND s.toplevel"
        )
        stats: Mapping[str, Any] = await self.redis.info("commandstats")
        redis_calls = sum(
            row["calls"]
            for name, row in stats.items()
            if name.removeprefix("cmdstat_").split("|")[0] in {"fcall", "fcall_ro", "publish", "evalsha"}
        )
        pages = await asyncio.gather(
            *(self._page(url) for url in set(self.installation.metrics_urls.values()))
        )
        rpcs = sum(
            float(value)
            for page in pages
            for labels, value in _REQUESTS.findall(page)
            if _OURSELVES not in labels
        )
        return Counts(float(statements or 0), float(redis_calls), rpcs)

    async def _page(self, url: str) -> str:
        async with self.session.get(url) as answer:
            return await answer.text()

    async def top_statements(self, limit: int = 25) -> list[dict[str, Any]]:
        """Where PostgreSQL's time goes, the dearest first: functions, and the statements inside them as well."""
        rows = await self.admin.fetch(
            "SELECT r.rolname, s.calls, s.total_exec_time AS ms, s.rows, s.toplevel, left(s.query, 90) AS query "
            "FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid "
            "WHERE r.rolname <> current_user ORDER BY s.total_exec_time DESC LIMIT $1",
            limit,
        )
        return [dict(row) for row in rows]

    async def settled(self) -> None:
        """Waits until nothing is on its way: sends, mail, and the rows that stats has not counted."""
        moved_s = time.monotonic()
        quiet, before = 0, None
        while quiet < 2:
            lag = await self.admin.fetchval(BEHIND)
            quiet = quiet + 1 if lag == 0 else 0
            if lag != before:
                before, moved_s = lag, time.monotonic()
            if time.monotonic() - moved_s > PATIENCE_S:
                raise BenchFault(f"stats is {lag} rows behind and does not catch up")
            await asyncio.sleep(_POLL_S)

    async def idle(self) -> None:
        """Waits until nothing is at work on what was written: mail is delivered and taken, and all is counted."""
        lag = operations_pb2.GetLagRequest(wait=duration(_LAG_WAIT))
        waited_s = time.monotonic()
        for service in ("segment", "journey", "channel_gateway"):
            stub = InstallationServiceStub(self.client.channel(service))
            while (await stub.GetLag(lag, timeout=CALL_TIMEOUT_S)).pending:
                if time.monotonic() - waited_s > PATIENCE_S:
                    raise BenchFault(f"{service} has work left and does not get done")
        await self.settled()

    async def completed(self, journey_id: UUID, since: datetime) -> int:
        """Enrolments of the journey that began after `since` and are complete."""
        count: int = await self.admin.fetchval(
            "SELECT count(*) FROM journey.enrolment WHERE journey_id = $1 AND created_at >= $2 AND state = 2",
            journey_id,
            since,
        )
        return count

    async def until_completed(self, journey_id: UUID, since: datetime, count: int) -> None:
        """Waits for `count` of them; BenchFault when PATIENCE_S pass without one more."""
        done, moved_s = -1, time.monotonic()
        while True:
            now = await self.completed(journey_id, since)
            if now >= count:
                return
            if now > done:
                done, moved_s = now, time.monotonic()
            if time.monotonic() - moved_s > PATIENCE_S:
                raise BenchFault(f"{now} of {count} journeys are complete, and no more come")
            # Counting reads every one of them, in the server that is measured.
            await asyncio.sleep(_COUNT_EVERY_S if count <= 20_000 else 10 * _COUNT_EVERY_S)

    async def commit_times(self, journey_id: UUID, since: datetime) -> dict[UUID, datetime]:
        """When the last commit of each enrolment was made, by customer."""
        rows = await self.admin.fetch(
            "SELECT customer_id, pg_xact_commit_timestamp(xmin) FROM journey.enrolment "
            "WHERE journey_id = $1 AND created_at >= $2",
            journey_id,
            since,
        )
        return {row[0]: row[1] for row in rows}


BEHIND: Final = """
/* rows that stats has not counted; its source 1 has what releases before wrote, of which there is nothing here */
SELECT COALESCE(sum(last.position - c.position), 0)
  FROM stats.cursor AS c
 CROSS JOIN LATERAL (
    SELECT CASE c.source
        WHEN 2 THEN (SELECT h.position FROM channel_gateway.record_head AS h WHERE h.shard = c.partition)
        WHEN 3 THEN (SELECT max(h.position) FROM points.entry AS h WHERE h.partition = c.partition)
        WHEN 4 THEN (SELECT max(h.position) FROM segment.fact AS h WHERE h.partition = c.partition)
        WHEN 5 THEN (SELECT h.position FROM journey.record_head AS h WHERE h.shard = c.partition - 64)
    END AS position
 ) AS last
 WHERE last.position > c.position
"""


@contextlib.asynccontextmanager
async def field(
    directory: Path,
    *,
    emulators: bool = False,
    console: bool = False,
    one_process: bool = False,
    workers: int = 1,
) -> AsyncIterator[Field]:
    """Starts everything in `directory`, with so many processes of journey."""
    await _prepare(directory)
    settings = InstallationSettings(
        postgres_dsn="",
        redis_url="",
        token="",
        bind_host="127.0.0.1",
        data_dir=directory,
        clock_control="on",
    )
    names = EmulatorSettings.model_construct()
    options = InstallationOptions(
        settings=settings,
        free_ports=True,
        emulators=emulators,
        console=console,
        one_process=one_process,
        more_workers={"journey": workers - 1},
        environment={
            "OMNIJOURNEY_LOG_LEVEL": "warning",
            "OMNIJOURNEY_EMULATOR_TOKEN": names.token,
            "OMNIJOURNEY_EMULATOR_SECRET": names.secret,
            "OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": "100000",
            "OMNIJOURNEY_EMULATOR_LINE_RATE": "100000",
        },
    )
    async with contextlib.AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation(options))
        client = await stack.enter_async_context(
            Client(installation.targets, installation.token, installation.tools_token)
        )
        admin = await stack.enter_async_context(
            asyncpg.create_pool(installation.postgres_dsn, min_size=1, max_size=4, command_timeout=600)
        )
        redis: Redis = Redis.from_url(installation.redis_url, protocol=2)
        stack.push_async_callback(redis.aclose)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await admin.execute(wal.EXTENSION)
        services = ["services"] if one_process else [*SERVICES, *worker_names(options, "journey")]
        others = {"emulators": emulators, "console": console}
        names_of_all = [*services, "postgres", "valkey", *(name for name, there in others.items() if there)]
        usage = Usage({name: installation.pid_of(name) for name in names_of_all})
        yield Field(installation, client, DomainClock(client, admin), admin, redis, session, usage)


async def _prepare(directory: Path) -> None:
    """Makes the database and sets what only a restart can set."""
    servers = await start_embedded(directory, valkey=False)
    try:
        connection = await asyncpg.connect(servers.postgres_dsn)
        try:
            await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            await connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            await connection.execute("ALTER SYSTEM SET pg_stat_statements.track = 'all'")
            await connection.execute(wal.KEPT)
        finally:
            await connection.close()
    finally:
        await servers.stop()
