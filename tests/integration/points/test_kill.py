"""Two processes of points, killed while clients post: everything is posted once, and as a model says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
import pytest

from libs.client.internal import Internal
from libs.common.ids import new_id
from libs.testing.fixtures import Database, Servers
from omnijourney.internal.v1 import ledger_service_pb2, postings_pb2
from omnijourney.points.v1 import check_pb2, points_service_pb2_grpc, posting_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import ledger as convert
from services.points.domain.earning import Formula
from services.points.domain.model import Posting
from tests.integration.points import build
from tests.integration.points.processes import Process
from tests.property.points.model import Model

if TYPE_CHECKING:
    from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub

KILLS = 3
CLIENTS = 4
UNIT = 1_000_000
POSTED = posting_pb2.POSTING_STATUS_POSTED


def some_of_everything(
    rng: random.Random, team: UUID, customers: Sequence[UUID]
) -> list[postings_pb2.Posting]:
    """Orders with their refunds, coupons, gifts and fees of journeys, changes by hand and by imports."""
    orders = [(new_id(), rng.choice(customers)) for _ in range(120)]
    postings = [build.earn(team, who, rng.randrange(1, 900) * UNIT, order_key=key) for key, who in orders]
    for key, who in orders:
        postings += [build.refund(team, who, rng.randrange(1, 500) * UNIT, order_key=key) for _ in range(2)]
    for _ in range(80):
        who, points = rng.choice(customers), rng.choice((-1, 1)) * rng.randrange(1, 50)
        lowers = rng.random() < 0.5
        postings += [
            build.coupon(team, who, abs(points)),
            build.journey(team, who, points, has_phone=rng.random() < 0.8),
            build.manual(team, who, points, deduct_cumulative=lowers),
            build.import_row(team, who, points, deduct_cumulative=lowers),
        ]
    return postings


class Caller:
    """Sends every posting, in an order of its own, and repeats what it had no answer to."""

    def __init__(self, ledger: LedgerServiceAsyncStub, answers: dict[str, posting_pb2.PostingResult]) -> None:
        self._ledger = ledger
        self._answers = answers

    async def send(self, postings: Iterable[postings_pb2.Posting], seed: int) -> None:
        mine = list(postings)
        random.Random(seed).shuffle(mine)
        for at in range(0, len(mine), 7):
            for result in await self._until_answered(mine[at : at + 7]):
                result.replayed = False
                assert self._answers.setdefault(result.key, result) == result

    async def _until_answered(self, batch: list[postings_pb2.Posting]) -> list[posting_pb2.PostingResult]:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                request = ledger_service_pb2.PostEntriesRequest(postings=batch)
                return list((await self._ledger.PostEntries(request, timeout=5)).results)
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def two_processes(
    servers: Servers, database: Database
) -> AsyncIterator[tuple[list[Process], list[PointsServiceAsyncStub], list[LedgerServiceAsyncStub]]]:
    """Both running, and a client of each."""
    async with contextlib.AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(Process.started(servers, database)) for _ in range(2)]
        channels = [await stack.enter_async_context(servers.channel(process.port)) for process in processes]
        stubs = [points_service_pb2_grpc.PointsServiceStub(channel) for channel in channels]
        yield processes, stubs, [Internal(channel).ledger for channel in channels]


async def findings(
    stub: PointsServiceAsyncStub, team: UUID
) -> tuple[list[check_pb2.Finding], check_pb2.CheckSummary]:
    request = pb.CheckLedgerRequest(team_id=str(team))
    *found, last = [piece async for piece in stub.CheckLedger(request, timeout=30, wait_for_ready=True)]
    return [piece.finding for piece in found], last.summary


def place(answer: posting_pb2.PostingResult) -> tuple[int, bool, bool]:
    """What changed nothing was decided after the entry that it names and before the next one; a refund that still
    waited for its order, before that order."""
    return (
        answer.sequence,
        answer.status != POSTED,
        answer.reason != posting_pb2.POSTING_REASON_ORDER_PENDING,
    )


def compare(
    postings: Sequence[postings_pb2.Posting], answers: dict[str, posting_pb2.PostingResult]
) -> dict[UUID, tuple[int, int]]:
    """Has the model take each customer's postings in the order that the sequences tell; figures in the end."""
    model = Model(Formula(10 * UNIT, UNIT))
    told = [(answers[each.key], posting) for each in postings for posting in convert.postings([each])]
    for answer, posting in sorted(told, key=lambda pair: place(pair[0])):
        assert isinstance(posting, Posting)
        assert model.take(posting) == (answer.status == POSTED)
        who = posting.customer_id
        assert (answer.balance, answer.cumulative) == (model.balance[who], model.cumulative[who])
    return {who: (model.balance[who], model.cumulative[who]) for who in model.balance}


@pytest.mark.rule("P-06b", "P-07b", "P-08a")
async def test_every_posting_is_made_once_as_the_model_says_whatever_is_killed(
    servers: Servers, database: Database
) -> None:
    rng, team = random.Random(11), new_id()
    customers = [new_id() for _ in range(25)]
    postings = some_of_everything(rng, team, customers)
    answers: dict[str, posting_pb2.PostingResult] = {}
    async with two_processes(servers, database) as (processes, stubs, ledgers):
        formula = pb.SetEarningFormulaRequest(
            request_id=str(new_id()), team_id=str(team), amount="10", points="1"
        )
        await stubs[0].SetEarningFormula(formula, timeout=30, wait_for_ready=True)
        callers = [Caller(ledgers[number % 2], answers) for number in range(CLIENTS)]
        clients = asyncio.gather(*(caller.send(postings, seed) for seed, caller in enumerate(callers)))
        for kill in range(1, KILLS + 1):
            while len(answers) < kill * len(postings) // (KILLS + 2) and not clients.done():
                await asyncio.sleep(0.005)
            await processes[kill % 2].restart(signal.SIGKILL)
        await clients
        found, summary = await findings(stubs[0], team)
        asked = [pb.BalanceQuery(team_id=str(team), customer_id=str(who)) for who in customers]
        request = pb.BatchGetBalancesRequest(items=asked)
        told = (await stubs[1].BatchGetBalances(request, timeout=30, wait_for_ready=True)).balances
    assert found == []
    assert summary.outcomes == len(postings) == len(answers)
    assert summary.entries == sum(result.status == POSTED for result in answers.values())
    model = compare(postings, answers)
    assert [(each.balance, each.cumulative) for each in told] == [model.get(who, (0, 0)) for who in customers]
