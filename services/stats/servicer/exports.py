# ruff: noqa: N802 - the generated base names the methods
"""Series as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from libs.common.csv_text import BYTE_ORDER_MARK, csv_lines
from libs.common.errors import FieldViolation, InvalidArgument
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert.series_csv import columns_of, row_of
from services.stats.servicer.figures import FigureRpcs
from services.stats.servicer.series import NODE_POINTS_MAX, SeriesRpcs

LINES_MAX: Final = 20_000
"""Lines of an export: what their columns are is known of all of them only."""
_CHUNK_LINES: Final = 2_000


class ExportRpcs(FigureRpcs, SeriesRpcs):
    """The RPCs of exports: what the others show, as lines."""

    async def ExportSeries(
        self, request: pb.ExportSeriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportSeriesResponse]:
        """Figures by hour or day as CSV."""
        rows = [row_of(each) for each in await self._exported(request, context)]
        columns = columns_of(rows) or ["start_time"]
        yield pb.ExportSeriesResponse(csv=BYTE_ORDER_MARK + csv_lines([columns]))
        for start in range(0, len(rows), _CHUNK_LINES):
            chunk = rows[start : start + _CHUNK_LINES]
            lines = csv_lines([row.get(column, "") for column in columns] for row in chunk)
            yield pb.ExportSeriesResponse(csv=lines)

    async def _exported(self, request: pb.ExportSeriesRequest, context: Any) -> list[Any]:
        asked: dict[str, Any] = {
            "team_id": request.team_id,
            "step": request.step,
            "start_time": request.start_time,
            "end_time": request.end_time,
        }
        if request.subject == pb.SERIES_SUBJECT_TEAM:
            return list((await self.GetTeamSeries(pb.GetTeamSeriesRequest(**asked), context)).points)
        asked["journey_id"] = request.journey_id
        if request.subject == pb.SERIES_SUBJECT_JOURNEY:
            return list((await self.GetJourneySeries(pb.GetJourneySeriesRequest(**asked), context)).points)
        if request.subject == pb.SERIES_SUBJECT_MESSAGES:
            listed = await self.ListMessageFigures(pb.ListMessageFiguresRequest(**asked), context)
            return _few(list(listed.figures))
        points: list[Any] = []
        page = pb.ListNodeSeriesRequest(**asked, page_size=NODE_POINTS_MAX)
        while True:
            answer = await self.ListNodeSeries(page, context)
            points += _few(list(answer.points), len(points))
            if not answer.next_page_token:
                return points
            page.page_token = answer.next_page_token


def _few(lines: list[Any], before: int = 0) -> list[Any]:
    """Raises InvalidArgument where they are too many for one export."""
    if before + len(lines) > LINES_MAX:
        what = f"makes more than {LINES_MAX:,} lines: ask for a shorter range or longer steps"
        raise InvalidArgument.of(FieldViolation("end_time", what))
    return lines
