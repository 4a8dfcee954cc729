"""Mistakes planted in use cases: a client of one team is shown nothing of another, and changes nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import msgspec
import pytest

from libs.common.callers import Caller
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.testing.clients import make_client
from libs.testing.fixtures import Database
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN
from omnijourney.segment.v1 import customer_pb2, segment_service_pb2_grpc
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.events import ReadEvent
from services.segment.domain.model import Event
from services.segment.servicer import history
from services.segment.usecases.customers import Customers
from tests.integration.segment.conftest import TIMEOUT_S, Segment

if TYPE_CHECKING:
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub


class Slips:
    """Use cases take another team than they are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, team_id: UUID, customer_id: UUID) -> None:
        get, page, update = Customers.get, Customers.page, Customers.update
        other = (team_id, customer_id)
        monkeypatch.setattr(Customers, "get", lambda self, _: get(self, other))
        monkeypatch.setattr(Customers, "page", lambda self, _, **rest: page(self, team_id, **rest))
        monkeypatch.setattr(
            Customers, "update", lambda self, once, _, etag, changes: update(self, once, other, etag, changes)
        )

        def moved(read: ReadEvent) -> ReadEvent:
            assert isinstance(read.event, Event)
            return read._replace(event=msgspec.structs.replace(read.event, team_id=team_id))

        monkeypatch.setattr(history, "_seen", moved)


@asynccontextmanager
async def client_of(segment: Segment, database: Database) -> AsyncIterator[SegmentServiceAsyncStub]:
    """A client of the team, known to the service."""
    token = await make_client(database, SCOPE_ADMIN, team_id=segment.team_id)
    async with channel(f"127.0.0.1:{segment.port}", token) as opened:
        stub = segment_service_pb2_grpc.SegmentServiceStub(opened)
        request = pb.GetTeamRequest(team_id=str(segment.team_id))
        async with asyncio.timeout(TIMEOUT_S):
            while await code_of(stub.GetTeam, request) is not grpc.StatusCode.OK:
                await asyncio.sleep(0.02)
        yield stub


async def code_of(call: Any, request: Any) -> grpc.StatusCode:
    try:
        await call(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def another_team(segment: Segment) -> tuple[UUID, UUID]:
    """A team and its customer."""
    team_id = new_id()
    await segment.create_team(team_id)
    request = pb.CreateCustomerRequest(
        team_id=str(team_id), request_id="1", customer=customer_pb2.Customer(name="Ann")
    )
    made = await segment.stub.CreateCustomer(request, timeout=TIMEOUT_S)
    return team_id, UUID(made.customer.customer_id)


def edit(segment: Segment, customer_id: str) -> pb.UpdateCustomerRequest:
    wanted = customer_pb2.Customer(customer_id=customer_id, name="Stolen")
    return pb.UpdateCustomerRequest(team_id=str(segment.team_id), request_id=str(new_id()), customer=wanted)


@pytest.mark.rule("X-02c")
async def test_a_use_case_that_takes_another_team_shows_and_changes_nothing(
    segment: Segment, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    team_id, customer_id = await another_team(segment)
    own = await segment.create(name="Bob")
    team = str(segment.team_id)
    event = segment.event("e-1", order_completed=segment.order("e-1", "o-1").order_completed)
    async with client_of(segment, database) as stub:
        with monkeypatch.context() as planted:
            Slips(planted, team_id, customer_id)
            for call, request in (
                (stub.GetCustomer, pb.GetCustomerRequest(team_id=team, customer_id=own)),
                (stub.ListCustomers, pb.ListCustomersRequest(team_id=team)),
                (stub.UpdateCustomer, edit(segment, own)),
                (stub.RecordEvents, pb.RecordEventsRequest(events=[event])),
            ):
                assert await code_of(call, request) is grpc.StatusCode.NOT_FOUND, request
            # Should the code's own check fail, too, the database still holds.
            planted.setattr(Caller, "require", lambda *_: None)
            answer = await stub.ListCustomers(pb.ListCustomersRequest(team_id=team), timeout=TIMEOUT_S)
            assert not answer.customers
            for call, request in (
                (stub.GetCustomer, pb.GetCustomerRequest(team_id=team, customer_id=own)),
                (stub.UpdateCustomer, edit(segment, own)),
            ):
                assert await code_of(call, request) is grpc.StatusCode.NOT_FOUND, request
    request = pb.GetCustomerRequest(team_id=str(team_id), customer_id=str(customer_id))
    assert (await segment.stub.GetCustomer(request, timeout=TIMEOUT_S)).customer.name == "Ann"
    assert "order_completed" not in await segment.fact_kinds()


async def test_without_a_slip_the_same_calls_work(segment: Segment, database: Database) -> None:
    own = await segment.create(name="Bob")
    team = str(segment.team_id)
    async with client_of(segment, database) as stub:
        answer = await stub.ListCustomers(pb.ListCustomersRequest(team_id=team), timeout=TIMEOUT_S)
        assert [customer.name for customer in answer.customers] == ["Bob"]
        assert await code_of(stub.UpdateCustomer, edit(segment, own)) is grpc.StatusCode.OK
        request = pb.GetCustomerRequest(team_id=team, customer_id=own)
        assert (await stub.GetCustomer(request, timeout=TIMEOUT_S)).customer.name == "Stolen"
        order = segment.order("e-1", "o-1", who={"customer_id": own})
        recorded = await stub.RecordEvents(pb.RecordEventsRequest(events=[order]), timeout=TIMEOUT_S)
        assert not recorded.results[0].reason
