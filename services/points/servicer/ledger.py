# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of points: formula, postings, balances, feed and checks; the other parts are beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from libs.common.errors import AlreadyExists, FieldViolation, InvalidArgument, NotFound
from libs.common.feeds.notifier import long_poll
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import history_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points import metrics
from services.points.convert import ledger as convert
from services.points.convert import requests
from services.points.domain.earning import AMOUNT_MICROS_MAX, earned
from services.points.domain.errors import formula_already_set, insufficient_points, points_out_of_range
from services.points.domain.model import Manual, Reason, Status
from services.points.servicer.coupons import CouponCalls
from services.points.servicer.imports import ImportCalls
from services.points.servicer.reports import ReportCalls
from services.points.store.checks import CheckCounts
from services.points.store.ledger import SetFormula
from services.points.store.reports import PlacedEntry


class PointsServicer(ReportCalls, CouponCalls, ImportCalls):
    """See `protos/omnijourney/points/v1/points_service.proto`."""

    async def SetEarningFormula(
        self, request: pb.SetEarningFormulaRequest, context: Any
    ) -> pb.SetEarningFormulaResponse:
        """Sets the formula, once."""
        team_id, wanted = requests.formula(request)
        present = await self._parts.ledger.set_formula(team_id, wanted)
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
        present = await self._parts.ledger.formula(team_id)
        if present is None:
            raise NotFound.of("earning_formula", team_id)
        return present

    async def PostEntries(self, request: pb.PostEntriesRequest, context: Any) -> pb.PostEntriesResponse:
        """Posts a batch."""
        count = len(request.postings)
        if not 1 <= count <= requests.BATCH_MAX:
            violation = FieldViolation("postings", f"must have 1 to {requests.BATCH_MAX} items, has {count}")
            raise InvalidArgument.of(violation)
        answers = await self._parts.writer.post(convert.postings(request.postings))
        return pb.PostEntriesResponse(results=[convert.result(answer) for answer in answers])

    async def AdjustBalance(self, request: pb.AdjustBalanceRequest, context: Any) -> pb.AdjustBalanceResponse:
        """Posts a change by hand."""
        posting = requests.adjustment(request)
        assert isinstance(posting.body, Manual)
        (answer,) = await self._parts.writer.post([posting])
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
        outcome = await self._parts.ledger.outcome(ref)
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
            (account,) = await self._parts.ledger.balances([ref])
        else:
            account = await self._parts.ledger.balance_at(ref, at)
        return pb.GetBalanceResponse(balance=convert.balance(ref, account))

    async def BatchGetBalances(
        self, request: pb.BatchGetBalancesRequest, context: Any
    ) -> pb.BatchGetBalancesResponse:
        """Reads many customers."""
        refs = requests.balances(request)
        accounts = await self._parts.ledger.balances(refs)
        return pb.BatchGetBalancesResponse(
            balances=[convert.balance(ref, account) for ref, account in zip(refs, accounts, strict=True)]
        )

    async def GetLedgerSummary(
        self, request: pb.GetLedgerSummaryRequest, context: Any
    ) -> pb.GetLedgerSummaryResponse:
        """Sums the team's ledger."""
        sums = await self._parts.ledger.summary(requests.team(request.team_id))
        return pb.GetLedgerSummaryResponse(summary=convert.summary(sums))

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Any) -> pb.ListHistoryResponse:
        """A page of the feed; waits for one if asked."""
        asked = requests.feed(request)

        async def read() -> tuple[list[PlacedEntry], dict[int, int]]:
            return await self._parts.reports.history(asked.cursors, asked.limit)

        entries, following = await long_poll(read, self._parts.notifier, asked.wait_s, self._parts.draining)
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
        began_at = self._parts.clock.now()
        if request.incremental:
            scope = await self._parts.checks.since_last(scope.team_id)
        counts, findings = CheckCounts(), 0
        async for finding in self._parts.checks.check(scope, counts):
            findings += 1
            metrics.FINDINGS.inc()
            yield pb.CheckLedgerResponse(finding=convert.finding(finding))
            if findings == findings_max:
                break
        if request.incremental and not findings:
            await self._parts.checks.note_clean(scope.team_id, began_at)
        yield pb.CheckLedgerResponse(summary=convert.check_summary(counts, findings))
