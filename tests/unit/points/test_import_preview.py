"""The preview of an import: the fold of posting, page by page, counted and shown, written nowhere."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from libs.common.ids import new_id
from services.points.domain.import_preview import ImportPreview
from services.points.domain.imports import (
    Hints,
    ImportState,
    ImportTerms,
    Line,
    Match,
    RowOutcome,
    RowStatus,
    row_of,
)
from services.points.domain.model import Account, AccountKey
from services.points.domain.views import Import, ImportCounts, ReportedRow

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEAM, ANN, BOB = (new_id() for _ in range(3))
TERMS = ImportTerms("june.csv", bytes(32), deduct_cumulative=False, repeat=False, actor="user:1")
IMPORT = Import(TEAM, new_id(), TERMS, ImportState.OPEN, NOW, None)


def waiting(number: int, customer: UUID, points: int) -> ReportedRow:
    line = Line(number, Hints(member_id="M-1"), str(points))
    row = row_of(line, Match(customer, ambiguous=False, on_whatsapp=True))
    return ReportedRow(row, RowOutcome(row.status), repeated=False)


def preview_of(*pages: list[ReportedRow], rows_max: int = 100, balance: int = 0) -> ImportPreview:
    preview = ImportPreview(IMPORT, NOW, rows_max)
    for page in pages:
        accounts = {key: Account(balance, balance) for key in preview.accounts_to_read(page)}
        preview.take(page, accounts)
    return preview


def test_a_row_sees_what_the_rows_before_it_did() -> None:
    preview = preview_of([waiting(2, ANN, 50), waiting(3, ANN, -40), waiting(4, ANN, -20)])
    assert [row.outcome.status for row in preview.rows] == [
        RowStatus.INSUFFICIENT,
        RowStatus.APPLIED,
        RowStatus.APPLIED,
    ]
    assert preview.counts == ImportCounts(total=3, applied=2, insufficient=1, delta_balance=10)


def test_a_page_goes_on_from_the_balances_of_the_page_before() -> None:
    preview = preview_of([waiting(2, ANN, -30)], [waiting(3, ANN, -30)], balance=50)
    assert preview.counts == ImportCounts(total=2, applied=1, insufficient=1, delta_balance=-30)


def test_an_account_is_read_once() -> None:
    preview = ImportPreview(IMPORT, NOW, 100)
    first = [waiting(2, ANN, 5), waiting(3, ANN, 5)]
    assert preview.accounts_to_read(first) == [AccountKey((TEAM, ANN))]
    preview.take(first, {AccountKey((TEAM, ANN)): Account()})
    assert preview.accounts_to_read([waiting(4, ANN, 5), waiting(5, BOB, 5)]) == [AccountKey((TEAM, BOB))]


def test_refused_rows_are_shown_first_and_no_more_than_asked() -> None:
    page = [waiting(2, ANN, 1), waiting(3, ANN, 1), waiting(4, BOB, -9)]
    shown = preview_of(page, rows_max=2).rows
    assert [row.row.line.row_number for row in shown] == [4, 2]


def test_rows_that_are_decided_already_are_counted_as_they_are() -> None:
    line = Line(2, Hints(), "many")
    row = row_of(line, None)
    preview = preview_of([ReportedRow(row, RowOutcome(row.status, row.fault), repeated=False)])
    assert preview.counts == ImportCounts(total=1, invalid=1)
