"""Requests of people and readers, checked: contract in, arguments of the stores out; every fault at once."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from libs.common.ids import derived_id
from libs.common.money import MoneyError, is_currency, parse_micros
from libs.common.rpc.fields import FieldCheck
from libs.common.text import CONTROL, fold, trimmed
from libs.common.times import EARLIEST, LATEST
from omnijourney.internal.v1 import ledger_service_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.domain.days import SEARCH_DAYS_DEFAULT, Days, beginning, day_of, last_days
from services.points.domain.earning import AMOUNT_MICROS_MAX, Formula
from services.points.domain.errors import SEARCH_DAYS_MAX, search_range_too_long
from services.points.domain.model import POINTS_MAX, AccountKey, Manual, Posting, PostingKey, Source
from services.points.domain.views import CheckScope, EntrySearch

BATCH_MAX: Final = 500
FINDINGS_DEFAULT: Final = 100
FINDINGS_MAX: Final = 10_000
KEYWORD_LENGTH_MAX: Final = 100
_LEADING_ZEROS: Final = re.compile(r"^0+(?=[0-9]{8,}$)")
"""Of a number as its country writes it; in E.164 the rest of it stands behind the calling code."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WRITTEN_PHONE: Final = re.compile(r"[+(0](?:[ ().-]*[0-9]){7,15}[ ().-]*", re.ASCII)
"""A whole number, by how it begins: ids of members may have dashes as well."""
_BETWEEN_DIGITS: Final = str.maketrans("", "", " ().-")
CLOCK_LAG_MAX: Final = timedelta(hours=1)
"""How far a caller's clock may be behind, and how long the pages of a search up to now may be turned."""
_AHEAD: Final = timedelta(days=1)
"""A search without an end goes so far beyond now: entries of one account that come at one instant, as they all do while
the clock is held, are timed a microsecond apart and so run ahead of it."""


def formula(request: pb.SetEarningFormulaRequest) -> tuple[UUID, Formula]:
    """Team and formula."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    amount = _positive(check, "amount", request.amount)
    points = _positive(check, "points", request.points)
    check.done()
    return team_id, Formula(amount, points)


def _positive(check: FieldCheck, field: str, text: str) -> int:
    try:
        micros = parse_micros(text)
    except MoneyError as error:
        check.fault(field, str(error))
        return 1
    if not 0 < micros <= AMOUNT_MICROS_MAX:
        check.fault(field, "must be above 0 and at most 10^12")
    return micros


def request_key(check: FieldCheck, request_id: str, what: str, team_id: UUID) -> UUID:
    """The id of what a request makes, the same for each repetition: the request's id where that is a UUID."""
    try:
        return UUID(request_id)
    except ValueError:
        if request_id and request_id.isprintable():
            return derived_id(team_id, what, request_id)
        check.fault("request_id", "must be printable" if request_id else "is required")
        return team_id


def adjustment(request: pb.AdjustBalanceRequest, actor: str) -> Posting:
    """A change by hand, by `actor`, as a posting; its key follows from the request's id."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    if request.points == 0:
        check.fault("points", "must not be 0")
    if "\x00" in request.note:
        check.fault("note", "must not hold the character U+0000")
    posting = Posting(
        key=request_key(check, request.request_id, "adjustment", team_id),
        team_id=team_id,
        customer_id=check.uuid("customer_id", request.customer_id),
        occurred_at=None,
        actor=actor,
        body=Manual(
            points=check.whole("points", request.points, least=-POINTS_MAX, most=POINTS_MAX),
            deduct_cumulative=request.deduct_cumulative,
            note=check.text("note", request.note, length_max=500),
        ),
    )
    check.done()
    return posting


def posting_key(request: pb.GetPostingOutcomeRequest) -> PostingKey:
    """Team and key."""
    check = FieldCheck()
    key = PostingKey((check.uuid("team_id", request.team_id), check.uuid("key", request.key)))
    check.done()
    return key


def balance(request: pb.GetBalanceRequest) -> tuple[AccountKey, datetime | None]:
    """Customer, and the moment if one is given."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    key = AccountKey((team_id, check.uuid("customer_id", request.customer_id)))
    at = check.time("at_time", request, "at_time") if request.HasField("at_time") else None
    check.done()
    return key, at


def balances(request: pb.BatchGetBalancesRequest) -> list[AccountKey]:
    """Customers of a batch."""
    check = FieldCheck()
    check.count("items", request.items, least=1, most=BATCH_MAX)
    keys = []
    for index, item in enumerate(request.items):
        try:
            keys.append(AccountKey((UUID(item.team_id), UUID(item.customer_id))))
        except ValueError:
            check.uuid(f"items[{index}].team_id", item.team_id)
            check.uuid(f"items[{index}].customer_id", item.customer_id)
    check.done()
    return keys


def point_changes(
    request: ledger_service_pb2.BatchListPointChangesRequest,
) -> tuple[UUID, list[UUID], datetime]:
    """Team, customers, and since when."""
    check = FieldCheck()
    check.count("customer_ids", request.customer_ids, least=1, most=BATCH_MAX)
    team_id = check.uuid("team_id", request.team_id)
    customers = [check.uuid(f"customer_ids[{n}]", id_) for n, id_ in enumerate(request.customer_ids)]
    start = check.time("start_time", request, "start_time")
    check.done()
    assert start is not None
    return team_id, customers, start


def quoted_amount(request: pb.QuoteEarningRequest) -> tuple[UUID, int]:
    """Team, and the micros whose points are asked for."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    if request.HasField("amount") and not is_currency(request.amount.currency_code):
        check.fault("amount.currency_code", "must be three capitals of ISO 4217, such as TWD")
    if request.amount.amount_micros > AMOUNT_MICROS_MAX:
        check.fault("amount.amount_micros", "must be at most 10^18")
    check.done()
    return team_id, request.amount.amount_micros


def names_days(given: pb.EntryFilter) -> bool:
    """Whether a search gives days, for which the team's zone must be known."""
    return bool(given.start_date or given.end_date)


def search(team_id: str, given: pb.EntryFilter, now: datetime, zone: ZoneInfo | None = None) -> EntrySearch:
    """A search in the history, its defaults filled in; `zone` when it names days.

    Raises InvalidArgument `SEARCH_RANGE_TOO_LONG` too.
    """
    check = FieldCheck()
    span = _span_of_days(check, given, now, zone) if zone is not None else _span_of_times(check, given, now)
    found = EntrySearch(
        team_id=check.uuid("team_id", team_id),
        start=span.start,
        end=span.end,
        sources=tuple(_source(check, index, number) for index, number in enumerate(given.sources)),
        customer_id=check.optional_uuid("filter.customer_id", given.customer_id),
        keyword=_keyword(check, given.keyword),
    )
    check.done()
    if span.days > SEARCH_DAYS_MAX:
        first = "filter.start_date" if given.start_date else "filter.start_time"
        raise search_range_too_long(span.days, first)
    return found


def _keyword(check: FieldCheck, text: str) -> str:
    if not trimmed(text):
        return ""
    check.text("filter.keyword", text, length_max=KEYWORD_LENGTH_MAX)
    if CONTROL.search(text):
        check.fault("filter.keyword", "must not hold control characters")
    keyword = fold(trimmed(text))
    if _WRITTEN_PHONE.fullmatch(keyword):
        keyword = keyword.translate(_BETWEEN_DIGITS)
    return _LEADING_ZEROS.sub("", keyword)


class _Span(msgspec.Struct, frozen=True):
    """From `start` to `end` (exclusive), and how many days that is, a part of one counted whole."""

    start: datetime
    end: datetime
    days: int


def _span_of_times(check: FieldCheck, given: pb.EntryFilter, now: datetime) -> _Span:
    asked_end = check.time("filter.end_time", given, "end_time") if given.HasField("end_time") else None
    asked_start = (
        check.time("filter.start_time", given, "start_time") if given.HasField("start_time") else None
    )
    end = asked_end or now
    start = asked_start or _days_before(end, SEARCH_DAYS_DEFAULT)
    if start > (asked_end or now + _AHEAD):
        check.fault("filter.start_time", "must not be after the end")
    # Whoever asks for "the last 90 days" reckons from a clock of their own, which may be behind.
    reckoned = end if asked_end else end - CLOCK_LAG_MAX
    return _Span(start, asked_end or now + _AHEAD, -((start - reckoned) // timedelta(days=1)))


def _span_of_days(check: FieldCheck, given: pb.EntryFilter, now: datetime, zone: ZoneInfo) -> _Span:
    for bound in ("start", "end"):
        if given.HasField(f"{bound}_time"):  # type: ignore[arg-type]  # one of two names
            check.fault(f"filter.{bound}_time", "must not be given together with days")
    today = day_of(now, zone)
    days = _days(check, "filter.", given.start_date, given.end_date, today)
    end = now + _AHEAD if days.last >= today else beginning(days.last + timedelta(days=1), zone)
    return _Span(beginning(days.first, zone), end, days.count)


def _days(check: FieldCheck, prefix: str, start_date: str, end_date: str, today: date) -> Days:
    last = _day(check, f"{prefix}end_date", end_date) or today
    first = _day(check, f"{prefix}start_date", start_date) or last_days(last).first
    if first > last:
        check.fault(f"{prefix}start_date", "must not be after the last day")
    return Days(first, last)


def _day(check: FieldCheck, field: str, text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None  # no day of the calendar
    if day is None:
        check.fault(field, "must be a day such as 2026-01-31")
    elif not EARLIEST.date() <= day < LATEST.date():
        check.fault(field, "must be a day in the years 1970 to 9998")
        return None
    return day


def statement_days(request: pb.ListDailyStatementsRequest, now: datetime, zone: ZoneInfo) -> Days:
    """The days of a statement. Raises InvalidArgument `SEARCH_RANGE_TOO_LONG` too."""
    check = FieldCheck()
    days = _days(check, "", request.start_date, request.end_date, day_of(now, zone))
    check.done()
    if days.count > SEARCH_DAYS_MAX:
        raise search_range_too_long(days.count, "start_date")
    return days


def _days_before(at: datetime, days: int) -> datetime:
    try:
        return at - timedelta(days=days)
    except OverflowError:
        return at


def _source(check: FieldCheck, index: int, number: int) -> Source:
    try:
        return Source(number)
    except ValueError:
        check.fault(f"filter.sources[{index}]", "is no source")
        return Source.MANUAL


def check_scope(request: pb.CheckLedgerRequest) -> tuple[CheckScope, int]:
    """What to check, and after how many findings to stop."""
    check = FieldCheck()
    if request.incremental and (
        request.customer_id or request.HasField("start_time") or request.HasField("end_time")
    ):
        check.fault("incremental", "must not be given together with times or a customer")
    start, end = check.range(request)
    scope = CheckScope(
        team_id=check.uuid("team_id", request.team_id),
        customer_id=check.optional_uuid("customer_id", request.customer_id),
        start=start,
        end=end,
    )
    asked = request.findings_max or FINDINGS_DEFAULT
    findings_max = check.whole("findings_max", asked, least=1, most=FINDINGS_MAX)
    check.done()
    return scope, findings_max
