"""Points: what was gained and spent, by whom and why; how orders earn them; and the daily statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from libs.console.downloads import CSV, download
from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.labels import POINT_SOURCES
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import customer_of, number_in
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.points.v1 import entry_pb2
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.points.v1.account_pb2 import DailyStatement
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1 import team_pb2
from omnijourney.segment.v1.customer_pb2 import Customer

routes = web.RouteTableDef()
AREAS = (Area(noted("Points"), "/points", 50),)

PERIODS: Final = (30, 90)
"""Days that can be searched with one click; 90 is the most of one search."""
_PERIOD_NAMES: Final = {30: noted("Last 30 days"), 90: noted("Last 90 days")}
_FILTER_FIELDS: Final = {
    "filter.start_date": "start",
    "filter.end_date": "end",
    "filter.start_time": "start",
    "filter.end_time": "end",
    "filter.keyword": "keyword",
    "filter.sources": "source",
}
_STATEMENT_FIELDS: Final = {"start_date": "start", "end_date": "end"}
_FORMULA_FIELDS: Final = {"amount": "amount", "points": "points"}
_EXAMPLE_MICROS: Final = 150_000_000


@routes.get("/points")
async def history(request: web.Request) -> web.Response:
    """Changes of points of everybody, newest first."""
    return await _history(Visit.of(request), None)


@routes.get("/points/customers/{customer_id}")
async def history_of_one(request: web.Request) -> web.Response:
    """Changes of points of one customer."""
    visit = Visit.of(request)
    return await _history(visit, await customer_of(visit, request.match_info["customer_id"]))


@routes.get("/points/history.csv")
async def exported(request: web.Request) -> web.StreamResponse:
    """The same search as a file for spreadsheets."""
    visit = Visit.of(request)
    wanted = await _filter(visit, request.query, request.query.get("customer", ""))
    parts = visit.client.points.ExportEntries(
        points.ExportEntriesRequest(team_id=visit.team_id, filter=wanted)
    )
    return await download(visit, "points-history.csv", CSV, (part.csv async for part in parts))


async def _history(visit: Visit, customer: Customer | None) -> web.Response:
    query = visit.request.query
    lines: Sequence[Any] = ()
    faults, status, next_token = Faults(), 200, ""
    balance = None
    if not has_points(visit):
        return visit.render("points/missing.html")
    wanted = await _filter(visit, query, customer.customer_id if customer else "")
    try:
        page = await visit.call(
            visit.client.points.ListEntries,
            points.ListEntriesRequest(
                team_id=visit.team_id,
                filter=wanted,
                page_size=PAGE_SIZE,
                page_token=query.get("page_token", ""),
            ),
        )
        lines, next_token = page.lines, page.next_page_token
    except CallError as error:
        faults, status = refusal(visit, error, _FILTER_FIELDS), status_of(error)
    if customer is not None:
        request = points.GetBalanceRequest(team_id=visit.team_id, customer_id=customer.customer_id)
        balance = (await visit.call(visit.client.points.GetBalance, request)).balance
    kept = {name: value for name, value in query.items() if name != "page_token"}
    of_one = {"customer": customer.customer_id} if customer else {}
    return visit.render(
        "points/history.html",
        status=status,
        customer=customer,
        balance=balance,
        lines=lines,
        faults=faults,
        query=query,
        periods=[
            (days, visit.say(_PERIOD_NAMES[days]), _period_link(visit, kept, days), _is_of(query, days))
            for days in PERIODS
        ],
        sources=[(str(number), visit.say(name)) for number, name in POINT_SOURCES.items()],
        source_names=POINT_SOURCES,
        is_filtered=bool(kept),
        csv_link=f"/points/history.csv?{urlencode({**kept, **of_one})}",
        next_link=visit.page_link(next_token),
    )


def _period_link(visit: Visit, kept: dict[str, str], days: int) -> str:
    others = {name: value for name, value in kept.items() if name not in {"start", "end", "days"}}
    return f"{visit.request.path}?{urlencode({**others, 'days': str(days)})}"


def _is_of(query: MultiMapping[str], days: int) -> bool:
    return query.get("days", str(PERIODS[0])) == str(days) and not (query.get("start") or query.get("end"))


async def _filter(visit: Visit, query: MultiMapping[str], customer_id: str) -> points.EntryFilter:
    start, end = query.get("start", ""), query.get("end", "")
    if not (start or end) and query.get("days") == str(PERIODS[1]):
        start = (await today(visit) - timedelta(days=PERIODS[1] - 1)).isoformat()
    source = query.get("source", "")
    return points.EntryFilter(
        start_date=start,
        end_date=end,
        keyword=await _keyword(visit, query),
        sources=[entry_pb2.EntrySource.ValueType(int(source))] if source in map(str, POINT_SOURCES) else [],
        customer_id=customer_id,
    )


async def _keyword(visit: Visit, query: MultiMapping[str]) -> str:
    """As it was typed; where it is a phone number that nobody has in this spelling, the number."""
    keyword = query.get("keyword", "").strip()[:100]
    number = await number_in(visit, keyword)
    if not number or number == keyword:
        return keyword
    asked = segment.ListCustomersRequest(team_id=visit.team_id, keyword=keyword, page_size=1)
    found = (await visit.call(visit.client.segment.ListCustomers, asked)).customers
    return number if found and found[0].phone == number else keyword


async def today(visit: Visit) -> date:
    """The team's day by the clock of the services, which a demo lets run faster."""
    request = points.ListDailyStatementsRequest(team_id=visit.team_id)
    statements = (await visit.call(visit.client.points.ListDailyStatements, request)).statements
    return date.fromisoformat(statements[-1].date)


