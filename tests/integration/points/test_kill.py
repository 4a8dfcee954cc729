"""Points killed while clients post: they repeat until answered, and everything is posted once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.testing.fixtures import Database, Servers
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import points_service_pb2_grpc, posting_pb2
from tests.integration.points import build
from tools.paths import ROOT

KILLS = 3
CLIENTS = 4
UNIT = 1_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start(servers: Servers, database: Database, port: int) -> asyncio.subprocess.Process:
    own = {
        "OMNIJOURNEY_POSTGRES_DSN": database.admin_dsn,
        "OMNIJOURNEY_REDIS_URL": servers.redis_url,
        "OMNIJOURNEY_TOKEN": servers.token,
        "OMNIJOURNEY_POINTS_PORT": str(port),
        "OMNIJOURNEY_POINTS_METRICS_PORT": "0",
        "OMNIJOURNEY_LOG_LEVEL": "warning",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.points", cwd=ROOT, env={**os.environ, **own}
    )


@pytest.mark.rule("P-07", "P-08")
async def test_every_posting_is_made_once_whatever_is_killed(servers: Servers, database: Database) -> None:
    rng, team = random.Random(11), new_id()
    customers = [new_id() for _ in range(30)]
    orders = [(new_id(), rng.choice(customers)) for _ in range(150)]
    postings = [build.earn(team, who, rng.randrange(1, 900) * UNIT, order_key=key) for key, who in orders]
    postings += [build.refund(team, who, rng.randrange(1, 500) * UNIT, order_key=key) for key, who in orders]
    postings += [build.coupon(team, rng.choice(customers), rng.randrange(1, 50)) for _ in range(150)]
    answers: dict[str, posting_pb2.PostingResult] = {}
    port = free_port()

    async with servers.channel(port) as channel:
        stub = points_service_pb2_grpc.PointsServiceStub(channel)

        async def until_answered(batch: list[posting_pb2.Posting]) -> list[posting_pb2.PostingResult]:
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    return list(
                        (await stub.PostEntries(pb.PostEntriesRequest(postings=batch), timeout=5)).results
                    )
                await asyncio.sleep(0.05)

        async def client(seed: int) -> None:
            """Sends every posting, in an order of its own, and checks what the others were answered."""
            mine = postings[:]
            random.Random(seed).shuffle(mine)
            for at in range(0, len(mine), 7):
                for result in await until_answered(mine[at : at + 7]):
                    result.replayed = False
                    assert answers.setdefault(result.key, result) == result

        process = await start(servers, database, port)
        try:
            request = pb.SetEarningFormulaRequest(team_id=str(team), amount="10", points="1")
            await stub.SetEarningFormula(request, timeout=30, wait_for_ready=True)
            clients = asyncio.gather(*(client(seed) for seed in range(CLIENTS)))
            for kill in range(1, KILLS + 1):
                while len(answers) < kill * 80 and not clients.done():
                    await asyncio.sleep(0.005)
                process.send_signal(signal.SIGKILL)
                await process.wait()
                process = await start(servers, database, port)
            await clients
            pieces = [
                piece
                async for piece in stub.CheckLedger(pb.CheckLedgerRequest(team_id=str(team)), timeout=30)
            ]
        finally:
            process.terminate()
            await process.wait()
    assert [piece.WhichOneof("item") for piece in pieces] == ["summary"]
    assert pieces[0].summary.outcomes == len(postings) == len(answers)
    posted = [result for result in answers.values() if result.status == posting_pb2.POSTING_STATUS_POSTED]
    assert pieces[0].summary.entries == len(posted)
