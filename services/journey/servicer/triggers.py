# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of system triggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from libs.common import tracing
from libs.common.rpc.errors import reason_named
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert.audience_triggers import outcome_message
from services.journey.convert.trigger_data import trigger_data_of
from services.journey.domain.views import SystemTriggerRow
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.triggers import Refused

TRIGGERS_MAX: Final = 500
"""Items of one call, as the contract says."""
_SENTENCES: Final = {
    "RESOURCE_NOT_FOUND": "names none of the team",
    "TRIGGER_MISMATCH": "names a journey that is not started through the API",
    "STATUS_FORBIDS_ACTION": "names a journey that takes nobody now: a draft, one before its start, closed or stopped",
    "REQUEST_ID_REUSED": "was used with another journey, customer or data: choose a new one",
}


class TriggerRpcs(BaseRpcs):
    """Enrols customers by the journey's id."""

    async def TriggerJourneys(
        self, request: pb.TriggerJourneysRequest, context: Any
    ) -> pb.TriggerJourneysResponse:
        """Mails system triggers to the customers' actors."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.count("items", request.items, least=1, most=TRIGGERS_MAX)
        check.done()
        read = [_read(item) for item in request.items]
        sound = [trigger for trigger in read if isinstance(trigger, SystemTriggerRow)]

        def reply(refusals: Sequence[Refused | None]) -> pb.TriggerJourneysResponse:
            of_sound = iter(refusals)
            return pb.TriggerJourneysResponse(
                results=[
                    _result(next(of_sound)) if isinstance(trigger, SystemTriggerRow) else trigger
                    for trigger in read
                ]
            )

        shown = tracing.shown_in(context.invocation_metadata()) if tracing.is_on() else None
        return await self._deps.triggers.trigger(request, team_id, sound, reply, shown)

    async def BatchGetTriggerOutcomes(
        self, request: pb.BatchGetTriggerOutcomesRequest, context: Any
    ) -> pb.BatchGetTriggerOutcomesResponse:
        """What became of triggers, by their keys."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        keys = [_key(text) for text in request.event_keys]
        found = await self._deps.trigger_outcomes.of(team_id, journey_id, keys)
        return pb.BatchGetTriggerOutcomesResponse(
            outcomes=[
                outcome_message(key, became.outcome, str(became.enrolment_id or ""))
                for key, became in zip(request.event_keys, found, strict=True)
            ]
        )


def _key(text: str) -> UUID | None:
    """None for a text that no trigger can have been given."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _read(item: pb.SystemTriggerItem) -> SystemTriggerRow | pb.SystemTriggerResult:
    """A trigger, or the result of one that is refused whatever is stored."""
    check = FieldCheck()
    trigger = SystemTriggerRow(
        check.uuid("customer_id", item.customer_id),
        check.uuid("journey_id", item.journey_id),
        check.uuid("request_id", item.request_id),
        trigger_data_of(check, item.data) if item.data else (),
    )
    if not check.violations:
        return trigger
    first = check.violations[0]
    return pb.SystemTriggerResult(
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELDS, field=first.field, message=first.description
    )


def _result(refused: Refused | None) -> pb.SystemTriggerResult:
    if refused is None:
        return pb.SystemTriggerResult(accepted=True)
    return pb.SystemTriggerResult(
        reason=reason_named(refused.reason), field=refused.field, message=_SENTENCES[refused.reason]
    )
