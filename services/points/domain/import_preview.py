"""What an import would do to today's balances: the same fold as posting, page by page, written nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from services.points.domain.book import Book
from services.points.domain.imports import PostedRow, Row, RowOutcome, RowStatus, outcome_of, posting_of
from services.points.domain.model import Account, AccountKey
from services.points.domain.views import Import, ImportCounts, ReportedRow

_ACCEPTED: Final = frozenset({RowStatus.APPLIED, RowStatus.UNCHANGED})


class ImportPreview:
    """Counts every row, and keeps up to `rows_max` to be shown: those that would not be applied come first."""

    def __init__(self, previewed: Import, now: datetime, rows_max: int) -> None:
        """`now`: domain time of the preview."""
        self._import = previewed
        self._now = now
        self._rows_max = rows_max
        self._accounts: dict[AccountKey, Account] = {}
        self._statuses = Counter[RowStatus]()
        self._delta_balance = 0
        self._refused: list[ReportedRow] = []
        self._accepted: list[ReportedRow] = []

    def accounts_to_read(self, page: Iterable[ReportedRow]) -> list[AccountKey]:
        """Accounts of a page that no page before had: `take` needs their balances."""
        customers = {each.row.customer_id for each in page if each.row.customer_id is not None}
        keys = (AccountKey((self._import.team_id, customer)) for customer in sorted(customers))
        return [key for key in keys if key not in self._accounts]

    def take(self, page: Sequence[ReportedRow], accounts: Mapping[AccountKey, Account]) -> None:
        """Folds the rows of the next page, in order of lines; `accounts` as `accounts_to_read` asked."""
        self._accounts.update(accounts)
        outcomes = iter(self._fold([each.row for each in page if each.row.status == RowStatus.WAITING]))
        for each in page:
            waiting = each.row.status == RowStatus.WAITING
            self._count(msgspec.structs.replace(each, outcome=next(outcomes)) if waiting else each)

    def _fold(self, rows: Sequence[Row]) -> list[RowOutcome]:
        previewed = self._import
        postings = [
            posting_of(previewed.team_id, previewed.import_id, previewed.terms, _posted(row)) for row in rows
        ]
        book = Book(self._accounts, {}, {}, {}, self._now)
        answers = book.fold(postings)
        self._accounts.update(book.changed_accounts)
        return [outcome_of(answer) for answer in answers]

    def _count(self, decided: ReportedRow) -> None:
        self._statuses[decided.outcome.status] += 1
        self._delta_balance += decided.outcome.delta_balance
        kept = self._accepted if decided.outcome.status in _ACCEPTED else self._refused
        if len(kept) < self._rows_max:
            kept.append(decided)

    @property
    def counts(self) -> ImportCounts:
        """Rows taken so far, by what would become of them."""
        return ImportCounts(
            total=self._statuses.total(),
            applied=self._statuses[RowStatus.APPLIED],
            unchanged=self._statuses[RowStatus.UNCHANGED],
            invalid=self._statuses[RowStatus.INVALID],
            insufficient=self._statuses[RowStatus.INSUFFICIENT],
            delta_balance=self._delta_balance,
        )

    @property
    def rows(self) -> list[ReportedRow]:
        """Rows to be shown."""
        return [*self._refused, *self._accepted][: self._rows_max]


def _posted(row: Row) -> PostedRow:
    assert row.customer_id is not None, "a row that waits has its customer"
    return PostedRow(row.line.row_number, row.customer_id, row.points, 0, 0)
