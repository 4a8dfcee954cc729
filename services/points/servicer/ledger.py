# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of points: formula, postings, balances, feed and checks; coupons, imports, reports stand beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from libs.common.callers import caller
from libs.common.errors import AlreadyExists, FailedPrecondition, NotFound
from libs.common.rpc.servicing import team_of
from libs.common.rpc.values import timestamp
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points import metrics
from services.points.convert import ledger as convert
from services.points.convert import requests
from services.points.domain.earning import earned
from services.points.domain.errors import insufficient_points, points_out_of_range
from services.points.domain.model import AccountKey, Manual, PostingAnswer, Reason, Status
from services.points.domain.views import CheckCounts, FormulaSetting
from services.points.servicer.coupons import CouponCalls
from services.points.servicer.imports import ImportCalls
from services.points.servicer.reports import ReportCalls
from services.points.servicer.rows_set_aside import SetAsideCalls
from services.points.usecases.adjustments import Adjustment


class PointsServicer(ReportCalls, CouponCalls, ImportCalls, SetAsideCalls):
    """See `protos/omnijourney/points/v1/points_service.proto`."""

    async def SetEarningFormula(
        self, request: pb.SetEarningFormulaRequest, context: Any
    ) -> pb.SetEarningFormulaResponse:
        """Sets the formula, once."""
        team_id, wanted = requests.formula(request)

        def answer(present: FormulaSetting) -> pb.SetEarningFormulaResponse:
            return pb.SetEarningFormulaResponse(formula=convert.formula(str(team_id), present))

        return await self._deps.ledger.set_formula(
            request, team_id, wanted, pb.SetEarningFormulaResponse, answer
        )

    async def GetEarningFormula(
        self, request: pb.GetEarningFormulaRequest, context: Any
    ) -> pb.GetEarningFormulaResponse:
        """Reads the formula."""
        team_id = team_of(request.team_id)
        await self._deps.modules.require(team_id)
        present = await self._formula(team_id)
        return pb.GetEarningFormulaResponse(formula=convert.formula(str(team_id), present))

    async def QuoteEarning(self, request: pb.QuoteEarningRequest, context: Any) -> pb.QuoteEarningResponse:
        """Applies the formula to an amount."""
        team_id, amount_micros = requests.quoted_amount(request)
        await self._deps.modules.require(team_id)
        present = await self._formula(team_id)
        return pb.QuoteEarningResponse(points=earned(amount_micros, present.formula))

    async def _formula(self, team_id: UUID) -> FormulaSetting:
        present = await self._deps.ledger_store.formula(team_id)
        if present is None:
            raise NotFound.of("earning_formula", team_id)
        return present

    async def AdjustBalance(self, request: pb.AdjustBalanceRequest, context: Any) -> pb.AdjustBalanceResponse:
        """Posts a change by hand."""
        posting = requests.adjustment(request, caller().name)
        assert isinstance(posting.body, Manual)
        await self._deps.customers.require(posting.team_id, posting.customer_id)
        key = AccountKey((posting.team_id, posting.customer_id))
        wanted = Adjustment(posting, request, _adjusted, lambda account: convert.balance(key, account))
        answer = await self._deps.adjustments.adjust(wanted)
        outcome = answer.outcome
        if outcome.reason == Reason.MODULE_MISSING:
            raise FailedPrecondition.module_missing("POINTS")
        if outcome.status == Status.REFUSED:
            raise AlreadyExists.request_id_reused(request.request_id)
        if outcome.reason == Reason.INSUFFICIENT:
            raise insufficient_points(outcome.balance, -posting.body.points)
        if outcome.reason == Reason.OUT_OF_RANGE:
            raise points_out_of_range(outcome.balance)
        return _adjusted(answer)

    async def GetPostingOutcome(
        self, request: pb.GetPostingOutcomeRequest, context: Any
    ) -> pb.GetPostingOutcomeResponse:
        """Reads what is recorded under a key."""
        key = requests.posting_key(request)
        outcome = await self._deps.ledger_store.outcome(key)
        if outcome is None:
            raise NotFound.of("posting", key[1])
        return pb.GetPostingOutcomeResponse(
            result=convert.recorded(outcome, replayed=True),
            customer_id=str(outcome.customer_id),
            record_time=timestamp(outcome.recorded_at),
        )

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Any) -> pb.GetBalanceResponse:
        """Reads one customer, now or at a moment."""
        key, at = requests.balance(request)
        await self._deps.modules.require(key[0])
        if at is None:
            (account,) = await self._deps.ledger_store.balances([key])
        else:
            account = await self._deps.ledger_store.balance_at(key, at)
        return pb.GetBalanceResponse(balance=convert.balance(key, account))

    async def BatchGetBalances(
        self, request: pb.BatchGetBalancesRequest, context: Any
    ) -> pb.BatchGetBalancesResponse:
        """Reads many customers. Our own services ask whatever the teams have: what they show of it, they look at."""
        keys = requests.balances(request)
        if not caller().is_internal:
            await self._deps.modules.require(*{team_id for team_id, _ in keys})
        accounts = await self._deps.ledger_store.balances(keys)
        return pb.BatchGetBalancesResponse(
            balances=[convert.balance(key, account) for key, account in zip(keys, accounts, strict=True)]
        )

    async def GetLedgerSummary(
        self, request: pb.GetLedgerSummaryRequest, context: Any
    ) -> pb.GetLedgerSummaryResponse:
        """Sums the team's ledger. Our own services, which check figures by it, ask whatever the team has."""
        team_id = team_of(request.team_id)
        if not caller().is_internal:
            await self._deps.modules.require(team_id)
        sums = await self._deps.ledger_store.sums(team_id)
        return pb.GetLedgerSummaryResponse(summary=convert.summary(sums))

    async def CheckLedger(
        self, request: pb.CheckLedgerRequest, context: Any
    ) -> AsyncIterator[pb.CheckLedgerResponse]:
        """Checks the ledger; findings first, the summary last."""
        scope, findings_max = requests.check_scope(request)
        counts, total = CheckCounts(), 0
        if request.incremental:
            findings = self._deps.checks.check_incrementally(scope.team_id, counts, findings_max)
        else:
            findings = self._deps.checks.check(scope, counts, findings_max)
        async for finding in findings:
            total += 1
            metrics.FINDINGS.inc()
            yield pb.CheckLedgerResponse(finding=convert.finding(finding))
        yield pb.CheckLedgerResponse(summary=convert.check_summary(counts, total))


def _adjusted(answer: PostingAnswer) -> pb.AdjustBalanceResponse:
    return pb.AdjustBalanceResponse(result=convert.result(answer))
