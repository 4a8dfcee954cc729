# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of system triggers."""

from __future__ import annotations

from typing import Any, Final

from libs.common.rpc.errors import reason_named
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain.views import SystemTriggerRow
from services.journey.servicer.base import BaseRpcs

TRIGGERS_MAX: Final = 500
"""Items of one call, as the contract says."""


class TriggerRpcs(BaseRpcs):
    """Enrols customers by the journey's id."""

    async def TriggerJourneys(
        self, request: pb.TriggerJourneysRequest, context: Any
    ) -> pb.TriggerJourneysResponse:
        """Mails system triggers to the customers' actors."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.count("items", request.items, least=1, most=TRIGGERS_MAX)
        triggers = [
            SystemTriggerRow(
                check.uuid(f"items[{i}].customer_id", item.customer_id),
                check.uuid(f"items[{i}].journey_id", item.journey_id),
                check.uuid(f"items[{i}].request_id", item.request_id),
            )
            for i, item in enumerate(request.items)
        ]
        check.done()
        refusals = await self._deps.triggers.trigger(team_id, triggers)
        return pb.TriggerJourneysResponse(
            results=[
                pb.SystemTriggerResult(accepted=not reason, reason=reason_named(reason))
                for reason in refusals
            ]
        )
