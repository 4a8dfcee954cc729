"""Points as a real service on a database of its own; every test ends with a clean check of the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.testing.fixtures import Database, Databases, Servers
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import ledger_service_pb2, postings_pb2
from omnijourney.points.v1 import check_pb2, points_service_pb2, points_service_pb2_grpc, posting_pb2
from omnijourney.segment.v1 import customer_pb2, segment_service_pb2, segment_service_pb2_grpc, team_pb2
from services.points.app import app
from services.points.config import Settings
from services.segment.app import app as segment_app
from services.segment.config import Settings as SegmentSettings

if TYPE_CHECKING:
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

TIMEOUT_S = 30.0
NOWHERE = "127.0.0.1:1"
"""Where no segment listens: the ledger does without it."""


@dataclass
class Points:
    """A running service and a team of its own."""

    stub: PointsServiceAsyncStub
    internal: Internal
    clock: SteppedClock
    dsn: str
    admin_dsn: str
    team_id: UUID = field(default_factory=new_id)

    async def set_formula(self, amount: str = "10", points: str = "1", team_id: UUID | None = None) -> None:
        """Sets the earning formula."""
        request = points_service_pb2.SetEarningFormulaRequest(
            team_id=str(team_id or self.team_id), request_id=str(new_id()), amount=amount, points=points
        )
        await self.stub.SetEarningFormula(request, timeout=TIMEOUT_S)

    async def post(self, *postings: postings_pb2.Posting) -> list[posting_pb2.PostingResult]:
        """Posts one batch."""
        request = ledger_service_pb2.PostEntriesRequest(postings=postings)
        return list((await self.internal.ledger.PostEntries(request, timeout=TIMEOUT_S)).results)

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


@dataclass
class Neighboured(Points):
    """The same with segment beside it, where the team is known."""

    segment: SegmentServiceAsyncStub = None  # type: ignore[assignment]  # always given; the base has defaults
    targets: dict[str, str] = field(default_factory=dict)
    """Where both listen, by service."""

    async def customer(self, *, whatsapp: bool = True, **fields: Any) -> UUID:
        """A new customer in segment, a WhatsApp contact unless told otherwise."""
        customer = customer_pb2.Customer(customer_id=str(new_id()), **fields)
        if whatsapp:
            key = customer_pb2.IdentityKey(
                channel=channel_pb2.CHANNEL_WHATSAPP,
                account_id=str(WHATSAPP),
                external_id=str(1 + UUID(customer.customer_id).int % 10**18),
            )
            customer.identities.add(key=key)
        request = segment_service_pb2.CreateCustomerRequest(
            team_id=str(self.team_id), request_id=str(new_id()), customer=customer
        )
        return UUID((await self.segment.CreateCustomer(request, timeout=TIMEOUT_S)).customer.customer_id)

    async def create_team(self, time_zone: str) -> None:
        """Makes the team known to segment, with the module POINTS."""
        settings = team_pb2.TeamSettings(
            time_zone=time_zone, currency_code="HKD", modules=[team_pb2.MODULE_POINTS]
        )
        team = team_pb2.Team(team_id=str(self.team_id), name="Team", settings=settings)
        request = segment_service_pb2.CreateTeamRequest(request_id=str(new_id()), team=team)
        await self.segment.CreateTeam(request, timeout=TIMEOUT_S)

    async def open_points(self, *channels: int) -> None:
        """Opens coupons and points variables to these channels and no others."""
        await self._set("points_channels", channels)

    async def set_modules(self, *modules: int) -> None:
        """Gives the team these modules and no others."""
        await self._set("modules", modules)

    async def _set(self, name: str, numbers: Sequence[int]) -> None:
        team = team_pb2.Team()
        getattr(team.settings, name).extend(numbers)
        request = segment_service_pb2.UpdateTeamRequest(
            team_id=str(self.team_id), request_id=str(new_id()), team=team
        )
        request.update_mask.paths.append(f"settings.{name}")
        await self.segment.UpdateTeam(request, timeout=TIMEOUT_S)


WHATSAPP = new_id()


@dataclass
class Beside:
    """A database of both services, and segment running on it."""

    database: Database
    clock: SteppedClock
    segment_target: str
    segment: SegmentServiceAsyncStub

    async def neighboured(
        self, points_target: str, stub: PointsServiceAsyncStub, internal: Internal
    ) -> Neighboured:
        """Points that run beside it, and a team that segment knows."""
        found = Neighboured(
            stub,
            internal,
            self.clock,
            self.database.dsn_of("points"),
            self.database.admin_dsn,
            targets={"points": points_target, "segment": self.segment_target},
            segment=self.segment,
        )
        await found.create_team("Asia/Hong_Kong")
        return found


@pytest.fixture
async def beside(servers: Servers, databases: Databases) -> AsyncIterator[Beside]:
    """Segment alone."""
    clock = SteppedClock()
    async with contextlib.AsyncExitStack() as stack:
        packages = {"points": "services.points", "segment": "services.segment"}
        database = await stack.enter_async_context(databases.fresh(packages))
        other = await stack.enter_async_context(
            segment_app(servers.settings(SegmentSettings, database, points_target=NOWHERE), clock=clock)
        )
        channel = await stack.enter_async_context(servers.channel(other.port))
        stub = segment_service_pb2_grpc.SegmentServiceStub(channel)
        yield Beside(database, clock, f"127.0.0.1:{other.port}", stub)


@pytest.fixture
async def neighboured(servers: Servers, beside: Beside) -> AsyncIterator[Neighboured]:
    """Points and segment; the ledger is checked in the end."""
    settings = servers.settings(Settings, beside.database, segment_target=beside.segment_target)
    async with app(settings, clock=beside.clock) as serving, servers.channel(serving.port) as channel:
        stub = points_service_pb2_grpc.PointsServiceStub(channel)
        found = await beside.neighboured(f"127.0.0.1:{serving.port}", stub, Internal(channel))
        yield found
        findings, _ = await found.check()
        assert findings == []


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the schema of points."""
    async with databases.fresh({"points": "services.points"}) as database:
        yield database


@pytest.fixture
async def tampered(servers: Servers, database: Database) -> AsyncIterator[Points]:
    """Points whose ledger the test itself checks."""
    clock = SteppedClock()
    settings = servers.settings(Settings, database, segment_target=NOWHERE)
    async with app(settings, clock=clock) as serving, servers.channel(serving.port) as channel:
        stub = points_service_pb2_grpc.PointsServiceStub(channel)
        yield Points(stub, Internal(channel), clock, database.dsn_of("points"), database.admin_dsn)


@pytest.fixture
async def points(tampered: Points) -> AsyncIterator[Points]:
    """Points whose ledger is checked in the end."""
    yield tampered
    findings, _ = await tampered.check()
    assert findings == []
