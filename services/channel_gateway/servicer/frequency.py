# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: how often one customer may be written to."""

from __future__ import annotations

from typing import Any, Final

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert.frequency import cap_message, rules_of
from services.channel_gateway.domain.views import FrequencyCap
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call

_FIELDS: Final = frozenset({"rules"})


class FrequencyRpcs(Part):
    """A team's frequency cap."""

    async def GetFrequencyCap(
        self, request: pb.GetFrequencyCapRequest, context: Any
    ) -> pb.GetFrequencyCapResponse:
        """Reads the cap; a team that never set one has no rules."""
        cap = await self._deps.frequency_store.cap(team_of(request.team_id))
        return pb.GetFrequencyCapResponse(frequency_cap=cap_message(cap))

    async def UpdateFrequencyCap(
        self, request: pb.UpdateFrequencyCapRequest, context: Any
    ) -> pb.UpdateFrequencyCapResponse:
        """Sets the rules of the cap."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        fields = changed_fields(check, request.update_mask.paths, _FIELDS, request.frequency_cap)
        rules = rules_of(check, request.frequency_cap)
        check.done()

        def reply(cap: FrequencyCap) -> pb.UpdateFrequencyCapResponse:
            return pb.UpdateFrequencyCapResponse(frequency_cap=cap_message(cap))

        call = Call(team_id, request, pb.UpdateFrequencyCapResponse, reply)
        return await self._deps.frequency_caps.update(call, request.etag, rules if fields else None)
