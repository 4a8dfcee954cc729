"""Figures: of the team, of a journey, and of its nodes while customers walk them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from libs.console.charts import HEIGHT, WIDTH
from libs.console.formats import NOTHING
from libs.console.journeys.choices import choices_of
from libs.console.journeys.flow import flow_of
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.tree import in_order, tree_of
from libs.console.journeys.words import BEGUN, NODES, STATUSES, labels_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.journeys import read_journey
from libs.console.series import asked_of, series_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journeys
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

routes = web.RouteTableDef()
AREAS = (Area(noted("Overview"), "/overview", 20),)

ABSENT: Final = {
    figures_pb2.ABSENT_REASON_DIVISION_BY_ZERO: noted("There is nothing to divide by yet."),
    figures_pb2.ABSENT_REASON_NO_CURRENCY_RATE: noted(
        "Cost and revenue are in different currencies, and no rate is set."
    ),
    figures_pb2.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL: noted("The channel does not tell."),
    figures_pb2.ABSENT_REASON_TOO_FEW_PEOPLE: noted("The channel tells nothing of fewer than 20 people."),
    figures_pb2.ABSENT_REASON_NOT_MEASURED: noted("It is not measured yet."),
}
"""Why a figure is not there."""
WAITS: Final = {
    enrolment_pb2.WAIT_REASON_DELAY: noted("waiting for a delay"),
    enrolment_pb2.WAIT_REASON_SEND: noted("a message on its way"),
    enrolment_pb2.WAIT_REASON_QUIET: noted("do not disturb"),
    enrolment_pb2.WAIT_REASON_EVENT: noted("waiting for an event"),
}
"""Why somebody rests at a node."""
EIGHT: Final = (
    noted("Times triggered"),
    noted("Revenue"),
    noted("Number of orders"),
    noted("Return on ad spend"),
    noted("Times completed"),
    noted("Completion rate"),
    noted("Messages sent"),
    noted("Estimated message cost"),
)
"""What is told of a journey, in the documents' order."""
_ENTERED: Final = noted("%(entered)s entered")
_RESTING: Final = noted("%(resting)s: %(why)s")


