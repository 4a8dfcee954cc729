# ruff: noqa: N802 - the generated base names the methods
"""Series as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from libs.common.csv_text import BYTE_ORDER_MARK, csv_lines
from libs.common.errors import FieldViolation, InvalidArgument
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert.columns_csv import Table, table_of
from services.stats.convert.series_csv import columns_of, row_of
from services.stats.servicer.base import asked_by_step
from services.stats.servicer.columns import ColumnRpcs
from services.stats.servicer.figures import FigureRpcs
from services.stats.servicer.series import NODE_POINTS_MAX, SeriesRpcs

LINES_MAX: Final = 20_000
"""Lines of an export: what their columns are is known of all of them only."""
_CHUNK_LINES: Final = 2_000


class ExportRpcs(ColumnRpcs, FigureRpcs, SeriesRpcs):
    """The RPCs of exports: what the others show, as lines."""

    async def ExportSeries(
        self, request: pb.ExportSeriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportSeriesResponse]:
        """Figures by hour or day as CSV."""
        if request.subject == pb.SERIES_SUBJECT_TEAM and request.journey_id:
            raise InvalidArgument.of(FieldViolation("journey_id", "must be empty for a team"))
        if request.subject in {pb.SERIES_SUBJECT_JOURNEY, pb.SERIES_SUBJECT_TEAM}:
            table = await self._table(request, context)
        else:
            rows = [row_of(each) for each in await self._exported(request, context)]
            names = columns_of(rows) or ["start_time"]
            table = Table(names, [[row.get(name, "") for name in names] for row in rows])
        yield pb.ExportSeriesResponse(csv=BYTE_ORDER_MARK + csv_lines([table.names]))
        for start in range(0, len(table.lines), _CHUNK_LINES):
            yield pb.ExportSeriesResponse(csv=csv_lines(table.lines[start : start + _CHUNK_LINES]))

    async def _table(self, request: pb.ExportSeriesRequest, context: Any) -> Table:
        """Of a journey or a team as a whole."""
        journey_ids = []
        if request.subject == pb.SERIES_SUBJECT_JOURNEY:
            journey_ids = [str(asked_by_step(request)[1])]
        asked = pb.StreamSeriesRequest(
            team_id=request.team_id,
            subject=request.subject,
            journey_ids=journey_ids,
            step=request.step,
            start_time=request.start_time,
            end_time=request.end_time,
        )
        (series,) = [each async for answer in self.StreamSeries(asked, context) for each in answer.series]
        return table_of(series)

    async def _exported(self, request: pb.ExportSeriesRequest, context: Any) -> list[Any]:
        asked: dict[str, Any] = {
            "team_id": request.team_id,
            "journey_id": request.journey_id,
            "step": request.step,
            "start_time": request.start_time,
            "end_time": request.end_time,
        }
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
