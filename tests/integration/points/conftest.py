"""Points as a real service on a database of its own; every test ends with a clean check of the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.common.testing.fixtures import Database, Databases, Servers
from omnijourney.points.v1 import check_pb2, points_service_pb2, points_service_pb2_grpc, posting_pb2
from services.points.app import app
from services.points.config import Settings

if TYPE_CHECKING:
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub

TIMEOUT_S = 30.0


@dataclass
class Points:
    """A running service and a team of its own."""

    stub: PointsServiceAsyncStub
    clock: SteppedClock
    dsn: str
    admin_dsn: str
    team_id: UUID = field(default_factory=new_id)

    async def set_formula(self, amount: str = "10", points: str = "1", team_id: UUID | None = None) -> None:
        """Sets the earning formula."""
        request = points_service_pb2.SetEarningFormulaRequest(
            team_id=str(team_id or self.team_id), amount=amount, points=points
        )
        await self.stub.SetEarningFormula(request, timeout=TIMEOUT_S)

    async def post(self, *postings: posting_pb2.Posting) -> list[posting_pb2.PostingResult]:
        """Posts one batch."""
        request = points_service_pb2.PostEntriesRequest(postings=postings)
        return list((await self.stub.PostEntries(request, timeout=TIMEOUT_S)).results)

    async def balance(self, customer_id: UUID) -> tuple[int, int]:
        """Balance and cumulative."""
        request = points_service_pb2.GetBalanceRequest(
            team_id=str(self.team_id), customer_id=str(customer_id)
        )
        balance = (await self.stub.GetBalance(request, timeout=TIMEOUT_S)).balance
        return balance.balance, balance.cumulative

    async def check(self) -> tuple[list[check_pb2.Finding], check_pb2.CheckSummary]:
        """Checks the team's ledger."""
        findings, summary = [], check_pb2.CheckSummary()
        request = points_service_pb2.CheckLedgerRequest(team_id=str(self.team_id))
        async for piece in self.stub.CheckLedger(request, timeout=TIMEOUT_S):
            if piece.HasField("finding"):
                findings.append(piece.finding)
            else:
                summary = piece.summary
        return findings, summary

    async def corrupt(self, statement: str, *arguments: object) -> None:
        """Runs a statement as the database's owner with triggers off: what only a tamperer could do."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the schema of points."""
    async with databases.fresh({"points": "services.points"}) as database:
        yield database


@pytest.fixture
async def tampered(servers: Servers, database: Database) -> AsyncIterator[Points]:
    """Points whose ledger the test itself checks."""
    clock = SteppedClock()
    settings = servers.settings(Settings, database)
    async with app(settings, clock=clock) as serving, servers.channel(serving.port) as channel:
        stub = points_service_pb2_grpc.PointsServiceStub(channel)
        yield Points(stub, clock, database.dsn_of("points"), database.admin_dsn)


@pytest.fixture
async def points(tampered: Points) -> AsyncIterator[Points]:
    """Points whose ledger is checked in the end."""
    yield tampered
    findings, _ = await tampered.check()
    assert findings == []
