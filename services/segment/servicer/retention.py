# ruff: noqa: N802 - the generated base names the methods and their arguments
"""How long records are kept."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.servicing import changed_fields, team_of
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.retention import FIELDS, read_periods, retention_message
from services.segment.domain.retention import Periods, Retention
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once


class RetentionRpcs(Base):
    """See the contract."""

    async def GetRetention(self, request: pb.GetRetentionRequest, context: Any) -> pb.GetRetentionResponse:
        """What the team says."""
        found = await self._deps.retentions.get(team_of(request.team_id))
        return pb.GetRetentionResponse(retention=retention_message(found))

    async def UpdateRetention(
        self, request: pb.UpdateRetentionRequest, context: Any
    ) -> pb.UpdateRetentionResponse:
        """What the team says from now on."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        mask = changed_fields(check, request.update_mask.paths, FIELDS, request.retention)
        check.done()
        wanted = read_periods(request.retention)._asdict()

        def change(present: Periods) -> Periods:
            return present._replace(**{field: wanted[field] for field in mask})

        once = Once(team_id, request, pb.UpdateRetentionResponse, _update_reply)
        return await self._deps.retentions.update(once, team_id, request.etag, change)


def _update_reply(retention: Retention) -> pb.UpdateRetentionResponse:
    return pb.UpdateRetentionResponse(retention=retention_message(retention))
