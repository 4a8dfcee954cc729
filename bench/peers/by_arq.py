"""w1 on arq and PostgreSQL (`arq_app.py`), on the same kind of servers as ours."""

import contextlib
import pickle
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
from redis.asyncio import Redis

from bench.peers.load import Peer, measure
from bench.peers.place import PYTHON, SCRIPTS, need_package, running
from bench.usage import Usage
from libs.embedded import start_embedded

_WORKERS: Final = 1
"""Processes: two try for the same jobs, and cost more together."""
_TABLES: Final = """
CREATE TABLE event (key text PRIMARY KEY, customer text NOT NULL);
CREATE TABLE enrolment (
    event text PRIMARY KEY, customer text NOT NULL, state smallint NOT NULL, at timestamptz NOT NULL
);
CREATE TABLE delivery (key text PRIMARY KEY, state smallint NOT NULL);
CREATE TABLE tag (customer text NOT NULL, name text NOT NULL, PRIMARY KEY (customer, name));
CREATE TABLE entry (key text PRIMARY KEY, customer text NOT NULL, delta bigint NOT NULL);
CREATE TABLE account (customer text PRIMARY KEY, balance bigint NOT NULL);
"""
_TAG: Final = "INSERT INTO tag SELECT c, 'newcomer' FROM unnest($1::text[]) AS c"
_KEPT_MS: Final = 86_400_000


class Arq:
    """Workers that run."""

    name = "arq and PostgreSQL by hand"

    def __init__(self, pool: "asyncpg.Pool[Any]", redis: Redis, usage: Usage, reports: Path) -> None:
        """Of the measured servers."""
        self.usage = usage
        self.reports = reports
        self._pool = pool
        self._redis = redis

    async def know(self, keys: Sequence[str]) -> None:
        """A tag for each."""
        await self._pool.execute(_TAG, keys)

    async def post(self, key: str) -> None:
        """A job, as arq's own `enqueue_job` makes it (0.28): the job under its id, and the id in the queue."""
        now_ms = int(time.time() * 1_000)
        job = pickle.dumps({"t": 0, "f": "joined", "a": (key,), "k": {}, "et": now_ms})
        pipe: Any
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.psetex(f"arq:job:joined-{key}", _KEPT_MS, job)
            pipe.zadd("arq:queue", {f"joined-{key}": now_ms})
            await pipe.execute()


async def measured(directory: Path, count: int, rates_per_s: Sequence[int]) -> Peer:
    """The form of its documents: two jobs, the second deferred."""
    async with _started(directory) as subject:
        return await measure(subject, count, rates_per_s)


@contextlib.asynccontextmanager
async def _started(directory: Path) -> AsyncIterator[Arq]:
    for package in ("arq", "asyncpg"):
        need_package(package)
    reports = directory / "reports"
    servers = await start_embedded(directory / "servers")
    try:
        own = {
            "PEER_REPORTS": str(reports),
            "PEER_POSTGRES": servers.postgres_dsn,
            "PEER_REDIS": servers.redis_url,
            "PYTHONPATH": str(SCRIPTS),
        }
        async with contextlib.AsyncExitStack() as stack:
            pool = await stack.enter_async_context(
                asyncpg.create_pool(servers.postgres_dsn, min_size=1, max_size=4)
            )
            await pool.execute(_TABLES)
            redis: Redis = Redis.from_url(servers.redis_url, protocol=2)
            stack.push_async_callback(redis.aclose)
            pids = {server.name: server.child.pid for server in servers.servers if server.child}
            for number in range(_WORKERS):
                command = [str(PYTHON), "-m", "arq", "arq_app.Worker"]
                worker = await stack.enter_async_context(
                    running(command, directory / f"arq-{number}.log", own)
                )
                pids[f"arq-{number}"] = worker.pid
            yield Arq(pool, redis, Usage(pids), reports)
    finally:
        await servers.stop()
