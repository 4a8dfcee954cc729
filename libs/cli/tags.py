"""`omnijourney tag …`: tags in use, renamed, merged, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.journeys import Command
from libs.client import Client
from libs.client.long_work import ended
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

_TIMEOUT_S: Final = 30.0


def rename(team_id: str, tag: str, new_tag: str, *, merge: bool) -> Command:
    """Renames a tag for everyone, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.RenameTagRequest(
            team_id=team_id, request_id=str(new_id()), tag=tag, new_tag=new_tag, merge=merge
        )
        started = await client.segment.RenameTag(request, timeout=_TIMEOUT_S)
        _show_users(started.users, "still names")
        return await _wait(client, started.operation)

    return command


def delete(team_id: str, tag: str, *, force: bool) -> Command:
    """Takes a tag from everyone, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.DeleteTagRequest(team_id=team_id, request_id=str(new_id()), tag=tag, force=force)
        started = await client.segment.DeleteTag(request, timeout=_TIMEOUT_S)
        _show_users(started.users, "names")
        return await _wait(client, started.operation)

    return command


def _show_users(users: Sequence[pb.ThingUser], verb: str) -> None:
    for each in users:
        kind = "journey" if each.journey_id else "saved audience"
        complain(f"{kind} {each.journey_id or each.saved_audience_id} {verb} the tag: {each.name}")


async def _wait(client: Client, operation: operation_pb2.Operation) -> int:
    found = await ended(client, "segment", operation)
    if found.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
        complain(found.error.message or operation_pb2.OperationState.Name(found.state))
        return EXIT_FAULT
    say(f"{found.done_count:,} customers")
    return 0