class Shown:
    """Figures as they are read: a dash with its reason where there is none."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._formats = visit.formats

    def count(self, given: figures_pb2.Count) -> tuple[str, str]:
        """A count, and why it is absent."""
        if given.HasField("value"):
            return self._formats.number(given.value), ""
        return self._absent(given.absent_reason)

    def ratio(self, given: figures_pb2.Ratio, *, share: bool = False) -> tuple[str, str]:
        """A ratio (a `share` of 0 to 1 in per cent), and why it is absent."""
        if not given.HasField("value"):
            return self._absent(given.absent_reason)
        value = given.value
        return (self._formats.percent(value) if share else self._formats.number(round(value, 2))), ""

    def amounts(self, given: figures_pb2.Amounts) -> tuple[str, str]:
        """Amounts of one or more currencies; of none at all 0."""
        if given.amounts:
            return " + ".join(map(self._formats.money, given.amounts)), ""
        return self._absent(given.absent_reason) if given.absent_reason else (self._formats.number(0), "")

    def plain(self, value: int) -> tuple[str, str]:
        """What is always there."""
        return self._formats.number(value), ""

    def _absent(self, reason: figures_pb2.AbsentReason.ValueType) -> tuple[str, str]:
        return NOTHING, self._visit.say(ABSENT[reason]) if reason in ABSENT else ""


def _eight(shown: Shown, of: figures_pb2.JourneyOverview) -> list[tuple[str, tuple[str, str]]]:
    """The figures of a journey under their names."""
    values = (
        shown.plain(of.triggered_count),
        shown.amounts(of.revenue),
        shown.count(of.order_count),
        shown.ratio(of.return_on_ad_spend),
        shown.plain(of.completed_count),
        shown.ratio(of.completion_rate, share=True),
        shown.plain(of.messages_sent_count),
        shown.amounts(of.message_cost),
    )
    return list(zip(EIGHT, values, strict=True))


@routes.get("/overview")
async def overview(request: web.Request) -> web.Response:
    """The team in a period, and each of its journeys from the beginning."""
    visit = Visit.of(request)
    asked = asked_of(visit)
    stub, team_id = visit.client.stats, visit.team_id
    span: dict[str, Any] = {"start_time": asked.period.start, "end_time": asked.period.end}
    of_team = stats.GetTeamOverviewRequest(team_id=team_id, **span)
    series = stats.GetTeamSeriesRequest(team_id=team_id, step=asked.step, **span)
    listed = journeys.ListJourneysRequest(
        team_id=team_id,
        page_size=PAGE_SIZE,
        page_token=request.query.get("page_token", ""),
        statuses=sorted(BEGUN),
        language_code=visit.language,
    )
    whole, chart, page = await asyncio.gather(
        visit.call(stub.GetTeamOverview, of_team),
        series_of(visit, asked, visit.call(stub.GetTeamSeries, series), "order_count"),
        visit.call(visit.client.journey.ListJourneys, listed),
    )
    overviews: Iterable[figures_pb2.JourneyOverview] = ()
    if page.journeys:
        ids = [each.journey_id for each in page.journeys]
        batch = stats.BatchGetJourneyOverviewsRequest(team_id=team_id, journey_ids=ids)
        overviews = (await visit.call(stub.BatchGetJourneyOverviews, batch)).overviews
    shown = Shown(visit)
    found: figures_pb2.TeamOverview = whole.overview
    sends = [
        (CHANNELS.get(each.channel, ""), shown.plain(each.sent_count), shown.amounts(each.cost))
        for each in found.sends
    ]
    return visit.render(
        "figures/overview.html",
        asked=asked,
        figures=[
            (noted("Orders"), shown.plain(found.order_count)),
            (noted("Refunds"), shown.plain(found.refund_count)),
            (noted("Customers with an order"), shown.plain(found.customer_count)),
            (noted("Points earned"), shown.plain(found.points.earned)),
            (noted("Points of journeys"), shown.plain(found.points.journey)),
            (noted("Change of all balances"), shown.plain(found.points.balance)),
        ],
        sends=sends,
        chart=chart,
        width=WIDTH,
        height=HEIGHT,
        heads=[visit.say(name) for name in EIGHT],
        rows=[(each, _eight(shown, figures)) for each, figures in zip(page.journeys, overviews, strict=True)],
        next_link=visit.page_link(page.next_page_token),
        statuses=STATUSES,
    )


@routes.get("/journeys/{journey_id}/figures")
async def of_journey(request: web.Request) -> web.Response:
    """One journey: its eight figures, its days, its messages by channel, and its tree with numbers."""
    visit = Visit.of(request)
    journey_id, asked = request.match_info["journey_id"], asked_of(visit)
    stub, both = visit.client.stats, {"team_id": visit.team_id, "journey_id": journey_id}
    of_whole = stats.GetJourneyOverviewRequest(team_id=visit.team_id, journey_id=journey_id)
    of_all = stats.ListMessageFiguresRequest(team_id=visit.team_id, journey_id=journey_id)
    series = stats.GetJourneySeriesRequest(
        step=asked.step, start_time=asked.period.start, end_time=asked.period.end, **both
    )
    journey, whole, chart, messages, tree = await asyncio.gather(
        read_journey(visit, journey_id),
        visit.call(stub.GetJourneyOverview, of_whole),
        series_of(visit, asked, visit.call(stub.GetJourneySeries, series), "triggered_count"),
        visit.call(stub.ListMessageFigures, of_all),
        _tree(visit, journey_id),
    )
    shown = Shown(visit)
    return visit.render(
        "figures/journey.html",
        journey=journey,
        asked=asked,
        figures=_eight(shown, whole.overview),
        chart=chart,
        width=WIDTH,
        height=HEIGHT,
        labels=labels_of(journey.definition),
        messages=[_message(shown, each) for each in in_order(journey.definition, messages.figures)],
        **tree,
    )


@routes.get("/journeys/{journey_id}/figures/eight")
async def eight_figures(request: web.Request) -> web.Response:
    """The eight figures alone, which pages read again while somebody looks at them."""
    visit = Visit.of(request)
    journey_id = request.match_info["journey_id"]
    asked = stats.GetJourneyOverviewRequest(team_id=visit.team_id, journey_id=journey_id)
    found = await visit.call(visit.client.stats.GetJourneyOverview, asked)
    eight = _eight(Shown(visit), found.overview)
    return visit.render("figures/eight_part.html", journey_id=journey_id, figures=eight)


@routes.get("/journeys/{journey_id}/figures/tree")
async def tree_of_figures(request: web.Request) -> web.Response:
    """The tree alone, which a page reads again while somebody looks at it."""
    visit = Visit.of(request)
    return visit.render("figures/tree_part.html", **await _tree(visit, request.match_info["journey_id"]))


async def _tree(visit: Visit, journey_id: str) -> dict[str, Any]:
    asked = stats.ListNodeFiguresRequest(team_id=visit.team_id, journey_id=journey_id)
    journey, nodes, choices = await asyncio.gather(
        read_journey(visit, journey_id),
        visit.call(visit.client.stats.ListNodeFigures, asked),
        choices_of(visit),
    )
    return {
        "journey_id": journey_id,
        "tree": tree_of(journey.definition),
        "trigger": journey.definition.trigger,
        "summaries": Summaries(visit, choices),
        "kinds": NODES,
        "flow": flow_of(visit.formats, visit.say, journey.definition, nodes.nodes),
        "numbers": {each.node_id: _numbers(visit, each) for each in nodes.nodes},
    }


def _numbers(visit: Visit, node: figures_pb2.NodeFigures) -> str:
    """What stands at a node of the tree."""
    number = visit.formats.number
    said = [visit.say(_ENTERED, entered=number(node.entered_count))]
    said += [
        visit.say(_RESTING, resting=number(wait.enrolment_count), why=visit.say(WAITS[wait.wait_reason]))
        for wait in node.waits
        if wait.enrolment_count and wait.wait_reason in WAITS
    ]
    return " · ".join(said)


def _message(shown: Shown, of: figures_pb2.MessageFigures) -> tuple[str, str, list[tuple[str, str]]]:
    counts = (of.sent, of.delivered, of.read, of.replied, of.clicked, of.failed, of.skipped, of.orders)
    return of.node_id, CHANNELS.get(of.channel, ""), [*map(shown.count, counts), shown.amounts(of.revenue)]
