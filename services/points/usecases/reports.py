"""The history report: entries, with what their customers are called."""

from __future__ import annotations

from typing import Final

from services.points.domain.views import CustomerName, EntryPosition, EntrySearch, NamedEntry
from services.points.store.customers import CustomerStore
from services.points.store.reports import ReportStore

_UNKNOWN: Final = CustomerName()


class HistoryReport:
    """Reads the report. Raises the driver's errors."""

    def __init__(self, reports: ReportStore, customers: CustomerStore) -> None:
        """`customers`: the copy of segment's basic data."""
        self._reports = reports
        self._customers = customers

    async def page(self, search: EntrySearch, after: EntryPosition | None, limit: int) -> list[NamedEntry]:
        """Up to `limit` lines, newest first, after a position."""
        entries = await self._reports.entries(search, after, limit)
        names = await self._customers.names(search.team_id, (each.entry.customer_id for each in entries))
        return [NamedEntry(each, names.get(each.entry.customer_id, _UNKNOWN)) for each in entries]
