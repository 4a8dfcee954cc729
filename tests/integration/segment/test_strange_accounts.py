"""Identities of channel accounts that the team has not: clients of the API are told that there are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import pytest

from libs.common.callers import ALL_BUT_INTERNAL
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.errors import remote_error
from libs.testing.clients import make_account, make_client
from libs.testing.fixtures import Database
from omnijourney.common.v1 import channel_pb2, error_reason_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2, segment_service_pb2_grpc
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.integration.segment.conftest import ACCOUNT, TIMEOUT_S, Segment, identity

if TYPE_CHECKING:
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

LINE, WHATSAPP = channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP
NOT_FOUND = error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND


@asynccontextmanager
async def client_of(
    segment: Segment, database: Database, team_id: UUID | None = None
) -> AsyncIterator[SegmentServiceAsyncStub]:
    """A client of the team or of the installation, known to the service. The team has the account ACCOUNT."""
    await make_account(database, segment.team_id, ACCOUNT)
    token = await make_client(database, *ALL_BUT_INTERNAL, team_id=team_id)
    async with channel(f"127.0.0.1:{segment.port}", token) as opened:
        stub = segment_service_pb2_grpc.SegmentServiceStub(opened)
        async with asyncio.timeout(TIMEOUT_S):
            while await refusal(stub.ListTags, pb.ListTagsRequest(team_id=str(segment.team_id))):
                await asyncio.sleep(0.02)
        yield stub


async def refusal(call: Any, request: Any) -> tuple[str, str]:
    """Reason and id of what is not there; empty for a call that is answered."""
    try:
        await call(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        answer = remote_error(error)
        return answer.reason, answer.metadata.get("id", "")
    return ()  # type: ignore[return-value]  # false, and equal to no refusal


async def fault(call: Any, request: Any) -> Any:
    """What a call is refused for."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(request, timeout=TIMEOUT_S)
    return remote_error(refused.value)


@pytest.fixture
async def strangers(segment: Segment, database: Database) -> list[str]:
    """An account of another team, and one of nobody."""
    other, foreign = new_id(), str(new_id())
    await segment.create_team(other)
    await make_account(database, other, foreign)
    return [foreign, str(new_id())]


def customer(member_id: str, account_id: str, external_id: str) -> customer_pb2.Customer:
    key = identity(external_id, account_id=account_id)
    return customer_pb2.Customer(member_id=member_id, identities=[customer_pb2.Identity(key=key)])


@pytest.mark.parametrize("of_team", [True, False])
async def test_no_identity_is_bound_to_an_account_that_the_team_has_not(
    segment: Segment, database: Database, strangers: list[str], of_team: bool
) -> None:
    known = await segment.create(member_id="known")
    team: dict[str, Any] = {"team_id": str(segment.team_id)}
    async with client_of(segment, database, segment.team_id if of_team else None) as stub:
        for account in strangers:
            key, none = identity("1", account_id=account), ("RESOURCE_NOT_FOUND", account)
            binding = pb.BindIdentityRequest(**team, request_id="bind", customer_id=known, identity=key)
            assert await refusal(stub.BindIdentity, binding) == none
            new = pb.CreateCustomerRequest(
                **team, request_id="create", customer=customer("new", account, "1")
            )
            assert await refusal(stub.CreateCustomer, new) == none
            for member in ("new", "known"):
                upsert = pb.UpsertCustomerRequest(
                    **team, request_id="upsert", customer=customer(member, account, "1")
                )
                assert await refusal(stub.UpsertCustomer, upsert) == none
        own = pb.BindIdentityRequest(**team, request_id="bind", customer_id=known, identity=identity("1"))
        assert not await refusal(stub.BindIdentity, own)
    assert [each.key.account_id for each in (await segment.customer(known)).identities] == [ACCOUNT]


async def test_in_batches_each_has_its_own_result(
    segment: Segment, database: Database, strangers: list[str]
) -> None:
    known = await segment.create(member_id="known")
    accounts = [strangers[0], ACCOUNT, strangers[1]]
    async with client_of(segment, database) as stub:
        bindings = [
            pb.Binding(customer_id=known, identity=identity("1", account_id=each)) for each in accounts
        ]
        many = pb.BatchBindIdentitiesRequest(
            team_id=str(segment.team_id), request_id="bind", bindings=bindings
        )
        bound = (await stub.BatchBindIdentities(many, timeout=TIMEOUT_S)).results
        assert [(each.bound, each.reason) for each in bound] == [
            (False, NOT_FOUND),
            (True, 0),
            (False, NOT_FOUND),
        ]
        customers = [customer(str(number), each, f"2{number}") for number, each in enumerate(accounts)]
        new = pb.BatchCreateCustomersRequest(
            team_id=str(segment.team_id), request_id="create", customers=customers
        )
        created = (await stub.BatchCreateCustomers(new, timeout=TIMEOUT_S)).results
        assert [bool(each.customer_id) for each in created] == [False, True, False]
        assert strangers[0] in created[0].message


