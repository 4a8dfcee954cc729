# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of points. Imports and daily statements are not served yet and answer UNIMPLEMENTED."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.db.history import HistoryBell, long_poll
from libs.common.db.pool import Pool
from libs.common.errors import AlreadyExists, FieldViolation, InvalidArgument, NotFound
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import history_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points import convert, metrics, requests
from services.points.coupons import CouponStore
from services.points.domain.earning import AMOUNT_MICROS_MAX, earned
from services.points.domain.errors import formula_already_set, insufficient_points, points_out_of_range
from services.points.domain.model import Answer, Manual, Posting, Reason, Source, Status
from services.points.reports import CheckCounts, Place, PlacedEntry, ReportStore, Search, place_after
from services.points.servicer_coupons import CouponCalls
from services.points.store import LedgerStore, SetFormula

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


class Writer(Protocol):
    """Who posts."""

    async def post(self, postings: Sequence[Posting]) -> list[Answer]:
        """Posts; answers in the order of the postings."""
        ...


class PointsServicer(CouponCalls):
    """See `protos/omnijourney/points/v1/points_service.proto`."""

    def __init__(
        self,
        *,
        pool: Pool,
        ledger: LedgerStore,
        reports: ReportStore,
        coupons: CouponStore,
        writer: Writer,
        clock: Clock,
        bell: HistoryBell,
        draining: asyncio.Event,
    ) -> None:
        """`bell` rings when the writer has written entries; `draining` ends waiting reads."""
        super().__init__(pool=pool, coupons=coupons, clock=clock, bell=bell)
        self._ledger = ledger
        self._reports = reports
        self._writer = writer
        self._draining = draining

    async def SetEarningFormula(
        self, request: pb.SetEarningFormulaRequest, context: Any
    ) -> pb.SetEarningFormulaResponse:
        """Sets the formula, once."""
        team_id, wanted = requests.formula(request)
        present = await self._ledger.set_formula(team_id, wanted)
        if present.formula != wanted:
            raise formula_already_set(present.formula)
        return pb.SetEarningFormulaResponse(formula=convert.formula(str(team_id), present))

    async def GetEarningFormula(
        self, request: pb.GetEarningFormulaRequest, context: Any
    ) -> pb.GetEarningFormulaResponse:
        """Reads the formula."""
        team_id = requests.team(request.team_id)
        present = await self._formula(team_id)
        return pb.GetEarningFormulaResponse(formula=convert.formula(str(team_id), present))

    async def QuoteEarning(self, request: pb.QuoteEarningRequest, context: Any) -> pb.QuoteEarningResponse:
        """Applies the formula to an amount."""
        present = await self._formula(requests.team(request.team_id))
        if request.amount.amount_micros > AMOUNT_MICROS_MAX:
            raise InvalidArgument.of(FieldViolation("amount.amount_micros", "must be at most 10^18"))
        return pb.QuoteEarningResponse(points=earned(request.amount.amount_micros, present.formula))

    async def _formula(self, team_id: UUID) -> SetFormula:
        present = await self._ledger.formula(team_id)
        if present is None:
            raise NotFound.of("earning_formula", team_id)
        return present

    async def PostEntries(self, request: pb.PostEntriesRequest, context: Any) -> pb.PostEntriesResponse:
        """Posts a batch."""
        count = len(request.postings)
        if not 1 <= count <= requests.BATCH_MAX:
            violation = FieldViolation("postings", f"must have 1 to {requests.BATCH_MAX} items, has {count}")
            raise InvalidArgument.of(violation)
        answers = await self._writer.post(convert.postings(request.postings))
        return pb.PostEntriesResponse(results=[convert.result(answer) for answer in answers])

    async def AdjustBalance(self, request: pb.AdjustBalanceRequest, context: Any) -> pb.AdjustBalanceResponse:
        """Posts a change by hand."""
        posting = requests.adjustment(request)
        assert isinstance(posting.body, Manual)
        (answer,) = await self._writer.post([posting])
        outcome = answer.outcome
        if outcome.status == Status.REFUSED:
            raise AlreadyExists.request_id_reused(request.request_id)
        if outcome.reason == Reason.INSUFFICIENT:
            raise insufficient_points(outcome.balance, -posting.body.points)
        if outcome.reason == Reason.OUT_OF_RANGE:
            raise points_out_of_range(outcome.balance)
        return pb.AdjustBalanceResponse(result=convert.result(answer))

    async def GetPostingOutcome(
        self, request: pb.GetPostingOutcomeRequest, context: Any
    ) -> pb.GetPostingOutcomeResponse:
        """Reads what is recorded under a key."""
        ref = requests.keyed(request)
        outcome = await self._ledger.outcome(ref)
        if outcome is None:
            raise NotFound.of("posting", ref[1])
        return pb.GetPostingOutcomeResponse(
            result=convert.recorded(outcome, replayed=True),
            customer_id=str(outcome.customer_id),
            record_time=timestamp(outcome.recorded_at),
        )

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Any) -> pb.GetBalanceResponse:
        """Reads one customer, now or at a moment."""
        ref, at = requests.balance(request)
        if at is None:
            (account,) = await self._ledger.balances([ref])
        else:
            account = await self._ledger.balance_at(ref, at)
        return pb.GetBalanceResponse(balance=convert.balance(ref, account))

    async def BatchGetBalances(
        self, request: pb.BatchGetBalancesRequest, context: Any
    ) -> pb.BatchGetBalancesResponse:
        """Reads many customers."""
        refs = requests.balances(request)
        accounts = await self._ledger.balances(refs)
        return pb.BatchGetBalancesResponse(
            balances=[convert.balance(ref, account) for ref, account in zip(refs, accounts, strict=True)]
        )

    async def GetLedgerSummary(
        self, request: pb.GetLedgerSummaryRequest, context: Any
    ) -> pb.GetLedgerSummaryResponse:
        """Sums the team's ledger."""
        sums = await self._ledger.summary(requests.team(request.team_id))
        return pb.GetLedgerSummaryResponse(summary=convert.summary(sums))

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> pb.ListEntriesResponse:
        """A page of the history report."""
        search = requests.search(request.team_id, request.filter, self._clock.now())
        asked = (request.team_id, request.filter.SerializeToString(deterministic=True))
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = None
        if key is not None:
            search = Search(search.team_id, key.start, key.end, search.sources, search.customer_id)
            after = key.after
        found = await self._reports.entries(search, after, size + 1)
        page = found[:size]
        last = place_after(page)
        token = ""
        if last is not None and len(found) > size:
            token = page_token(_PageKey(search.start, search.end, last), *asked)
        return pb.ListEntriesResponse(lines=convert.report_lines(page), next_page_token=token)

    async def ExportEntries(
        self, request: pb.ExportEntriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportEntriesResponse]:
        """The history report as CSV."""
        search = requests.search(request.team_id, request.filter, self._clock.now())
        yield pb.ExportEntriesResponse(csv=_csv([_EXPORT_HEADER]))
        after: Place | None = None
        while page := await self._reports.entries(search, after, _EXPORT_PAGE):
            yield pb.ExportEntriesResponse(csv=_csv([_export_line(each) for each in page]))
            after = place_after(page)

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Any) -> pb.ListHistoryResponse:
        """A page of the feed; waits for one if asked."""
        asked = requests.feed(request)

        async def read() -> tuple[list[PlacedEntry], dict[int, int]]:
            return await self._reports.history(asked.cursors, asked.limit)

        entries, following = await long_poll(read, self._bell, asked.wait_s, self._draining)
        return pb.ListHistoryResponse(
            entries=[convert.entry(each) for each in entries],
            next_cursors=[
                history_pb2.HistoryCursor(
                    partition=cursor.partition, after_position=following[cursor.partition]
                )
                for cursor in request.cursors
            ],
        )

    async def CheckLedger(
        self, request: pb.CheckLedgerRequest, context: Any
    ) -> AsyncIterator[pb.CheckLedgerResponse]:
        """Checks the ledger; findings first, the summary last."""
        scope, findings_max = requests.check_scope(request)
        counts, findings = CheckCounts(), 0
        async for finding in self._reports.check(scope, counts):
            findings += 1
            metrics.FINDINGS.inc()
            yield pb.CheckLedgerResponse(finding=convert.finding(finding))
            if findings == findings_max:
                break
        yield pb.CheckLedgerResponse(summary=convert.check_summary(counts, findings))


def _export_line(placed: PlacedEntry) -> tuple[object, ...]:
    entry = placed.entry
    return (
        entry.posted_at.isoformat(),
        entry.customer_id,
        "",
        "",
        Source(entry.source).name,
        _harmless(entry.source_name),
        entry.delta_balance,
        entry.delta_cumulative,
        entry.balance,
        entry.cumulative,
    )


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _csv(lines: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()
