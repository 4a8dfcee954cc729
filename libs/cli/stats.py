"""`omnijourney stats`: figures checked against the records that they count, and counted anew."""

from __future__ import annotations

import grpc

from libs.cli.answers import json_of, tell
from libs.cli.console import EXIT_FAULT, complain, refused, say
from libs.cli.progress import progress
from libs.client import Client, ClientSettings
from libs.client.long_work import ended
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb

CHECK_TIMEOUT_S = 600.0
_TIMEOUT_S = 30.0


async def rebuild_figures(settings: ClientSettings, team_id: str, *, as_json: bool = False) -> int:
    """Counts a team's figures, or (empty) all, anew, and waits for the end. Returns the exit code."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            return await _rebuild(client, team_id, as_json=as_json)
        except grpc.aio.AioRpcError as error:
            return refused(error)


async def _rebuild(client: Client, team_id: str, *, as_json: bool) -> int:
    request = pb.StartRebuildRequest(team_id=team_id, request_id=str(new_id()))
    started = (await client.stats.StartRebuild(request, timeout=_TIMEOUT_S)).operation
    name = f"rebuild {started.operation_id}"
    with progress("rows", started.total_count) as at:
        found = await ended(client, "stats", started, lambda now: at(now.done_count, now.total_count))
    if found.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
        state = operation_pb2.OperationState.Name(found.state).removeprefix("OPERATION_STATE_")
        complain(f"the {name} is {state} {found.error.message}".rstrip())
        return EXIT_FAULT
    tell(found, f"{found.done_count:,} rows counted anew", as_json=as_json)
    return 0


async def check_figures(settings: ClientSettings, team_id: str, *, as_json: bool = False) -> int:
    """Compares a team's figures with the records, and prints what does not agree. Returns the exit code."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            compared = found = 0
            request = pb.CheckProjectionsRequest(team_id=team_id)
            async for piece in client.stats.CheckProjections(request, timeout=CHECK_TIMEOUT_S):
                compared = piece.compared_count
                found += piece.HasField("finding")
                if as_json:
                    say(json_of(piece))
                elif piece.HasField("finding"):
                    finding = piece.finding
                    say(f"{finding.figure}: {finding.counted:,} counted, {finding.recorded:,} recorded")
        except grpc.aio.AioRpcError as error:
            return refused(error)
    if not as_json:
        say(f"{compared:,} figures compared, {found:,} differ")
    return EXIT_FAULT if found else 0