async def test_events_of_accounts_that_the_team_has_not_are_refused_alone(
    segment: Segment, database: Database, strangers: list[str]
) -> None:
    def joined(key: str, account: str) -> event_pb2.CustomerEvent:
        added = event_pb2.ContactAdded(identity=identity(key, account_id=account))
        return segment.event(key, contact_added=added)

    hint = {"identity": identity("5", account_id=strangers[0])}
    wrote = event_pb2.MessageReceived(identity=identity("6", account_id=strangers[0]))
    events = [
        joined("1", strangers[0]),
        joined("2", ACCOUNT),
        joined("3", strangers[1]),
        segment.event("4", customer_interacted=event_pb2.CustomerInteracted(), who=hint),
        segment.event("5", message_received=wrote),
    ]
    async with client_of(segment, database) as stub:
        results = (await stub.RecordEvents(pb.RecordEventsRequest(events=events), timeout=TIMEOUT_S)).results
    refused, accepted = event_pb2.EVENT_STATUS_REFUSED, event_pb2.EVENT_STATUS_ACCEPTED
    assert [each.status for each in results] == [refused, accepted, refused, refused, refused]
    assert {each.reason for each in results if each.status == refused} == {NOT_FOUND}
    assert strangers[1] in results[2].message


async def test_no_identity_is_of_another_channel_than_its_account(
    segment: Segment, database: Database
) -> None:
    line, user = str(new_id()), "U" + "0a" * 16
    await make_account(database, segment.team_id, line, channel=LINE)
    known = await segment.create(member_id="known")
    team: dict[str, Any] = {"team_id": str(segment.team_id)}
    wrong, right = identity("886912345678", account_id=line), identity(user, LINE, line)
    async with client_of(segment, database) as stub:
        binding = pb.BindIdentityRequest(**team, request_id="bind", customer_id=known, identity=wrong)
        refused = await fault(stub.BindIdentity, binding)
        assert (refused.violations[0].field, "LINE" in refused.violations[0].description) == (
            "identity.account_id",
            True,
        )
        new = pb.CreateCustomerRequest(**team, request_id="new", customer=customer("n", line, "886912345678"))
        refused = await fault(stub.CreateCustomer, new)
        assert [each.field for each in refused.violations] == ["customer.identities[0].key.account_id"]
        bindings = [pb.Binding(customer_id=known, identity=each) for each in (wrong, right)]
        many = pb.BatchBindIdentitiesRequest(**team, request_id="many", bindings=bindings)
        bound = (await stub.BatchBindIdentities(many, timeout=TIMEOUT_S)).results
        faulty = error_reason_pb2.ERROR_REASON_INVALID_FIELDS
        assert [(each.bound, each.reason) for each in bound] == [(False, faulty), (True, 0)]
        events = [
            segment.event("1", contact_added=event_pb2.ContactAdded(identity=wrong)),
            segment.event("2", message_received=event_pb2.MessageReceived(identity=right)),
            segment.event("3", customer_interacted=event_pb2.CustomerInteracted(), who={"identity": wrong}),
        ]
        asked = pb.RecordEventsRequest(events=events)
        results = (await stub.RecordEvents(asked, timeout=TIMEOUT_S)).results
        assert [each.reason for each in results] == [faulty, 0, faulty]
        assert line in results[0].message
        csv = pb.PreviewContactImportRequest(
            **team, csv=b"WhatsApp\n886912345678\n", channel=WHATSAPP, channel_account_id=line
        )
        refused = await fault(stub.PreviewContactImport, csv)
        assert [each.field for each in refused.violations] == ["channel_account_id"]
    assert [each.key for each in (await segment.customer(known)).identities] == [right]


async def test_what_was_bound_stays_when_its_account_is_gone(segment: Segment, database: Database) -> None:
    gone = str(new_id())
    known = await segment.create(member_id="known")
    await segment.call("BindIdentity", customer_id=known, identity=identity("1", account_id=gone))
    async with client_of(segment, database) as stub:
        again = pb.UpsertCustomerRequest(
            team_id=str(segment.team_id), request_id="again", customer=customer("known", gone, "1")
        )
        assert not await refusal(stub.UpsertCustomer, again)
        unbind = pb.UnbindIdentityRequest(
            team_id=str(segment.team_id),
            request_id="unbind",
            customer_id=known,
            identity=identity("1", account_id=gone),
        )
        assert not await refusal(stub.UnbindIdentity, unbind)
    assert not (await segment.customer(known)).identities
