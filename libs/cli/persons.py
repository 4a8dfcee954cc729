"""`omnijourney customer export|erase`: all that is held of a person, and the end of it."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from libs.cli.answers import tell
from libs.cli.journeys import Command
from libs.client import Client
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import segment_service_pb2 as pb

_TIMEOUT_S: Final = 30.0
_EXPORT_TIMEOUT_S: Final = 3_600.0
_WAIT_S: Final = 5


def export_person(team_id: str, customer_id: str) -> Command:
    """Writes all that is held of a person, a JSON object a line."""

    async def command(client: Client) -> int:
        request = pb.ExportPersonRequest(team_id=team_id, customer_id=customer_id)
        async for part in client.segment.ExportPerson(request, timeout=_EXPORT_TIMEOUT_S):
            sys.stdout.write(part.content)
        return 0

    return command


def erase_person(team_id: str, customer_id: str, *, follow: bool, as_json: bool = False) -> Command:
    """Starts to erase a person, and says how far it is until it is done; without `follow` says the operation."""

    async def command(client: Client) -> int:
        request = pb.StartErasureRequest(team_id=team_id, request_id=str(new_id()), customer_id=customer_id)
        found = (await client.segment.StartErasure(request, timeout=_TIMEOUT_S)).operation
        if not follow:
            tell(found, found.operation_id, as_json=as_json)
            return 0
        waiting = operations.WaitOperationRequest(team_id=team_id, operation_id=found.operation_id)
        waiting.wait.seconds = _WAIT_S
        while found.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
            line = f"{found.operation_id}  step {found.done_count + 1} of {found.total_count}"
            tell(found, line, as_json=as_json)
            stub = client.operations("segment")
            found = (await stub.WaitOperation(waiting, timeout=_TIMEOUT_S)).operation
            await asyncio.sleep(0)
        tell(found, f"{found.operation_id}  erased", as_json=as_json)
        return 0

    return command
