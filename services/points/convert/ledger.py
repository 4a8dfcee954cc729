"""Contract to domain and back, pure. Malformed postings are reported with their path, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import structlog

from libs.common.money import format_micros, is_currency
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.internal.v1 import ledger_service_pb2, postings_pb2
from omnijourney.points.v1 import (
    account_pb2,
    check_pb2,
    entry_pb2,
    formula_pb2,
    posting_pb2,
    row_set_aside_pb2,
)
from services.points.domain.check import Finding
from services.points.domain.model import (
    POINTS_MAX,
    Account,
    AccountKey,
    Body,
    CouponSpend,
    Earn,
    ImportRow,
    JourneyChange,
    Manual,
    Merge,
    Posting,
    PostingAnswer,
    PostingOutcome,
    Refund,
)
from services.points.domain.views import (
    ChangedPoints,
    CheckCounts,
    DailyStatement,
    FormulaSetting,
    LedgerSums,
    NamedEntry,
    PlacedEntry,
    RowSetAside,
)

ID_LENGTH_MAX: Final = 200
NAME_LENGTH_MAX: Final = 500
NOTE_LENGTH_MAX: Final = 500
ROW_NUMBER_MAX: Final = 10**9
_LOGGED_MAX: Final = 50

_log = structlog.get_logger(__name__)


_is_currency = lru_cache(maxsize=512)(is_currency)


class PostingCheck(FieldCheck):
    """What postings need beside `FieldCheck`."""

    def words(self, field: str, text: str, length_max: int, *, required: bool = False) -> str:
        """A text that PostgreSQL can hold."""
        if not text and not required:
            return text
        if "\x00" in text:
            self.fault(field, "must not hold the character U+0000")
        return self.text(field, text, length_max=length_max, length_min=1 if required else 0)

    def points(self, field: str, value: int, *, least: int = 1) -> int:
        """Points of one posting, not 0."""
        if value == 0:
            self.fault(field, "must not be 0")
            return value
        return self.whole(field, value, least=least, most=POINTS_MAX)

    def amount(self, field: str, money: money_pb2.Money) -> tuple[int, str]:
        """Micros and currency."""
        if not _is_currency(money.currency_code):
            self.fault(f"{field}.currency_code", "must be three capitals of ISO 4217")
        return money.amount_micros, money.currency_code


def postings(messages: Sequence[postings_pb2.Posting]) -> list[Posting | posting_pb2.PostingResult]:
    """Postings of a call, or the answers to those that are faulty whatever is stored."""
    faulty: list[list[str]] = []
    read = [_read(message, faulty) for message in messages]
    if faulty:
        # What they hold is not said: it may be anything.
        _log.error("postings are faulty", count=len(faulty), faults_of_first=faulty[0])
    return read


def _read(message: postings_pb2.Posting, faulty: list[list[str]]) -> Posting | posting_pb2.PostingResult:
    check = PostingCheck()
    posting = _posting(message, check)
    if not check.violations:
        return posting
    faulty.append([f"{fault.field} {fault.description}" for fault in check.violations[:_LOGGED_MAX]])
    return posting_pb2.PostingResult(
        key=message.key,
        status=posting_pb2.POSTING_STATUS_REFUSED,
        reason=posting_pb2.POSTING_REASON_INVALID_FIELDS,
    )


def _posting(message: postings_pb2.Posting, check: PostingCheck) -> Posting:
    kind = message.WhichOneof("kind")
    body: Body = _NOTHING
    if kind is None:
        check.fault("kind", "is required")
    else:
        body = _BODIES[kind](getattr(message, kind), check)
    customer_id = check.uuid("customer_id", message.customer_id)
    if isinstance(body, Merge) and body.survivor_id == customer_id:
        check.fault("merge.survivor_customer_id", "must be another customer")
    return Posting(
        key=check.uuid("key", message.key),
        team_id=check.uuid("team_id", message.team_id),
        customer_id=customer_id,
        occurred_at=check.time("occur_time", message, "occur_time")
        if message.HasField("occur_time")
        else None,
        actor=check.words("actor", message.actor, ID_LENGTH_MAX),
        body=body,
    )


_NOTHING: Final = Manual(0, deduct_cumulative=False, note="")
"""Stands where a faulty posting has no body; such a one is refused."""


def _earn(body: postings_pb2.EarnPosting, check: PostingCheck) -> Earn:
    amount_micros, currency = check.amount("earn.amount", body.amount)
    return Earn(
        order_key=check.uuid("earn.order_key", body.order_key),
        shop_id=check.words("earn.shop_id", body.shop_id, ID_LENGTH_MAX),
        order_id=check.words("earn.order_id", body.order_id, ID_LENGTH_MAX),
        amount_micros=amount_micros,
        currency=currency,
        has_phone=body.has_phone,
        order_number=check.words("earn.order_number", body.order_number, ID_LENGTH_MAX),
    )


def _refund(body: postings_pb2.RefundPosting, check: PostingCheck) -> Refund:
    amount_micros, currency = check.amount("refund.amount", body.amount)
    if amount_micros < 0:
        check.fault("refund.amount.amount_micros", "must be 0 or more")
    return Refund(
        refund_key=check.uuid("refund.refund_key", body.refund_key),
        order_key=check.optional_uuid("refund.order_key", body.order_key),
        shop_id=check.words("refund.shop_id", body.shop_id, ID_LENGTH_MAX),
        refund_id=check.words("refund.refund_id", body.refund_id, ID_LENGTH_MAX),
        order_id=check.words("refund.order_id", body.order_id, ID_LENGTH_MAX),
        amount_micros=amount_micros,
        currency=currency,
        order_number=check.words("refund.order_number", body.order_number, ID_LENGTH_MAX),
    )


def _journey(
    body: postings_pb2.JourneyAddPosting | postings_pb2.JourneyDeductPosting,
    name: str,
    sign: int,
    check: PostingCheck,
) -> JourneyChange:
    return JourneyChange(
        points=sign * check.points(f"{name}.points", body.points),
        journey_id=check.uuid(f"{name}.journey_id", body.journey_id),
        journey_name=check.words(f"{name}.journey_name", body.journey_name, NAME_LENGTH_MAX),
        enrolment_id=check.uuid(f"{name}.enrolment_id", body.enrolment_id),
        node_id=check.words(f"{name}.node_id", body.node_id, ID_LENGTH_MAX, required=True),
        has_phone=body.has_phone,
    )


def _journey_add(body: postings_pb2.JourneyAddPosting, check: PostingCheck) -> JourneyChange:
    return _journey(body, "journey_add", 1, check)


def _journey_deduct(body: postings_pb2.JourneyDeductPosting, check: PostingCheck) -> JourneyChange:
    return _journey(body, "journey_deduct", -1, check)


def _coupon(body: postings_pb2.CouponPosting, check: PostingCheck) -> CouponSpend:
    return CouponSpend(
        points=check.points("coupon.points", body.points),
        coupon_id=check.uuid("coupon.coupon_id", body.coupon_id),
        coupon_name=check.words("coupon.coupon_name", body.coupon_name, NAME_LENGTH_MAX),
        claim_id=check.uuid("coupon.claim_id", body.claim_id),
    )


def _import_row(body: postings_pb2.ImportPosting, check: PostingCheck) -> ImportRow:
    return ImportRow(
        points=check.points("import_row.points", body.points, least=-POINTS_MAX),
        deduct_cumulative=body.deduct_cumulative,
        import_id=check.uuid("import_row.import_id", body.import_id),
        file_name=check.words("import_row.file_name", body.file_name, NAME_LENGTH_MAX),
        row_number=check.whole("import_row.row_number", body.row_number, least=1, most=ROW_NUMBER_MAX),
    )


def _manual(body: postings_pb2.ManualPosting, check: PostingCheck) -> Manual:
    return Manual(
        points=check.points("manual.points", body.points, least=-POINTS_MAX),
        deduct_cumulative=body.deduct_cumulative,
        note=check.words("manual.note", body.note, NOTE_LENGTH_MAX, required=True),
    )


def _merge(body: postings_pb2.MergePosting, check: PostingCheck) -> Merge:
    return Merge(
        survivor_id=check.uuid("merge.survivor_customer_id", body.survivor_customer_id),
        merge_id=check.uuid("merge.merge_id", body.merge_id),
    )


_BODIES: Final[dict[str, Callable[[Any, PostingCheck], Body]]] = {
    "earn": _earn,
    "refund": _refund,
    "journey_add": _journey_add,
    "journey_deduct": _journey_deduct,
    "coupon": _coupon,
    "import_row": _import_row,
    "manual": _manual,
    "merge": _merge,
}


def result(answer: PostingAnswer) -> posting_pb2.PostingResult:
    """The result of a posting. Statuses and reasons have the same numbers on both sides."""
    return recorded(answer.outcome, replayed=answer.replayed)


def recorded(outcome: PostingOutcome, *, replayed: bool) -> posting_pb2.PostingResult:
    """A recorded outcome as a result."""
    return posting_pb2.PostingResult(
        key=str(outcome.key),
        status=outcome.status.value,  # type: ignore[arg-type]  # same numbers
        reason=outcome.reason.value,  # type: ignore[arg-type]  # same numbers
        delta_balance=outcome.delta_balance,
        delta_cumulative=outcome.delta_cumulative,
        shortfall=outcome.shortfall,
        balance=outcome.balance,
        cumulative=outcome.cumulative,
        sequence=outcome.sequence,
        replayed=replayed,
    )


def balance(key: AccountKey, account: Account) -> account_pb2.Balance:
    """A customer's figures."""
    team_id, customer_id = key
    return account_pb2.Balance(
        team_id=str(team_id),
        customer_id=str(customer_id),
        balance=account.balance,
        cumulative=account.cumulative,
        sequence=account.sequence,
    )


