# ruff: noqa: N802 - the generated base names the methods
"""Series: journeys, teams and nodes by hour or day."""

from __future__ import annotations

from typing import Any, Final

from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge
from libs.common.rpc.values import timestamp
from omnijourney.stats.v1 import attribution_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.servicer.base import Dependencies, asked_by_step, span_of
from services.stats.store.series import NodesAsked

NODE_POINTS_MAX: Final = 10_000
"""Points of a page of the nodes' series."""


class SeriesRpcs(Edge[Dependencies]):
    """The RPCs of series."""

    async def GetJourneySeries(
        self, request: pb.GetJourneySeriesRequest, context: Any
    ) -> pb.GetJourneySeriesResponse:
        """A journey by hour or day; quiet steps are there too."""
        team_id, journey_id, span, unit = asked_by_step(request)
        starts, found = await self._deps.series.of_overview(team_id, journey_id, span, unit)
        rates = await self._deps.worth.rates(team_id, found.values())
        return convert.journey_series(journey_id, starts, found, rates)

    async def GetTeamSeries(self, request: pb.GetTeamSeriesRequest, context: Any) -> pb.GetTeamSeriesResponse:
        """A team by hour or day; quiet steps are left out."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        span, unit = span_of(check, request)
        starts, found = await self._deps.series.of_team(team_id, span, unit)
        points = []
        for place in sorted(found):
            of_sends = [total for total in found[place] if total.channel]
            of_team = [total for total in found[place] if not total.channel]
            figures = convert.team_message(of_team, of_sends)
            points.append(attribution_pb2.TeamPoint(start_time=timestamp(starts[place]), figures=figures))
        return pb.GetTeamSeriesResponse(points=points)

    async def ListNodeSeries(
        self, request: pb.ListNodeSeriesRequest, context: Any
    ) -> pb.ListNodeSeriesResponse:
        """The nodes of a journey by hour or day; nodes are left out of steps in which nothing happened there."""
        team_id, journey_id, span, unit = asked_by_step(request)
        size = page_size(request.page_size, most=NODE_POINTS_MAX)
        asked = NodesAsked(team_id, journey_id, request.node_id or None, *span)
        arguments = ("node series", *asked, unit)
        after = page_key(request.page_token, tuple[int, str], *arguments) or (-1, "")
        starts, rows = await self._deps.series.of_nodes(asked, unit, after, size + 1)
        page = page_of(rows, size, lambda row: (row[0], row[1]), *arguments)
        points = [
            attribution_pb2.NodePoint(start_time=timestamp(starts[index]), figures=figures)
            for index, _node_id, totals in page.rows
            for figures in convert.node_messages(totals)
        ]
        return pb.ListNodeSeriesResponse(points=points, next_page_token=page.next_token)
