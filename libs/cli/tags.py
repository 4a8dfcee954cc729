"""`omnijourney tag …`: tags in use, renamed, merged, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from libs.cli.answers import tell
from libs.cli.console import EXIT_FAULT, complain
from libs.cli.journeys import Command
from libs.client import Client
from libs.client.long_work import ended
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

_TIMEOUT_S: Final = 30.0


def rename(team_id: str, tag: str, new_tag: str, *, merge: bool, as_json: bool = False) -> Command:
    """Renames a tag for everyone, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.RenameTagRequest(
            team_id=team_id, request_id=str(new_id()), tag=tag, new_tag=new_tag, merge=merge
        )
        started = await client.segment.RenameTag(request, timeout=_TIMEOUT_S)
        show_users(started.users, "still names the tag")
        return await wait(client, started.operation, as_json=as_json)

    return command


def delete(team_id: str, tag: str, *, force: bool, as_json: bool = False) -> Command:
    """Takes a tag from everyone, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.DeleteTagRequest(team_id=team_id, request_id=str(new_id()), tag=tag, force=force)
        started = await client.segment.DeleteTag(request, timeout=_TIMEOUT_S)
        show_users(started.users, "names the tag")
        return await wait(client, started.operation, as_json=as_json)

    return command


def show_users(users: Sequence[pb.ThingUser], how: str) -> None:
    """Says on the side what uses a thing; `how` it does, such as "names the tag"."""
    for each in users:
        kind = "journey" if each.journey_id else "saved audience"
        complain(f"{kind} {each.journey_id or each.saved_audience_id} {how}: {each.name}")


async def wait(client: Client, operation: operation_pb2.Operation, *, as_json: bool) -> int:
    """Until the operation has ended, which counts customers; the exit status."""
    found = await ended(client, "segment", operation)
    if found.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
        complain(found.error.message or operation_pb2.OperationState.Name(found.state))
        return EXIT_FAULT
    kept = f", of whom {found.refused_count:,} are as they were" if found.refused_count else ""
    tell(found, f"{found.done_count:,} customers{kept}", as_json=as_json)
    return 0
