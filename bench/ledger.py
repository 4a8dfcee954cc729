"""How fast points are posted through gRPC: batches over many accounts, one hot account, single calls at once.

Alone: `python -m bench.ledger`; server and client share this process, so its CPU time is that of both.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import uvloop
from pydantic import SecretStr

from bench import pages
from bench.measure import Figure, Meter, chunks
from libs.common.clock import SystemClock
from libs.common.embedded import start_embedded
from libs.common.rpc.client import channel
from omnijourney.common.v1 import money_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import points_service_pb2_grpc as pb_grpc
from omnijourney.points.v1 import posting_pb2
from services.points.app import app
from services.points.config import Settings

_SEED: Final = 20_171_201
_ACCOUNTS: Final = 10_000
_TIMEOUT_S: Final = 60.0
# Name, accounts, postings of a call, calls at once, postings of a round.
_CASES: Final = (
    ("points posted, spread", _ACCOUNTS, 100, 4, 10_000),
    ("points posted, spread", _ACCOUNTS, 500, 4, 10_000),
    ("points posted, one hot account", 1, 100, 4, 10_000),
    ("points posted, single calls", _ACCOUNTS, 1, 64, 2_000),
)
_ROUNDS: Final = 3


class Load:
    """Postings of a team, from a seed: orders and gifts of journeys."""

    def __init__(self) -> None:
        """Always the same ones."""
        self._random = random.Random(_SEED)
        self.team_id = self._id()
        self._journey_id = self._id()
        self._customers = [self._id() for _ in range(_ACCOUNTS)]

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128)))

    def postings(self, count: int, accounts: int) -> list[posting_pb2.Posting]:
        """New postings of the first `accounts` customers."""
        return [self._posting(self._random.choice(self._customers[:accounts])) for _ in range(count)]

    def _posting(self, customer_id: str) -> posting_pb2.Posting:
        key = self._id()
        posting = posting_pb2.Posting(key=key, team_id=self.team_id, customer_id=customer_id, actor="bench")
        if self._random.random() < 0.6:
            amount = money_pb2.Money(
                currency_code="USD", amount_micros=self._random.randrange(1, 500) * 10**6
            )
            order = posting_pb2.EarnPosting(order_key=key, order_id=key[:8], amount=amount, has_phone=True)
            posting.earn.CopyFrom(order)
        else:
            gift = posting_pb2.JourneyAddPosting(
                points=5, journey_id=self._journey_id, node_id="gift", has_phone=True
            )
            gift.enrolment_id = key
            posting.journey_add.CopyFrom(gift)
        return posting


async def run(
    postgres_dsn: str, redis_url: str, token: str, meter: Meter, entries: int = 0
) -> dict[str, float]:
    """Measures the real service on the servers given; with `entries` also pages of the report, in milliseconds."""
    settings = Settings(
        postgres_dsn=SecretStr(postgres_dsn),
        redis_url=SecretStr(redis_url),
        token=SecretStr(token),
        port=0,
        metrics_port=0,
    )
    load = Load()
    async with (
        app(settings, clock=SystemClock()) as serving,
        channel(f"127.0.0.1:{serving.port}", token) as calls,
    ):
        stub = pb_grpc.PointsServiceStub(calls)
        formula = pb.SetEarningFormulaRequest(team_id=load.team_id, amount="10", points="1")
        await stub.SetEarningFormula(formula, timeout=_TIMEOUT_S)
        await _post(stub, chunks(load.postings(20_000, _ACCOUNTS), 500), 4)
        for _ in range(_ROUNDS):
            for name, accounts, batch, at_once, count in _CASES:
                batches = list(chunks(load.postings(count, accounts), batch))
                with meter.time(name, batch, count):
                    await _post(stub, batches, at_once)
        await _check(stub, load.team_id)
        return await pages.measure(postgres_dsn, stub, entries) if entries else {}


async def _post(
    stub: "pb_grpc.PointsServiceAsyncStub", batches: Iterable[list[posting_pb2.Posting]], at_once: int
) -> None:
    waiting = iter(batches)

    async def client() -> None:
        for batch in waiting:
            await stub.PostEntries(pb.PostEntriesRequest(postings=batch), timeout=_TIMEOUT_S)

    await asyncio.gather(*(client() for _ in range(at_once)))


async def _check(stub: "pb_grpc.PointsServiceAsyncStub", team_id: str) -> None:
    """A fast ledger that is wrong is no figure."""
    async for piece in stub.CheckLedger(pb.CheckLedgerRequest(team_id=team_id), timeout=_TIMEOUT_S):
        if piece.HasField("finding"):
            raise AssertionError(piece.finding)


async def measured(data_dir: str, entries: int) -> tuple[list[Figure], dict[str, float]]:
    """Figures of posting and milliseconds of pages, on servers of their own."""
    meter = Meter()
    servers = await start_embedded(data_dir)
    try:
        page_ms = await run(servers.postgres_dsn, servers.redis_url, servers.token, meter, entries)
    finally:
        await servers.stop()
    return meter.figures(), page_ms


async def alone() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-bench-") as data_dir:
        figures, _ = await measured(data_dir, 0)
    for figure in figures:
        print(
            f"{figure.name}, {figure.batch} a call: {figure.rate_per_s:,.0f}/s, {figure.client_us:.0f} µs of CPU each"
        )


if __name__ == "__main__":
    sys.exit(uvloop.run(alone()))
