# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of audience triggers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.long_work import OperationPage, PageKey
from libs.common.rpc.servicing import ids_of
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import audience_triggers as convert
from services.journey.domain.audience_trigger import RATE_DEFAULT, StoredAudienceTrigger
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.audience_triggers import AudienceTriggers


class AudienceTriggerRpcs(BaseRpcs):
    """Saved audiences that enrol."""

    async def TriggerAudience(
        self, request: pb.TriggerAudienceRequest, context: Any
    ) -> pb.TriggerAudienceResponse:
        """Keeps one whose steps are taken from now on."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        audience_id = check.uuid("audience_id", request.audience_id)
        check.done()
        form = pb.TriggerAudienceResponse

        def answer(found: StoredAudienceTrigger) -> pb.TriggerAudienceResponse:
            return form(operation=convert.operation_message(found))

        return await self._deps.audience_triggers.start(
            request,
            team_id,
            journey_id,
            audience_id,
            request.customers_per_second or RATE_DEFAULT,
            reply=form,
            answer=answer,
        )

    async def GetAudienceTrigger(
        self, request: pb.GetAudienceTriggerRequest, context: Any
    ) -> pb.GetAudienceTriggerResponse:
        """How far one is, and what became of its customers."""
        found = await self._deps.audience_triggers.read(
            ids_of(request.team_id, "operation_id", request.operation_id)
        )
        return pb.GetAudienceTriggerResponse(audience_trigger=convert.audience_trigger_message(found))


class AudienceTriggerOperations:
    """Audience triggers are long work of this service."""

    def __init__(self, triggers: AudienceTriggers) -> None:
        """Of the servicer."""
        self._triggers = triggers

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return convert.operation_message(await self._triggers.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._triggers.page(team_id, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.created_at, last.asked.operation_id) if last else None
        return OperationPage([convert.operation_message(each) for each in found[:limit]], following)

    async def cancel(
        self, request: operations.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.CancelOperationResponse:
        """See `Operations`."""
        form = operations.CancelOperationResponse

        def answer(found: StoredAudienceTrigger) -> operations.CancelOperationResponse:
            return form(operation=convert.operation_message(found))

        return await self._triggers.cancel(request, (team_id, operation_id), form, answer)

    async def pause(
        self, request: operations.PauseOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.PauseOperationResponse:
        """See `Operations`."""
        form = operations.PauseOperationResponse

        def answer(found: StoredAudienceTrigger) -> operations.PauseOperationResponse:
            return form(operation=convert.operation_message(found))

        return await self._triggers.pause(request, (team_id, operation_id), form, answer, paused=True)

    async def resume(
        self, request: operations.ResumeOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.ResumeOperationResponse:
        """See `Operations`."""
        form = operations.ResumeOperationResponse

        def answer(found: StoredAudienceTrigger) -> operations.ResumeOperationResponse:
            return form(operation=convert.operation_message(found))

        return await self._triggers.pause(request, (team_id, operation_id), form, answer, paused=False)
