"""The welcome journey as one would write it by hand on arq and PostgreSQL. Run by the peers' Python.

Two durable points only: the first job's commits and the second's. What is queued is in Redis, and a customer's jobs are
in no order. A message goes to a sink in this process.
"""

import os
import time
from pathlib import Path
from typing import Any

import asyncpg
from arq.connections import RedisSettings

_DELAY_S = 1
_POINTS = 10
_TAG = "newcomer"
_REPORTS = Path(os.environ["PEER_REPORTS"]).open("a", buffering=1)  # noqa: SIM115 - as long as the process
_SEEN = "INSERT INTO event VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING key"
_ENROL = "INSERT INTO enrolment VALUES ($1, $2, 1, now()) ON CONFLICT DO NOTHING"
_RESERVE = "INSERT INTO delivery VALUES ($1, 1) ON CONFLICT DO NOTHING"
_SETTLE = "UPDATE delivery SET state = 2 WHERE key = $1"
_TAGGED = "SELECT EXISTS (SELECT FROM tag WHERE customer = $1 AND name = $2)"
_ENTRY = "INSERT INTO entry VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING key"
_ACCOUNT = (
    "INSERT INTO account AS a VALUES ($1, $2) ON CONFLICT (customer) DO UPDATE SET balance = a.balance + $2"
)
_COMPLETE = "UPDATE enrolment SET state = 2 WHERE event = $1"


async def joined(ctx: dict[str, Any], key: str) -> None:
    """Event, enrolment, message; then the second job is due in a second."""
    event = f"joined-{key}"
    async with ctx["pool"].acquire() as connection:
        async with connection.transaction():
            if await connection.fetchval(_SEEN, event, key) is None:
                return
            await connection.execute(_ENROL, event, key)
            await connection.execute(_RESERVE, event)
        _send(key)
        await connection.execute(_SETTLE, event)
    await ctx["redis"].enqueue_job("wake", key, _defer_by=_DELAY_S, _job_id=f"wake-{key}")


async def wake(ctx: dict[str, Any], key: str) -> None:
    """Condition, points, end."""
    event = f"joined-{key}"
    async with ctx["pool"].acquire() as connection:
        tagged = await connection.fetchval(_TAGGED, key, _TAG)
        async with connection.transaction():
            if tagged and await connection.fetchval(_ENTRY, event, key, _POINTS) is not None:
                await connection.execute(_ACCOUNT, key, _POINTS)
            await connection.execute(_COMPLETE, event)
    _REPORTS.write(f"{key} {time.time():.6f}\n")


def _send(recipient: str) -> str:
    return f"sent to {recipient}"


async def _open(ctx: dict[str, Any]) -> None:
    ctx["pool"] = await asyncpg.create_pool(os.environ["PEER_POSTGRES"], min_size=8, max_size=8)


async def _close(ctx: dict[str, Any]) -> None:
    await ctx["pool"].close()


class Worker:
    """What arq reads."""

    functions = (joined, wake)
    on_startup = _open
    on_shutdown = _close
    redis_settings = RedisSettings.from_dsn(os.environ["PEER_REDIS"])
    max_jobs = 100
    poll_delay = 0.05
    keep_result = 0
    log_results = False
