# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of the history report and of daily statements: a part of the servicer of points."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from libs.common.csv_text import BYTE_ORDER_MARK, csv_lines, harmless
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import team_of
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import ledger as convert
from services.points.convert import requests
from services.points.domain.model import Source
from services.points.domain.views import EntryPosition, EntrySearch, NamedEntry, position_of
from services.points.servicer.base import Base

_EXPORT_PAGE: Final = 2_000
_EXPORT_HEADER: Final = (
    "time",
    "customer_id",
    "customer",
    "member_id",
    "source",
    "source_name",
    "change",
    "cumulative_change",
    "balance_after",
    "cumulative_after",
)


class _PageKey(msgspec.Struct, frozen=True, array_like=True):
    """Bounds of the search as on its first page, so that a search up to now stays one search; and the place."""

    start: datetime
    end: datetime
    after: EntryPosition


class ReportCalls(Base):
    """The RPCs of reports in `protos/omnijourney/points/v1/points_service.proto`."""

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> pb.ListEntriesResponse:
        """A page of the history report."""
        search = await self._search(request.team_id, request.filter)
        asked = (request.team_id, request.filter.SerializeToString(deterministic=True))
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = None
        if key is not None:
            search = msgspec.structs.replace(search, start=key.start, end=key.end)
            after = key.after
        found = await self._deps.history_report.page(search, after, size + 1)
        page = page_of(
            found, size, lambda line: _PageKey(search.start, search.end, position_of(line)), *asked
        )
        return pb.ListEntriesResponse(
            lines=map(convert.report_line, page.rows), next_page_token=page.next_token
        )

    async def ExportEntries(
        self, request: pb.ExportEntriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportEntriesResponse]:
        """The history report as CSV."""
        search = await self._search(request.team_id, request.filter)
        zone = await self._zone(search.team_id)
        yield pb.ExportEntriesResponse(csv=BYTE_ORDER_MARK + csv_lines([_EXPORT_HEADER]))
        after: EntryPosition | None = None
        while page := await self._deps.history_report.page(search, after, _EXPORT_PAGE):
            yield pb.ExportEntriesResponse(csv=csv_lines(_export_line(line, zone) for line in page))
            after = position_of(page[-1])

    async def ListDailyStatements(
        self, request: pb.ListDailyStatementsRequest, context: Any
    ) -> pb.ListDailyStatementsResponse:
        """A line per day."""
        team_id = team_of(request.team_id)
        await self._deps.modules.require(team_id)
        zone = await self._zone(team_id)
        days = requests.statement_days(request, self._deps.clock.now(), zone)
        statements = await self._deps.reports.statements(team_id, days, zone)
        return pb.ListDailyStatementsResponse(statements=[convert.statement(each) for each in statements])

    async def _zone(self, team_id: UUID) -> ZoneInfo:
        return ZoneInfo((await self._deps.settings.of(team_id)).zone)

    async def _search(self, team_id: str, given: pb.EntryFilter) -> EntrySearch:
        await self._deps.modules.require(team_of(team_id))
        zone = await self._zone(team_of(team_id)) if requests.names_days(given) else None
        return requests.search(team_id, given, self._deps.clock.now(), zone)


def _export_line(line: NamedEntry, zone: ZoneInfo) -> tuple[object, ...]:
    entry = line.placed.entry
    return (
        entry.posted_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        entry.customer_id,
        harmless(line.customer.name),
        harmless(line.customer.member_id),
        Source(entry.source).name,
        harmless(entry.source_name),
        entry.delta_balance,
        entry.delta_cumulative,
        entry.balance,
        entry.cumulative,
    )