@routes.get("/points/statement")
async def statement(request: web.Request) -> web.Response:
    """What each day began and ended with, and what moved between."""
    visit = Visit.of(request)
    if not has_points(visit):
        return visit.render("points/missing.html")
    statements: Sequence[DailyStatement] = ()
    faults, status = Faults(), 200
    try:
        answer = await visit.call(
            visit.client.points.ListDailyStatements,
            points.ListDailyStatementsRequest(
                team_id=visit.team_id,
                start_date=request.query.get("start", ""),
                end_date=request.query.get("end", ""),
            ),
        )
        statements = list(reversed(answer.statements))
    except CallError as error:
        faults, status = refusal(visit, error, _STATEMENT_FIELDS), status_of(error)
    return visit.render(
        "points/statement.html", status=status, statements=statements, faults=faults, query=request.query
    )


@routes.get("/points/formula")
async def formula(request: web.Request) -> web.Response:
    """How orders earn points."""
    return await _formula_page(Visit.of(request), {}, Faults())


@routes.post("/points/formula")
async def set_formula(request: web.Request) -> web.Response:
    """Sets it, once."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    try:
        await visit.call(
            visit.client.points.SetEarningFormula,
            points.SetEarningFormulaRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                amount=given.get("amount", "").strip(),
                points=given.get("points", "").strip(),
            ),
        )
    except CallError as error:
        return await _formula_page(visit, given, refusal(visit, error, _FORMULA_FIELDS), status_of(error))
    return visit.go("/points/formula", noted("The formula is set."))


async def _formula_page(
    visit: Visit, given: dict[str, str], faults: Faults, status: int = 200
) -> web.Response:
    if not has_points(visit):
        return visit.render("points/missing.html")
    found = None
    earned = 0
    try:
        found = (
            await visit.call(
                visit.client.points.GetEarningFormula, points.GetEarningFormulaRequest(team_id=visit.team_id)
            )
        ).formula
        example = Money(currency_code=_currency(visit), amount_micros=_EXAMPLE_MICROS)
        earned = (
            await visit.call(
                visit.client.points.QuoteEarning,
                points.QuoteEarningRequest(team_id=visit.team_id, amount=example),
            )
        ).points
    except CallError as error:
        if error.reason != "RESOURCE_NOT_FOUND":
            raise
    return visit.render(
        "points/formula.html",
        status=status,
        formula=found,
        example=Money(currency_code=_currency(visit), amount_micros=_EXAMPLE_MICROS),
        earned=earned,
        given=given,
        faults=faults,
    )


def _currency(visit: Visit) -> str:
    return (visit.team.settings.currency_code if visit.team is not None else "") or "TWD"


def has_points(visit: Visit) -> bool:
    """Whether the team has the module."""
    return visit.team is not None and team_pb2.MODULE_POINTS in visit.team.settings.modules