def summary(sums: LedgerSums) -> account_pb2.LedgerSummary:
    """Sums of a ledger; the journeys' net change is derived here, so that it cannot disagree with its parts."""
    fields = {name: getattr(sums, name) for name in LedgerSums.__struct_fields__}
    return account_pb2.LedgerSummary(**fields, journey=sums.journey_added - sums.journey_deducted)


def formula(team_id: str, present: FormulaSetting) -> formula_pb2.EarningFormula:
    """A formula with its numbers in their shortest decimal form."""
    return formula_pb2.EarningFormula(
        team_id=team_id,
        amount=format_micros(present.formula.amount_micros, 0),
        points=format_micros(present.formula.points_micros, 0),
        create_time=timestamp(present.created_at),
    )


def row_set_aside(source: str, row: RowSetAside) -> row_set_aside_pb2.RowSetAside:
    """A row that could not be applied; `source` is the service's name."""
    return row_set_aside_pb2.RowSetAside(
        source=source,
        partition=row.partition,
        position=row.position,
        message=row.reason,
        create_time=timestamp(row.set_aside_at),
    )


def entry(placed: PlacedEntry) -> entry_pb2.Entry:
    """An entry with its place in the feed."""
    each = placed.entry
    return entry_pb2.Entry(
        partition=placed.partition,
        position=placed.position,
        team_id=str(each.team_id),
        customer_id=str(each.customer_id),
        sequence=each.sequence,
        source=each.source.value,  # type: ignore[arg-type]  # same numbers
        source_id=each.source_id,
        source_name=each.source_name,
        delta_balance=each.delta_balance,
        delta_cumulative=each.delta_cumulative,
        requested_balance=each.requested_balance,
        requested_cumulative=each.requested_cumulative,
        balance=each.balance,
        cumulative=each.cumulative,
        occur_time=timestamp(each.occurred_at),
        post_time=timestamp(each.posted_at),
        key=str(each.key),
        actor=each.actor,
        order_key=str(each.order_key or ""),
        enrolment_id=str(each.enrolment_id or ""),
        node_id=each.node_id,
        note=each.note,
        hash=each.hash,
    )


