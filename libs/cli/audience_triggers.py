"""`omnijourney journey trigger|triggered …`: saved audiences that enrol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from libs.cli.answers import tell
from libs.cli.console import EXIT_FAULT
from libs.cli.journeys import Command, NoSuch, id_of
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from omnijourney.common.v1 import error_reason_pb2, operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.journey.v1 import audience_trigger_pb2, explain_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.segment.v1 import segment_service_pb2 as segment

_TIMEOUT_S: Final = 30.0
_LOOK_EVERY_S: Final = 1.0

Change = Callable[[Client, str, str], Awaitable[object]]
"""Given client, team and operation."""


def trigger(
    team_id: str, name: str, audience: str, *, rate: int, follow: bool, as_json: bool = False
) -> Command:
    """Enrols everyone in a saved audience; with `follow` shows how far it is until it has ended."""

    async def command(client: Client) -> int:
        request = pb.TriggerAudienceRequest(
            team_id=team_id,
            request_id=str(new_id()),
            journey_id=await id_of(client, team_id, name),
            audience_id=await _audience_of(client, team_id, audience),
            customers_per_second=rate,
        )
        answer = await client.journey.TriggerAudience(request, timeout=_TIMEOUT_S)
        operation_id = answer.operation.operation_id
        if not follow:
            tell(answer.operation, operation_id, as_json=as_json)
            return 0
        return await _follow(client, team_id, operation_id, as_json=as_json)

    return command


def triggered(
    team_id: str, operation_id: str, change: Change | None, *, follow: bool, as_json: bool = False
) -> Command:
    """Shows how far one is, after it was paused, resumed or cancelled where that is asked for."""

    async def command(client: Client) -> int:
        if change is not None:
            await change(client, team_id, operation_id)
        if follow:
            return await _follow(client, team_id, operation_id, as_json=as_json)
        found = await _read(client, team_id, operation_id)
        tell(found, _line(found), as_json=as_json)
        return 0

    return command


async def pause(client: Client, team_id: str, operation_id: str) -> object:
    """Holds one."""
    request = operations.PauseOperationRequest(
        team_id=team_id, request_id=str(new_id()), operation_id=operation_id
    )
    return await client.operations("journey").PauseOperation(request, timeout=_TIMEOUT_S)


async def resume(client: Client, team_id: str, operation_id: str) -> object:
    """Lets one go on."""
    request = operations.ResumeOperationRequest(
        team_id=team_id, request_id=str(new_id()), operation_id=operation_id
    )
    return await client.operations("journey").ResumeOperation(request, timeout=_TIMEOUT_S)


async def cancel(client: Client, team_id: str, operation_id: str) -> object:
    """Ends one early."""
    request = operations.CancelOperationRequest(
        team_id=team_id, request_id=str(new_id()), operation_id=operation_id
    )
    return await client.operations("journey").CancelOperation(request, timeout=_TIMEOUT_S)


async def _audience_of(client: Client, team_id: str, name: str) -> str:
    """A saved audience by its id or its name, of which there is one. Raises NoSuch."""
    try:
        return str(UUID(name))
    except ValueError:
        pass
    request = segment.ListSavedAudiencesRequest(team_id=team_id, page_size=100)
    listed = items(client.segment.ListSavedAudiences, request, "saved_audiences", timeout_s=_TIMEOUT_S)
    async for each in listed:
        if each.name == name:
            return str(each.saved_audience_id)
    raise NoSuch(f"there is no saved audience {name!r}")


async def _read(client: Client, team_id: str, operation_id: str) -> audience_trigger_pb2.AudienceTrigger:
    request = pb.GetAudienceTriggerRequest(team_id=team_id, operation_id=operation_id)
    return (await client.journey.GetAudienceTrigger(request, timeout=_TIMEOUT_S)).audience_trigger


async def _follow(client: Client, team_id: str, operation_id: str, *, as_json: bool) -> int:
    """Shows each change until it has ended; the exit code says whether everybody was triggered."""
    shown = None
    while True:
        found = await _read(client, team_id, operation_id)
        if found != shown:
            tell(found, _line(found), as_json=as_json)
            shown = found
        if found.operation.HasField("end_time"):
            return 0 if found.operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED else EXIT_FAULT
        await asyncio.sleep(_LOOK_EVERY_S)


def _line(found: audience_trigger_pb2.AudienceTrigger) -> str:
    operation = found.operation
    state = operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
    of = str(found.found_count) if found.found_all else f"{found.found_count} found so far"
    counts = ", ".join(f"{each.customer_count} {_outcome(each)}" for each in found.counts)
    why = f"  {operation.error.message}" if operation.HasField("error") else ""
    return (
        f"{operation.operation_id}  {state:9}  {found.triggered_count} triggered of {of}"
        + (f"  ({counts})" if counts else "")
        + why
    )


def _outcome(count: audience_trigger_pb2.AudienceTriggerCount) -> str:
    if count.reason:
        name = error_reason_pb2.ErrorReason.Name(count.reason).removeprefix("ERROR_REASON_")
    else:
        name = explain_pb2.EntryResult.Name(count.result).removeprefix("ENTRY_RESULT_")
    return str(name)
