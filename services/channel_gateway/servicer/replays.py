# ruff: noqa: N802 - the generated base names the methods
"""Replays of stored webhooks: started by gRPC, and shown as operations."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from services.channel_gateway.domain.replays import Replay, ReplayState
from services.channel_gateway.servicer.base import Dependencies, Part
from services.channel_gateway.usecases.call import Call

_STATES: Final = {
    ReplayState.RUNNING: operation_pb2.OPERATION_STATE_RUNNING,
    ReplayState.SUCCEEDED: operation_pb2.OPERATION_STATE_SUCCEEDED,
    ReplayState.CANCELLED: operation_pb2.OPERATION_STATE_CANCELLED,
}


class ReplayRpcs(Part):
    """Webhooks once more."""

    async def StartInboxReplay(
        self, request: pb.StartInboxReplayRequest, context: Any
    ) -> pb.StartInboxReplayResponse:
        """Starts to hand webhooks on again."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        start_at = check.time("start_time", request, "start_time")
        end_at = check.time("end_time", request, "end_time")
        check.order(start_at, end_at)
        check.done()
        assert start_at is not None
        assert end_at is not None
        now = self._clock.now()
        replay_id = new_id(epoch_ms(now))
        replay = Replay(
            team_id, replay_id, int(request.source), start_at, end_at, request.refused_only, 0, 0,
            ReplayState.RUNNING, now, now,
        )  # fmt: skip

        def reply(started: Replay) -> pb.StartInboxReplayResponse:
            return pb.StartInboxReplayResponse(operation=_operation(started))

        return await self._deps.replays.start(
            Call(team_id, request, pb.StartInboxReplayResponse, reply), replay
        )


class ReplayOperations(Unpausable):
    """Replays as operations."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return _operation(await self._deps.replay_store.replay(team_id, operation_id))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._deps.replay_store.list_replays(team_id, after, limit + 1)
        page = found[:limit]
        following = (page[-1].created_at, page[-1].replay_id) if len(found) > limit else None
        return OperationPage([_operation(each) for each in page], following)

    async def cancel(
        self, request: operations_service_pb2.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations_service_pb2.CancelOperationResponse:
        """See `Operations`."""

        def reply(ended: Replay) -> operations_service_pb2.CancelOperationResponse:
            return operations_service_pb2.CancelOperationResponse(operation=_operation(ended))

        call = Call(team_id, request, operations_service_pb2.CancelOperationResponse, reply)
        return await self._deps.replays.cancel(call, operation_id)


def _operation(replay: Replay) -> operation_pb2.Operation:
    """`total_count` is not told before the end: what is to be done is found on the way."""
    ended = replay.state != ReplayState.RUNNING
    return operation_pb2.Operation(
        operation_id=str(replay.replay_id),
        team_id=str(replay.team_id),
        kind=operation_pb2.OPERATION_KIND_OTHER,
        state=_STATES[replay.state],
        done_count=replay.done_count,
        total_count=replay.done_count if replay.state == ReplayState.SUCCEEDED else 0,
        create_time=timestamp(replay.created_at),
        update_time=timestamp(replay.updated_at),
        end_time=timestamp(replay.updated_at) if ended else None,
    )
