"""What to do first in an empty team, and a tour of one that has data, as `make demo` leaves it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import grpc
from aiohttp import web

from libs.console.journeys.words import DRAFT, STATUSES, STOPPED
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.points import has_points
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.client import CallError
from omnijourney.journey.v1 import journey_service_pb2 as journeys
from omnijourney.journey.v1.journey_pb2 import Journey
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.stats.v1 import stats_service_pb2 as stats

routes = web.RouteTableDef()
AREAS = (Area(noted("Tour"), "/tour", 95),)

_STARTED: Final = frozenset(STATUSES) - {DRAFT}
_UNREADABLE: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION})
"""A client that may not see something, or a team without the module, has no such stop."""


class Step(NamedTuple):
    """One of what has to be there before the first message leaves."""

    done: bool
    title: str
    text: str
    path: str


class Stop(NamedTuple):
    """A place that is worth a look."""

    title: str
    text: str
    path: str


class Found(NamedTuple):
    """What the team has, as far as the tour shows it."""

    has_account: bool
    has_content: bool
    has_customer: bool
    has_journey: bool
    busiest: Journey | None
    """The started journey that most customers entered."""
    stopped: Journey | None
    """One that the product stopped, with its reason."""
    customer_id: str
    """Somebody whose points changed lately, else anybody."""
    has_entries: bool
    has_coupon: bool


@routes.get("/tour")
async def tour(request: web.Request) -> web.Response:
    """The first steps until they are done; then what there is to see."""
    visit = Visit.of(request)
    found = await _found(visit)
    return visit.render("tour/tour.html", steps=_steps(found), stops=list(_stops(visit, found)))


async def _found(visit: Visit) -> Found:
    team_id, client = visit.team_id, visit.client
    one: dict[str, Any] = {"team_id": team_id, "page_size": 1}
    started = journeys.ListJourneysRequest(
        team_id=team_id, page_size=PAGE_SIZE, statuses=sorted(_STARTED), language_code=visit.language
    )
    answers = await asyncio.gather(
        _read(visit, client.channel_gateway.ListChannelAccounts, gateway.ListChannelAccountsRequest(**one)),
        _read(visit, client.channel_gateway.ListBotModules, gateway.ListBotModulesRequest(**one)),
        _read(visit, client.channel_gateway.ListMessageTemplates, gateway.ListMessageTemplatesRequest(**one)),
        _read(visit, client.segment.ListCustomers, segment.ListCustomersRequest(**one)),
        _read(visit, client.journey.ListJourneys, journeys.ListJourneysRequest(**one)),
        _read(visit, client.journey.ListJourneys, started),
    )
    accounts, modules, templates, customers, any_journey, begun = answers
    entries = coupons = None
    if has_points(visit):
        entries, coupons = await asyncio.gather(
            _read(visit, client.points.ListEntries, points.ListEntriesRequest(**one)),
            _read(visit, client.points.ListCoupons, points.ListCouponsRequest(**one)),
        )
    lines = list(entries.lines) if entries else []
    people = list(customers.customers) if customers else []
    of_begun = list(begun.journeys) if begun else []
    return Found(
        has_account=bool(accounts and accounts.accounts),
        has_content=bool((modules and modules.modules) or (templates and templates.templates)),
        has_customer=bool(people),
        has_journey=bool(any_journey and any_journey.journeys),
        busiest=await _busiest(visit, of_begun),
        stopped=next((each for each in of_begun if _stopped_itself(each)), None),
        customer_id=lines[0].entry.customer_id if lines else people[0].customer_id if people else "",
        has_entries=bool(lines),
        has_coupon=bool(coupons and coupons.coupons),
    )


def _stopped_itself(each: Journey) -> bool:
    return bool(each.status == STOPPED and each.status_message and not each.status_actor)


async def _busiest(visit: Visit, begun: list[Journey]) -> Journey | None:
    if not begun:
        return None
    ids = [each.journey_id for each in begun]
    asked = stats.BatchGetJourneyOverviewsRequest(team_id=visit.team_id, journey_ids=ids)
    answer = await _read(visit, visit.client.stats.BatchGetJourneyOverviews, asked)
    if answer is None:
        return begun[0]
    counts = [each.triggered_count for each in answer.overviews]
    return max(zip(counts, begun, strict=True), key=lambda pair: pair[0])[1]


async def _read(visit: Visit, rpc: Any, request: Any) -> Any:
    """The answer; None where this client or team has no such thing."""
    try:
        return await visit.call(rpc, request)
    except CallError as error:
        if error.code not in _UNREADABLE:
            raise
        return None


def _steps(found: Found) -> list[Step]:
    return [
        Step(
            found.has_account,
            noted("Connect a channel"),
            noted(
                "An account of LINE, WhatsApp, Messenger or Instagram, by which messages leave and answers come."
            ),
            "/channels",
        ),
        Step(
            found.has_content,
            noted("Write a message"),
            noted(
                "A bot module of cards with texts, pictures and buttons, or a template that WhatsApp has approved."
            ),
            "/content",
        ),
        Step(
            found.has_customer,
            noted("Bring your customers"),
            noted("By a file of contacts here; orders, joins and answers bring the others by themselves."),
            "/customers/imports",
        ),
        Step(
            found.has_journey,
            noted("Draw a journey"),
            noted("What begins it, and what happens then: messages, delays, conditions, tags, points."),
            "/journeys",
        ),
        Step(
            found.busiest is not None,
            noted("Publish it"),
            noted("From then on every customer who does what begins it walks it, each once and in order."),
            "/journeys",
        ),
    ]


def _stops(visit: Visit, found: Found) -> list[Stop]:
    stops = []
    if found.busiest is not None:
        path = f"/journeys/{found.busiest.journey_id}"
        name = found.busiest.definition.name
        stops += [
            Stop(
                visit.say(noted("The journey “%(name)s”"), name=name),
                noted("Its tree from top to bottom, its settings, and who changed what and when."),
                path,
            ),
            Stop(
                noted("Its numbers at each node"),
                noted(
                    "Who entered, rests and left, by node and reason, while you look; below it each channel's messages,"
                    " opens, clicks and orders."
                ),
                f"{path}/figures",
            ),
        ]
    if found.stopped is not None:
        stops.append(
            Stop(
                visit.say(noted("Why “%(name)s” stopped by itself"), name=found.stopped.definition.name),
                noted("A cap, a plan or a balance was used up: the list says which, in a sentence."),
                f"/journeys/{found.stopped.journey_id}",
            )
        )
    if found.customer_id:
        stops.append(
            Stop(
                noted("A customer, and all that is known of them"),
                noted(
                    "Accounts on each channel, tags, orders, points, journeys, and what happened in its order."
                ),
                f"/customers/{found.customer_id}",
            )
        )
    if found.has_entries:
        stops.append(
            Stop(
                noted("Every change of points"),
                noted(
                    "By time, keyword and source, and as a file; each order, refund, coupon and journey is a line."
                ),
                "/points",
            )
        )
    if found.has_coupon:
        stops.append(
            Stop(noted("Coupons"), noted("What they cost in points, and who claimed them."), "/coupons")
        )
    if stops:
        stops += [
            Stop(
                noted("The team in numbers"),
                noted(
                    "Orders, points and messages of the last 30 days, and the eight figures of each journey."
                ),
                "/overview",
            ),
            Stop(
                noted("Customers by what they are and did"),
                noted("Put conditions together and see how many fit; save it for journeys to use."),
                "/audiences",
            ),
            Stop(
                noted("What is left to send"),
                noted(
                    "Each channel's account, its quota of the month, the prepaid balance and whether it works."
                ),
                "/channels",
            ),
        ]
    return stops
