# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of the history report and of daily statements: a part of the servicer of points."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.paging import page_key, page_size, page_token
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import ledger as convert
from services.points.convert import requests
from services.points.convert.csv_text import csv_lines, harmless
from services.points.domain.model import Source
from services.points.servicer.base import Base
from services.points.store.customers import Named
from services.points.store.reports import Place, PlacedEntry, Search, place_after

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
    after: Place


NOBODY: Final = Named()


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
        found = await self._parts.reports.entries(search, after, size + 1)
        page = found[:size]
        last = place_after(page)
        token = ""
        if last is not None and len(found) > size:
            token = page_token(_PageKey(search.start, search.end, last), *asked)
        names = await self._names(search.team_id, page)
        return pb.ListEntriesResponse(lines=convert.report_lines(page, names), next_page_token=token)

    async def ExportEntries(
        self, request: pb.ExportEntriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportEntriesResponse]:
        """The history report as CSV."""
        search = await self._search(request.team_id, request.filter)
        yield pb.ExportEntriesResponse(csv=csv_lines([_EXPORT_HEADER]))
        after: Place | None = None
        while page := await self._parts.reports.entries(search, after, _EXPORT_PAGE):
            names = await self._names(search.team_id, page)
            lines = [_export_line(each, names.get(each.entry.customer_id, NOBODY)) for each in page]
            yield pb.ExportEntriesResponse(csv=csv_lines(lines))
            after = place_after(page)

    async def ListDailyStatements(
        self, request: pb.ListDailyStatementsRequest, context: Any
    ) -> pb.ListDailyStatementsResponse:
        """A line per day."""
        team_id = requests.team(request.team_id)
        zone = await self._parts.settings.zone(team_id)
        days = requests.statement_days(request, self._parts.clock.now(), zone)
        statements = await self._parts.reports.statements(team_id, days, zone)
        return pb.ListDailyStatementsResponse(statements=[convert.statement(each) for each in statements])

    async def _search(self, team_id: str, given: pb.EntryFilter) -> Search:
        zone = await self._parts.settings.zone(requests.team(team_id)) if requests.names_days(given) else None
        return requests.search(team_id, given, self._parts.clock.now(), zone)

    async def _names(self, team_id: UUID, page: Sequence[PlacedEntry]) -> dict[UUID, Named]:
        return await self._parts.customers.names(team_id, (each.entry.customer_id for each in page))


def _export_line(placed: PlacedEntry, named: Named) -> tuple[object, ...]:
    entry = placed.entry
    return (
        entry.posted_at.isoformat(),
        entry.customer_id,
        harmless(named.name),
        harmless(named.member_id),
        Source(entry.source).name,
        harmless(entry.source_name),
        entry.delta_balance,
        entry.delta_cumulative,
        entry.balance,
        entry.cumulative,
    )
