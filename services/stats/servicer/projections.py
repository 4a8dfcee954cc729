# ruff: noqa: N802 - the generated base names the methods
"""Projections: how far each history is counted, and whether the counters agree with the records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from libs.common.rpc.servicing import Edge, team_of
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.servicer.base import Dependencies


class ProjectionRpcs(Edge[Dependencies]):
    """The RPCs of projections."""

    async def ListProjectionStates(
        self, request: pb.ListProjectionStatesRequest, context: Any
    ) -> pb.ListProjectionStatesResponse:
        """How far each history is counted."""
        states = await self._deps.projections.states()
        return pb.ListProjectionStatesResponse(states=map(convert.state_message, states))

    async def CheckProjections(
        self, request: pb.CheckProjectionsRequest, context: Any
    ) -> AsyncIterator[pb.CheckProjectionsResponse]:
        """Compares with the records: findings first, the count of what was compared last."""
        compared_count = 0
        async for compared in self._deps.projections.compare(team_of(request.team_id)):
            compared_count += 1
            if not compared.agrees:
                finding = convert.finding(compared)
                yield pb.CheckProjectionsResponse(finding=finding, compared_count=compared_count)
        yield pb.CheckProjectionsResponse(compared_count=compared_count)
