"""The other services' parts of merges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S
from omnijourney.internal.v1 import merges_service_pb2 as pb
from omnijourney.internal.v1.merges_service_pb2_grpc import MergesServiceStub
from services.segment.domain.merging import Merge, MergeStep

PARTS: Final[Mapping[MergeStep, tuple[str, ...]]] = {
    MergeStep.DRAIN_MAILBOX: ("journey",),
    MergeStep.MOVE_POINTS: ("points",),
    MergeStep.MOVE_ENROLMENTS: ("journey",),
    MergeStep.UNITE_PROFILES: ("points", "channel_gateway"),
}
"""Who has a part in which step, in this order."""


class MergeParts(Protocol):
    """What the other services do."""

    async def take(self, merge: Merge, step: MergeStep) -> str:
        """Has all of them do their parts; what is waited for, empty when all is done. Raises Unavailable."""
        ...


class GrpcMergeParts:
    """See `MergeParts`."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        """By service."""
        self._stubs = {service: MergesServiceStub(channel) for service, channel in channels.items()}

    async def take(self, merge: Merge, step: MergeStep) -> str:
        """See `MergeParts`."""
        request = pb.TakeMergeStepRequest(
            team_id=str(merge.team_id),
            customer_merge_id=str(merge.merge_id),
            survivor_id=str(merge.survivor_id),
            loser_id=str(merge.loser_id),
            step=int(step),  # type: ignore[arg-type]  # the numbers are those of the contract
            last_mail_number=merge.last_mail_number,
            actor=merge.actor,
        )
        for service in PARTS[step]:
            if waits_for := await self._ask(service, request):
                return waits_for
        return ""

    async def _ask(self, service: str, request: pb.TakeMergeStepRequest) -> str:
        try:
            answer = await self._stubs[service].TakeMergeStep(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency(service) from error
        return "" if answer.done else answer.waits_for
