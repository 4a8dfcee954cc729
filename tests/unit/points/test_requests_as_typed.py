"""What people type into searches of the ledger, and at the till."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from libs.common.errors import InvalidArgument
from libs.common.ids import new_id
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert.coupons import code_in, named_claim
from services.points.convert.requests import check_scope, quoted_amount, search, statement_days

NOW = datetime(2026, 11, 30, tzinfo=UTC)
TEAM = str(new_id())
CODE = "5H6558HDRYDR"


def fields(error: pytest.ExceptionInfo[InvalidArgument]) -> dict[str, str]:
    """What is wrong, by field."""
    return {each.field: each.description for each in error.value.violations}


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize("zone", ["Asia/Taipei", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("day", ["9999-12-31", "9999-01-01", "1969-12-31", "0001-01-01"])
def test_days_at_the_ends_of_the_calendar_are_refused(day: str, zone: str) -> None:
    request = pb.ListDailyStatementsRequest(team_id=TEAM, end_date=day)
    with pytest.raises(InvalidArgument) as refused:
        statement_days(request, NOW, ZoneInfo(zone))
    assert fields(refused)["end_date"] == "must be a day in the years 1970 to 9998"
    with pytest.raises(InvalidArgument) as refused:
        search(TEAM, pb.EntryFilter(start_date=day, end_date=day), NOW, ZoneInfo(zone))
    assert set(fields(refused)) == {"filter.start_date", "filter.end_date"}


@pytest.mark.parametrize("day", ["9998-12-31", "1970-01-01"])
def test_every_day_that_is_taken_has_a_beginning_and_an_end(day: str) -> None:
    for zone in map(ZoneInfo, ("Pacific/Kiritimati", "Etc/GMT+12")):
        request = pb.ListDailyStatementsRequest(team_id=TEAM, start_date=day, end_date=day)
        first, last = statement_days(request, NOW, zone).beginnings(zone)
        assert first < last


@pytest.mark.rule("P-11b")
@pytest.mark.parametrize(
    ("typed", "looked_for"),
    [
        ("0912345678", "912345678"),
        ("0912-345-678", "912345678"),
        ("+886 912 345 678", "+886912345678"),
        ("(0912) 345 678", "912345678"),
        ("12-345678", "12-345678"),
        ("M-0912 345", "m-0912 345"),
        ("2026-01-31", "2026-01-31"),
        ("  ", ""),
        ("\u200b", ""),
    ],
)
def test_a_phone_is_looked_for_without_what_stands_between_its_digits(typed: str, looked_for: str) -> None:
    assert search(TEAM, pb.EntryFilter(keyword=typed), NOW).keyword == looked_for


@pytest.mark.rule("P-20d")
@pytest.mark.parametrize(
    "typed",
    [CODE, CODE.lower(), "5h65 58hd rydr", "5H65-58HD-RYDR", f" {CODE}\u200b", "５Ｈ６５５８ＨＤＲＹＤＲ"],
)
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    assert code_in(typed) == CODE
    assert named_claim(pb.GetCouponClaimRequest(team_id=TEAM, code=typed))[1:] == (None, CODE)


@pytest.mark.parametrize("typed", ["", " ", "--"])
def test_a_claim_is_named_by_something(typed: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        named_claim(pb.GetCouponClaimRequest(team_id=TEAM, code=typed))
    assert fields(refused) == {"coupon_claim_id": "or code is required"}


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize("code", ["", "twd", "ＴＷＤ", "TWDD"])
def test_an_amount_in_no_currency_is_not_quoted(code: str) -> None:
    request = pb.QuoteEarningRequest(team_id=TEAM, amount=Money(currency_code=code, amount_micros=10**18 + 1))
    with pytest.raises(InvalidArgument) as refused:
        quoted_amount(request)
    assert set(fields(refused)) == {"amount.currency_code", "amount.amount_micros"}
    assert quoted_amount(pb.QuoteEarningRequest(team_id=TEAM))[1] == 0, "an amount that is absent"


def test_a_check_of_nothing_does_not_say_that_all_is_well() -> None:
    request = pb.CheckLedgerRequest(team_id=TEAM)
    request.start_time.FromDatetime(NOW)
    request.end_time.FromDatetime(NOW)
    with pytest.raises(InvalidArgument) as refused:
        check_scope(request)
    assert fields(refused) == {"end_time": "must be after start_time"}
