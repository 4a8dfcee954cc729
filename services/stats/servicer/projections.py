# ruff: noqa: N802 - the generated base names the methods
"""Projections: how far each history is counted, and whether the counters agree with the records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from libs.common.paging import page_key, page_of, page_size
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

    async def ListRowsSetAside(
        self, request: pb.ListRowsSetAsideRequest, context: Any
    ) -> pb.ListRowsSetAsideResponse:
        """Rows that could not be counted."""
        projections, size = self._deps.projections, page_size(request.page_size)
        sources = projections.sources_of(request.source)
        arguments = ("set aside", sources[0] if request.source else None)
        after = page_key(request.page_token, tuple[int, int, int], *arguments) or (0, 0, 0)
        rows = await projections.rows_set_aside(sources, after, size + 1)
        page = page_of(rows, size, lambda row: row.place, *arguments)
        return pb.ListRowsSetAsideResponse(
            rows=[convert.row_message(projections.name_of(row.source), row) for row in page.rows],
            next_page_token=page.next_token,
        )

    async def RetryRowsSetAside(
        self, request: pb.RetryRowsSetAsideRequest, context: Any
    ) -> pb.RetryRowsSetAsideResponse:
        """Counts rows that could not be counted before."""
        sources = self._deps.projections.sources_of(request.source)

        def answer(counted: int, left: int) -> pb.RetryRowsSetAsideResponse:
            return pb.RetryRowsSetAsideResponse(counted_count=counted, left_count=left)

        return await self._deps.projections.retry(request, sources, pb.RetryRowsSetAsideResponse, answer)

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
