# ruff: noqa: N802 - the generated base names the methods
"""Series as columns of numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert.columns import Header, journey_columns, needs_rates, team_columns
from services.stats.servicer.base import Dependencies, span_of

JOURNEYS_MAX: Final = 1_000
_READ_AT_ONCE: Final = 20
"""Journeys: of busy ones a year of hours is some MB each in memory."""
_BYTES_FULL: Final = 262_144
"""Of an answer: then the next one begins. A year of hours of a busy journey is a fifth of a MB."""


class ColumnRpcs(Edge[Dependencies]):
    """The RPC of series as columns."""

    async def StreamSeries(
        self, request: pb.StreamSeriesRequest, context: Any
    ) -> AsyncIterator[pb.StreamSeriesResponse]:
        """Journeys, or a team, by hour or day."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        if request.subject == pb.SERIES_SUBJECT_TEAM:
            if request.journey_ids:
                check.fault("journey_ids", "must be empty for a team")
        else:
            check.count("journey_ids", request.journey_ids, least=1, most=JOURNEYS_MAX)
        ids = [check.uuid(f"journey_ids[{i}]", text) for i, text in enumerate(request.journey_ids)]
        span, unit = span_of(check, request)
        steps = await self._deps.series.steps(team_id, span, unit)
        header = Header(steps)
        if request.subject == pb.SERIES_SUBJECT_TEAM:
            columns = await self._deps.series.columns_of_team(team_id, span, steps)
            yield pb.StreamSeriesResponse(series=[team_columns(header, columns)])
        answer, answer_bytes = pb.StreamSeriesResponse(), 0
        for first in range(0, len(ids), _READ_AT_ONCE):
            few = ids[first : first + _READ_AT_ONCE]
            found = await self._deps.series.columns_of_journeys(
                team_id, list(dict.fromkeys(few)), span, steps
            )
            for journey_id in few:
                columns = found[journey_id]
                rates = await self._deps.worth.rates_of(team_id) if needs_rates(columns) else {}
                series = journey_columns(header, str(journey_id), columns, rates)
                answer.series.append(series)
                answer_bytes += series.ByteSize()
                if answer_bytes > _BYTES_FULL:
                    yield answer
                    answer, answer_bytes = pb.StreamSeriesResponse(), 0
        if answer.series:
            yield answer
