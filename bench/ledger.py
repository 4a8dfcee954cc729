"""w-ledger: how fast points are posted, beside what the same server does without services.

Batches of 100 spread over 200,000 accounts, on one hot account, and single calls at once, which the service writes
together: as services of one machine make them, by frames, and by gRPC, as everything else goes. The service is a
process of its own and so is the load. In the same rounds runs the floor: one client that posts the same batches by one
bare statement, with rows as narrow as they can be. Afterwards the ledger is checked: a fast ledger that is wrong is no
figure.
"""

import asyncio
import contextlib
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import grpc
import msgspec

from bench import pages, raw_frames
from bench.bare import BareLedger
from bench.measure import chunks
from bench.raw_calls import Method, call_all
from bench.tpcb import tpcb_tps
from bench.usage import Usage
from libs.common.db.migrate import migrate
from libs.common.rpc.client import channel
from libs.common.rpc.frame_server import socket_of
from libs.embedded import Embedded, start_embedded
from libs.embedded.ports import free_port
from omnijourney.common.v1 import money_pb2
from omnijourney.internal.v1 import ledger_service_pb2, postings_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import points_service_pb2_grpc as pb_grpc
from tools.paths import ROOT

ACCOUNTS: Final = 200_000
BATCH: Final = 100
_SEED: Final = 20_171_201
_METHOD: Final = "/omnijourney.internal.v1.LedgerService/PostEntries"
_TIMEOUT_S: Final = 60.0
_AT_ONCE: Final = 8
"""Batches under way at once."""
_SINGLES_AT_ONCE: Final = 64
_ROUNDS: Final = 5
_POSTS: Final = 10_000
"""Of a round, as batches."""
_SINGLES: Final = 5_000
"""Of a round, as single calls."""


class Case(msgspec.Struct, frozen=True):
    """One way of posting: posts a second by round, and CPU microseconds of a post by process."""

    name: str
    posts_per_s: list[float]
    cpu_us: dict[str, float]
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def rate_per_s(self) -> float:
        """The median."""
        return statistics.median(self.posts_per_s)


class Posting(msgspec.Struct, frozen=True):
    """Figures of one run. `share` of the floor's rate, `hot_factor` of the spread one, each by round, the medians."""

    spread: Case
    hot: Case
    singles: Case
    grpc_singles: Case
    floor: Case
    share: float
    hot_factor: float
    tpcb_tps: float | None
    """pgbench's built-in TPC-B on the same server; None where there is no pgbench."""


class Load:
    """Postings of a team, from a seed: orders and gifts of journeys."""

    def __init__(self) -> None:
        """Always the same ones."""
        self._random = random.Random(_SEED)
        self.team_id = self._id()
        self._journey_id = self._id()
        self.customers = [self._id() for _ in range(ACCOUNTS)]

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128)))

    def postings(self, count: int, *, hot: bool = False) -> list[postings_pb2.Posting]:
        """New postings, of any customers or of the first one."""
        who = self.customers[:1] if hot else self.customers
        return [self._posting(self._random.choice(who)) for _ in range(count)]

    def messages(self, count: int, size: int, *, hot: bool = False) -> list[bytes]:
        """The same as requests of `size` each."""
        batches = chunks(self.postings(count, hot=hot), size)
        return [
            ledger_service_pb2.PostEntriesRequest(postings=batch).SerializeToString() for batch in batches
        ]

    def _posting(self, customer_id: str) -> postings_pb2.Posting:
        key = self._id()
        posting = postings_pb2.Posting(key=key, team_id=self.team_id, customer_id=customer_id, actor="bench")
        if self._random.random() < 0.6:
            amount = money_pb2.Money(
                currency_code="USD", amount_micros=self._random.randrange(1, 500) * 10**6
            )
            order = postings_pb2.EarnPosting(order_key=key, order_id=key[:8], amount=amount, has_phone=True)
            posting.earn.CopyFrom(order)
        else:
            gift = postings_pb2.JourneyAddPosting(
                points=5, journey_id=self._journey_id, node_id="gift", has_phone=True
            )
            gift.enrolment_id = key
            posting.journey_add.CopyFrom(gift)
        return posting


@dataclass(frozen=True, slots=True)
class Field:
    """The servers, the service as a process, and who talks to it."""

    servers: Embedded
    admin: "asyncpg.Connection[Any]"
    calls: grpc.aio.Channel
    port: int
    socket: Path
    usage: Usage


@contextlib.asynccontextmanager
async def _field(directory: Path) -> AsyncIterator[Field]:
    servers = await start_embedded(directory)
    try:
        port = free_port()
        async with (
            _service(servers, port, directory) as pid,
            channel(f"127.0.0.1:{port}", servers.token) as calls,
        ):
            await asyncio.wait_for(calls.channel_ready(), _TIMEOUT_S)
            admin = await asyncpg.connect(servers.postgres_dsn)
            pids = {"points": pid, "postgres": _pid_of(servers)}
            try:
                socket = socket_of(directory, port)
                assert socket is not None
                yield Field(servers, admin, calls, port, socket, Usage(pids))
            finally:
                await admin.close()
    finally:
        await servers.stop()


@contextlib.asynccontextmanager
async def _service(servers: Embedded, port: int, calls_dir: Path) -> AsyncIterator[int]:
    own = {
        "OMNIJOURNEY_POSTGRES_DSN": (await migrate(servers.postgres_dsn, "points", "services.points")).dsn,
        "OMNIJOURNEY_REDIS_URL": servers.redis_url,
        "OMNIJOURNEY_TOKEN": servers.token,
        "OMNIJOURNEY_POINTS_PORT": str(port),
        "OMNIJOURNEY_CALLS_DIR": str(calls_dir),
        "OMNIJOURNEY_POINTS_METRICS_PORT": "0",
        "OMNIJOURNEY_LOG_LEVEL": "error",
    }
    command = (sys.executable, "-m", "services.points")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, **own})
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