def report_line(line: NamedEntry) -> entry_pb2.ReportLine:
    """A line of the history report."""
    named = line.customer
    return entry_pb2.ReportLine(entry=entry(line.placed), customer_name=named.name, member_id=named.member_id)


def statement(each: DailyStatement) -> account_pb2.DailyStatement:
    """One day."""
    return account_pb2.DailyStatement(
        date=each.day.isoformat(),
        opening=each.opening,
        **msgspec.structs.asdict(each.changes),
        closing=each.closing,
        start_time=timestamp(each.beginning),
    )


def finding(found: Finding) -> check_pb2.Finding:
    """A broken law."""
    return check_pb2.Finding(
        invariant=found.invariant.value,  # type: ignore[arg-type]  # same numbers
        customer_id=str(found.customer_id or ""),
        sequence=found.sequence,
        key=str(found.key or ""),
        detail=found.detail,
    )


def point_changes(found: ChangedPoints) -> ledger_service_pb2.PointChanges:
    """What has changed one customer's points."""
    return ledger_service_pb2.PointChanges(
        balance=found.balance,
        cumulative=found.cumulative,
        changes=[
            ledger_service_pb2.PointChange(
                occur_time=timestamp(each.occurred_at),
                delta_balance=each.delta_balance,
                delta_cumulative=each.delta_cumulative,
                journey_id=each.journey_id,
            )
            for each in found.changes
        ],
    )


def check_summary(counts: CheckCounts, findings: int) -> check_pb2.CheckSummary:
    """The end of a check."""
    return check_pb2.CheckSummary(
        accounts=counts.accounts,
        entries=counts.entries,
        outcomes=counts.outcomes,
        orders=counts.orders,
        findings=findings,
    )
