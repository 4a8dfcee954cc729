"""The audit log's rows: written with the write, once, by those who may add and nothing else."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.audit import TEXT_BYTES_MAX, note_before
from libs.common.callers import Caller, calling
from libs.common.db.audit import AuditLog
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import answer_once
from libs.testing.clients import make_known
from libs.testing.fixtures import Database
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_INTERNAL
from omnijourney.segment.v1 import event_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

TEAM, OTHER, NO_TEAM = UUID(int=1), UUID(int=2), UUID(int=3)
ANN = Caller.of(UUID(int=9), "Ann's token", TEAM, [SCOPE_ADMIN])
SERVICE = Caller.of(UUID(int=8), "journey", None, [SCOPE_INTERNAL])


async def _entries(database: Database) -> list[Any]:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        return await connection.fetch("SELECT * FROM platform.audit_entry ORDER BY audit_entry_id")
    finally:
        await connection.close()


def _account(name: str, token: str = "") -> account_pb2.ChannelAccount:
    account = account_pb2.ChannelAccount(channel_account_id="a-1", display_name=name, etag=name)
    account.line.channel_id = "1"
    account.line.access_token = token
    return account


def _update(name: str, request_id: str = "r1") -> pb.UpdateChannelAccountRequest:
    return pb.UpdateChannelAccountRequest(
        team_id=str(TEAM), request_id=request_id, account=_account(name, "EAAG-secret")
    )


async def _rename(
    pool: Pool, request: pb.UpdateChannelAccountRequest, fault: Exception | None = None
) -> None:
    async def work(connection: Connection) -> pb.UpdateChannelAccountResponse:
        note_before(pb.UpdateChannelAccountResponse(account=_account("Old", "EAAG-older")))
        if fault is not None:
            raise fault
        return pb.UpdateChannelAccountResponse(account=_account(request.account.display_name))

    await answer_once(pool, TEAM, request, pb.UpdateChannelAccountResponse, work)


@pytest.mark.rule("X-02d")
async def test_a_write_says_who_changed_what_without_secrets(pool: Pool, database: Database) -> None:
    with calling(ANN):
        await _rename(pool, _update("New"))
        await _rename(pool, _update("New"))
    (entry,) = await _entries(database)
    assert (entry["team_id"], entry["actor"], entry["client_id"]) == (TEAM, "Ann's token", ANN.client_id)
    assert entry["method"] == "omnijourney.channel_gateway.v1.ChannelGatewayService/UpdateChannelAccount"
    assert (entry["request_id"], entry["resource_type"], entry["resource_id"]) == (
        "r1",
        "ChannelAccount",
        "a-1",
    )
    assert entry["fields"] == ["display_name", "line.access_token"]
    assert json.loads(entry["before"])["display_name"] == "Old"
    assert json.loads(entry["after"])["display_name"] == "New"
    assert "EAAG" not in str(dict(entry))
    assert not entry["cut"]


async def test_a_write_that_fails_leaves_no_entry(pool: Pool, database: Database) -> None:
    with calling(ANN), pytest.raises(ZeroDivisionError):
        await _rename(pool, _update("New"), ZeroDivisionError())
    assert await _entries(database) == []


async def test_what_goes_is_shown_as_it_was(pool: Pool, database: Database) -> None:
    async def delete(connection: Connection) -> pb.DeleteBotModuleResponse:
        note_before(content_pb2.BotModule(bot_module_id="m-1", name="x" * TEXT_BYTES_MAX))
        return pb.DeleteBotModuleResponse()

    request = pb.DeleteBotModuleRequest(team_id=str(TEAM), request_id="r1", bot_module_id="m-1")
    with calling(ANN):
        await answer_once(pool, TEAM, request, pb.DeleteBotModuleResponse, delete)
    (entry,) = await _entries(database)
    assert (entry["resource_type"], entry["resource_id"], entry["after"]) == ("BotModule", "m-1", "")
    assert (len(entry["before"]), entry["cut"]) == (TEXT_BYTES_MAX, True)


async def test_our_own_services_write_none_for_effects(pool: Pool, database: Database) -> None:
    with calling(SERVICE):
        await _rename(pool, _update("New"))
        await AuditLog(pool).note(segment.RecordEventsRequest(), segment.RecordEventsResponse())
    assert await _entries(database) == []


async def test_a_batch_has_one_entry_a_team_with_counts(pool: Pool, database: Database) -> None:
    for team in (TEAM, OTHER):
        await make_known(database, team)
    events = [event_pb2.CustomerEvent(team_id=str(team)) for team in (TEAM, TEAM, OTHER, NO_TEAM)]
    answer = segment.RecordEventsResponse()
    for status in (
        event_pb2.EVENT_STATUS_ACCEPTED,
        event_pb2.EVENT_STATUS_REFUSED,
        event_pb2.EVENT_STATUS_ACCEPTED,
        event_pb2.EVENT_STATUS_REFUSED,
    ):
        answer.results.add(status=status)
    installation = Caller.of(UUID(int=7), "shop sync", None, [SCOPE_ADMIN])
    with calling(installation):
        await AuditLog(pool).note(segment.RecordEventsRequest(events=events), answer)
    entries = await _entries(database)
    assert {entry["team_id"] for entry in entries} == {TEAM, OTHER}
    assert json.loads(entries[0]["after"]) == {
        "request": {"events": 4},
        "answer": {"results": {"EVENT_STATUS_ACCEPTED": 2, "EVENT_STATUS_REFUSED": 2}},
    }


async def test_a_batch_of_a_teams_client_leaves_an_entry_of_its_team_alone(
    pool: Pool, database: Database
) -> None:
    for team in (TEAM, OTHER):
        await make_known(database, team)
    events = [event_pb2.CustomerEvent(team_id=str(team)) for team in (OTHER, TEAM)]
    with calling(ANN):
        await AuditLog(pool).note(segment.RecordEventsRequest(events=events), segment.RecordEventsResponse())
        await AuditLog(pool).note(
            segment.RecordEventsRequest(events=events[:1]), segment.RecordEventsResponse()
        )
    (entry,) = await _entries(database)
    assert (entry["team_id"], entry["actor"], entry["cut"]) == (TEAM, "Ann's token", False)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE platform.audit_entry SET actor = 'nobody'",
        "DELETE FROM platform.audit_entry",
        "TRUNCATE platform.audit_entry",
        "SELECT * FROM platform.audit_entry",
        "SELECT platform.forget_audit_entries(now(), 1)",
    ],
)
async def test_a_service_can_only_add(pool: Pool, statement: str) -> None:
    with calling(ANN):
        await _rename(pool, _update("New"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