def _pid_of(servers: Embedded) -> int:
    assert servers.postgres is not None
    assert servers.postgres.child is not None
    return servers.postgres.child.pid


class _Timed:
    """Samples of one case."""

    def __init__(self, name: str, usage: Usage, processes: Sequence[str]) -> None:
        self._name = name
        self._usage = usage
        self._cpu_s = dict.fromkeys(processes, 0.0)
        self._posts = 0
        self.rates: list[float] = []
        self.took_s: list[float] = []

    async def run(self, posts: int, work: Callable[[], Awaitable[list[float]]]) -> None:
        self._usage.start()
        own_s, began_s = time.process_time(), time.perf_counter()
        self.took_s += await work()
        self.rates.append(posts / (time.perf_counter() - began_s))
        for name, spent_s in (*self._usage.spent().items(), ("load", time.process_time() - own_s)):
            if name in self._cpu_s:
                self._cpu_s[name] += spent_s
        self._posts += posts

    def case(self) -> Case:
        cpu_us = {name: spent_s / self._posts * 1e6 for name, spent_s in self._cpu_s.items()}
        took_ms = sorted(each * 1e3 for each in self.took_s) or [0.0]
        return Case(
            self._name, self.rates, cpu_us, took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100]
        )


async def measured(directory: Path, entries: int) -> tuple[Posting, dict[str, float]]:
    """Figures of posting, and milliseconds of the report's pages at `entries`, on servers of their own."""
    async with _field(directory) as field:
        load = Load()
        stub = pb_grpc.PointsServiceStub(field.calls)
        formula = pb.SetEarningFormulaRequest(
            team_id=load.team_id, request_id="formula", amount="10", points="1"
        )
        await stub.SetEarningFormula(formula, timeout=_TIMEOUT_S)
        await field.admin.execute(
            "INSERT INTO points.account (team_id, customer_id) SELECT $1, unnest($2::uuid[])",
            *(UUID(load.team_id), load.customers),
        )
        await field.admin.execute("VACUUM ANALYZE points.account")
        bare = await BareLedger.prepare(field.servers.postgres_dsn, load.customers)
        cases = await _rounds(field, load, bare)
        await bare.close()
        await _check(stub, load.team_id)
        tpcb = await tpcb_tps(field.servers.postgres_dsn)
        page_ms = await pages.measure(field.servers.postgres_dsn, stub, entries)
    spread, hot, singles, grpc_singles, floor = (case.case() for case in cases)
    return (
        Posting(
            *(spread, hot, singles, grpc_singles, floor),
            share=_median_ratio(spread.posts_per_s, floor.posts_per_s),
            hot_factor=_median_ratio(spread.posts_per_s, hot.posts_per_s),
            tpcb_tps=tpcb,
        ),
        page_ms,
    )


async def _rounds(field: Field, load: Load, bare: BareLedger) -> list[_Timed]:
    """Every way in every round, so that a slow moment of the machine meets them all; the first round warms up."""
    await _round(field, load, bare, _timed(field))
    cases = _timed(field)
    for _ in range(_ROUNDS):
        await _round(field, load, bare, cases)
    return cases


def _timed(field: Field) -> list[_Timed]:
    ours = ("points", "postgres", "load")
    names = ("spread", "one hot account", "single calls", "single calls by gRPC")
    floor = _Timed("bare statement", field.usage, ("postgres", "load"))
    return [*(_Timed(name, field.usage, ours) for name in names), floor]


async def _round(field: Field, load: Load, bare: BareLedger, cases: Sequence[_Timed]) -> None:
    spread, hot, singles, grpc_singles, floor = cases
    requests, hot_requests = load.messages(_POSTS, BATCH), load.messages(_POSTS, BATCH, hot=True)
    by_frames, by_grpc = load.messages(_SINGLES, 1), load.messages(_SINGLES, 1)
    batches = bare.batches(load.postings(_POSTS), BATCH)
    await spread.run(_POSTS, lambda: _post(field.calls, requests))
    await floor.run(_POSTS, lambda: bare.post(batches))
    await hot.run(_POSTS, lambda: _post(field.calls, hot_requests))
    await singles.run(_SINGLES, lambda: _single(field, by_frames))
    await grpc_singles.run(_SINGLES, lambda: _single_by_grpc(field, by_grpc))


async def _post(calls: grpc.aio.Channel, requests: Sequence[bytes]) -> list[float]:
    waiting = iter(requests)
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = calls.unary_unary(_METHOD)
    took_s: list[float] = []

    async def client() -> None:
        for request in waiting:
            began_s = time.perf_counter()
            await call(request, timeout=_TIMEOUT_S)
            took_s.append(time.perf_counter() - began_s)

    await asyncio.gather(*(client() for _ in range(_AT_ONCE)))
    return took_s


async def _single(field: Field, requests: Sequence[bytes]) -> list[float]:
    return await raw_frames.call_all(field.socket, _METHOD, field.servers.token, requests, _SINGLES_AT_ONCE)


async def _single_by_grpc(field: Field, requests: Sequence[bytes]) -> list[float]:
    method = Method("127.0.0.1", field.port, _METHOD, field.servers.token)
    return await call_all(method, requests, _SINGLES_AT_ONCE)


def _median_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


async def _check(stub: "pb_grpc.PointsServiceAsyncStub", team_id: str) -> None:
    async for piece in stub.CheckLedger(pb.CheckLedgerRequest(team_id=team_id), timeout=600):
        if piece.HasField("finding"):
            raise AssertionError(piece.finding)
