# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: how many people opened messages."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from libs.common.rpc.fields import FieldCheck
from omnijourney.internal.v1 import opens_service_pb2 as pb
from omnijourney.internal.v1 import opens_service_pb2_grpc
from services.channel_gateway.domain.opens import OpensQuestion
from services.channel_gateway.usecases.opens import OpensReader

_EPOCH: Final = date(1970, 1, 1)


class OpensServicer(opens_service_pb2_grpc.OpensServiceServicer):
    """See `protos/omnijourney/internal/v1/opens_service.proto`."""

    def __init__(self, reader: OpensReader) -> None:
        """`reader` outlives the servicer."""
        self._reader = reader

    async def ReadOpens(self, request: pb.ReadOpensRequest, context: Any) -> pb.ReadOpensResponse:
        """Asks the channel."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        questions = [
            OpensQuestion(
                check.uuid(f"questions[{index}].journey_id", each.journey_id),
                each.node_id,
                _EPOCH + timedelta(days=each.first_day),
                _EPOCH + timedelta(days=each.first_day + each.day_count - 1),
            )
            for index, each in enumerate(request.questions)
        ]
        check.done()
        answers = await self._reader.read(team_id, questions)
        return pb.ReadOpensResponse(
            answers=[
                pb.OpensAnswer(state=pb.OpensState.ValueType(each.state), person_count=each.people)
                for each in answers
            ]
        )
