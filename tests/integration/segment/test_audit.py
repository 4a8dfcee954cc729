"""The audit log as it is listed: by team, newest first, with what was before and after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from pydantic import SecretStr

from libs.cli.audit import export_audit
from libs.client import ClientSettings
from libs.common.ids import new_id
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1 import attribute_pb2, customer_pb2, event_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.integration.segment.conftest import TIMEOUT_S, Segment
from tests.integration.segment.test_api_clients import caller, make, reason_of, until

if TYPE_CHECKING:
    from libs.testing.fixtures import Servers


async def _listed(segment: Segment, **fields: Any) -> list[Any]:
    return list((await segment.call("ListAuditEntries", **fields)).audit_entries)


def _method(name: str) -> str:
    return f"omnijourney.segment.v1.SegmentService/{name}"


@pytest.mark.rule("X-02d")
async def test_a_teams_log_says_who_changed_what(segment: Segment) -> None:
    made = await make(segment, "CRM of Ann", SCOPE_WRITE)
    await until(segment, made.token, grpc.StatusCode.OK)
    async with caller(segment, made.token) as stub:
        team_id = str(segment.team_id)
        wanted = attribute_pb2.Attribute(
            key="size", display_name="Size", type=attribute_pb2.ATTRIBUTE_TYPE_TEXT
        )
        created = await stub.CreateAttribute(
            pb.CreateAttributeRequest(team_id=team_id, request_id="a1", attribute=wanted), timeout=TIMEOUT_S
        )
        wanted.display_name = "Shoe size"
        update = pb.UpdateAttributeRequest(team_id=team_id, request_id="a2", attribute=wanted)
        await stub.UpdateAttribute(update, timeout=TIMEOUT_S)
        await stub.UpdateAttribute(update, timeout=TIMEOUT_S)
    newest, older, client = await _listed(segment)
    assert [newest.method, older.method] == [_method("UpdateAttribute"), _method("CreateAttribute")]
    assert (newest.actor, newest.api_client_id) == ("CRM of Ann", made.api_client.api_client_id)
    assert (newest.resource_type, newest.resource_id, newest.request_id) == ("Attribute", "size", "a2")
    assert list(newest.fields) == ["display_name"]
    assert json.loads(newest.before_json)["display_name"] == "Size"
    assert json.loads(newest.after_json)["display_name"] == "Shoe size"
    assert (older.before_json, json.loads(older.after_json)["display_name"]) == (
        "",
        created.attribute.display_name,
    )
    assert (client.resource_type, client.method) == ("ApiClient", _method("CreateApiClient"))
    assert made.token not in str(client)


@pytest.mark.rule("X-02b")
async def test_an_event_of_another_team_is_refused_alone_and_is_in_nobodys_log(segment: Segment) -> None:
    other = new_id()
    await segment.create_team(other)
    made = await make(segment, "CRM of Ann", SCOPE_WRITE)
    await until(segment, made.token, grpc.StatusCode.OK)
    own = segment.order("own", "o1", who={"member_id": "1"})
    foreign = segment.order("foreign", "o2", who={"member_id": "1"}, team_id=str(other))
    async with caller(segment, made.token) as stub:
        request = pb.RecordEventsRequest(events=[foreign, own])
        results = (await stub.RecordEvents(request, timeout=TIMEOUT_S)).results
    assert results[0].reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    assert results[1].status == event_pb2.EVENT_STATUS_ACCEPTED
    entries = [entry for entry in await _listed(segment) if entry.method == _method("RecordEvents")]
    assert [entry.actor for entry in entries] == ["CRM of Ann"]
    answer = await segment.stub.ListAuditEntries(
        pb.ListAuditEntriesRequest(team_id=str(other)), timeout=TIMEOUT_S
    )
    assert [entry.method for entry in answer.audit_entries if entry.actor == "CRM of Ann"] == []


async def test_changes_of_customers_and_teams_show_what_was_before(segment: Segment) -> None:
    customer_id = await segment.create(name="Ann", phone="+886912345678")
    changed = customer_pb2.Customer(customer_id=customer_id, name="Anna")
    await segment.call("UpdateCustomer", customer=changed, update_mask={"paths": ["name"]})
    (entry, _) = await _listed(segment, resource_type="Customer", resource_id=customer_id)
    assert (json.loads(entry.before_json)["name"], json.loads(entry.after_json)["name"]) == ("Ann", "Anna")
    assert list(entry.fields) == ["name"]
    await segment.call("UpdateTeam", team=team_pb2.Team(name="Other"), update_mask={"paths": ["name"]})
    (entry,) = await _listed(segment, resource_type="Team")
    assert json.loads(entry.before_json)["name"] == "Team"


async def test_the_log_is_read_in_pages_and_by_filters(segment: Segment) -> None:
    for number in range(5):
        await segment.define(f"a{number}", "TEXT")
    answer = await segment.call("ListAuditEntries", page_size=2, resource_type="Attribute")
    seen = [entry.resource_id for entry in answer.audit_entries]
    while answer.next_page_token:
        answer = await segment.call(
            "ListAuditEntries", page_size=2, resource_type="Attribute", page_token=answer.next_page_token
        )
        seen += [entry.resource_id for entry in answer.audit_entries]
    assert seen == ["a4", "a3", "a2", "a1", "a0"]
    assert await _listed(segment, actor="nobody") == []
    (entry,) = await _listed(segment, resource_type="Attribute", resource_id="a3")
    assert await _listed(segment, end_time=entry.change_time, resource_id="a3") == []
    assert await _listed(segment, start_time=entry.change_time, resource_id="a3") == [entry]


async def test_events_of_a_client_are_one_entry_with_counts(segment: Segment) -> None:
    await segment.record(segment.order("m1", "o1"), segment.order("m1", "o2"))
    entries = [entry for entry in await _listed(segment) if entry.method == _method("RecordEvents")]
    assert [json.loads(entry.after_json)["request"] for entry in entries] == [{"events": 2}]


async def test_changes_of_no_team_are_for_clients_of_the_installation(segment: Segment) -> None:
    other = new_id()
    await segment.create_team(other)
    newest = (await _listed(segment, team_id=""))[0]
    assert (newest.method, newest.resource_id) == (_method("CreateTeam"), str(other))
    made = await make(segment, "Admin", SCOPE_ADMIN)
    await until(segment, made.token, grpc.StatusCode.OK)
    async with caller(segment, made.token) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListAuditEntries(pb.ListAuditEntriesRequest(), timeout=TIMEOUT_S)
        assert reason_of(refused.value) == "INSTALLATION_ONLY"
        request = pb.ListAuditEntriesRequest(team_id=str(other))
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.ListAuditEntries(request, timeout=TIMEOUT_S)
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    reader = await make(segment, "Reader", SCOPE_READ)
    await until(segment, reader.token, grpc.StatusCode.OK)
    async with caller(segment, reader.token) as stub:
        request = pb.ListAuditEntriesRequest(team_id=str(segment.team_id))
        with pytest.raises(grpc.aio.AioRpcError) as denied:
            await stub.ListAuditEntries(request, timeout=TIMEOUT_S)
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_log_is_exported_as_lines_of_json(
    segment: Segment, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        await segment.define(f"a{number}", "TEXT")
    settings = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    capsys.readouterr()
    assert await export_audit(settings, str(segment.team_id), None, None) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["resource_id"] for line in lines] == ["a2", "a1", "a0"]
    assert await export_audit(settings, str(new_id()), None, None) == 1
