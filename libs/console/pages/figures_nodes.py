"""A journey's figures with their reasons: at its nodes, of its messages, and what a holdout shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from aiohttp import web

from libs.console.journeys.path import RESULTS
from libs.console.journeys.reasons import in_words
from libs.console.journeys.tree import in_order
from libs.console.journeys.words import labels_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.pages.figures import WAITS, Shown
from libs.console.pages.journeys import read_journey
from libs.console.partial import part
from libs.console.visits import Visit
from omnijourney.stats.v1 import attribution_pb2, figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

routes = web.RouteTableDef()
_COUNTED: Final = noted("%(what)s: %(n)s")
_WAY: Final = noted("Went on by way %(n)s")
_BETWEEN: Final = noted("%(low)s to %(high)s")
_SHARE: Final = noted("%(n)s (%(share)s)")
_NOT_KNOWN: Final = noted("for a reason that is not known")


class NodeRow(NamedTuple):
    """A node in words."""

    node_id: str
    entered: str
    passed: str
    dropped: str
    """How many, and which share of those who entered."""
    why_dropped: list[str]
    happened: list[tuple[str, list[str]]]
    """What happened how often, each with its reasons."""
    resting: list[str]


class LiftRow(NamedTuple):
    """A split in words."""

    node_id: str
    lift: tuple[str, str]
    between: str
    treated: str
    held_out: str


@routes.get("/journeys/{journey_id}/figures/nodes")
async def of_nodes(request: web.Request) -> web.Response:
    """The figures of each node, of messages why they failed or were skipped, and the lift of splits."""
    visit = Visit.of(request)
    both: dict[str, Any] = {"team_id": visit.team_id, "journey_id": request.match_info["journey_id"]}
    stub = visit.client.stats
    journey, nodes, messages, lifts = await asyncio.gather(
        read_journey(visit, request.match_info["journey_id"]),
        visit.call(stub.ListNodeFigures, stats.ListNodeFiguresRequest(**both)),
        visit.call(stub.ListMessageFigures, stats.ListMessageFiguresRequest(**both)),
        # There is none of a journey that nothing happened to.
        part(visit, visit.call(stub.GetJourneyLift, stats.GetJourneyLiftRequest(**both))),
    )
    shown = Shown(visit)
    return visit.render(
        "figures/nodes.html",
        journey=journey,
        labels=labels_of(journey.definition),
        nodes=[node_row(visit, shown, each) for each in in_order(journey.definition, nodes.nodes)],
        messages=[
            (each.node_id, CHANNELS.get(each.channel, ""), failed, skipped)
            for each in in_order(journey.definition, messages.figures)
            if (failed := reasons_of(visit, each.failed_reasons))
            + (skipped := reasons_of(visit, each.skipped_reasons))
        ],
        lifts=[] if lifts.fault else [_lift(visit, shown, each) for each in lifts.answer.lifts],
    )


def node_row(visit: Visit, shown: Shown, of: figures_pb2.NodeFigures) -> NodeRow:
    """What happened at a node, in words."""
    number = visit.formats.number
    dropped = number(of.dropped_count)
    if of.drop_off.HasField("value"):
        dropped = visit.say(_SHARE, n=dropped, share=shown.ratio(of.drop_off, share=True)[0])
    happened = [
        (
            visit.say(_COUNTED, what=visit.say(RESULTS[each.result]), n=number(each.count)),
            reasons_of(visit, each.reasons),
        )
        for each in of.results
        if each.result in RESULTS and "%" not in RESULTS[each.result]
    ]
    happened += [
        (visit.say(_COUNTED, what=visit.say(_WAY, n=number(each.way)), n=number(each.count)), [])
        for each in of.ways
    ]
    return NodeRow(
        of.node_id,
        number(of.entered_count),
        number(of.passed_count),
        dropped,
        reasons_of(visit, of.dropped_reasons),
        happened,
        [
            visit.say(_COUNTED, what=visit.say(WAITS[each.wait_reason]), n=number(each.enrolment_count))
            for each in of.waits
            if each.wait_reason in WAITS
        ],
    )


def reasons_of(visit: Visit, reasons: Iterable[figures_pb2.ReasonCount]) -> list[str]:
    """Reasons in words, each with how often it was."""
    return [
        visit.say(
            _COUNTED,
            what=in_words(visit, each.detail) or visit.say(_NOT_KNOWN),
            n=visit.formats.number(each.count),
        )
        for each in reasons
    ]


def _lift(visit: Visit, shown: Shown, of: attribution_pb2.JourneyLift) -> LiftRow:
    number = visit.formats.number
    low, high = (shown.ratio(each, share=True)[0] for each in (of.lift_low, of.lift_high))
    return LiftRow(
        of.node_id,
        shown.ratio(of.lift, share=True),
        visit.say(_BETWEEN, low=low, high=high),
        f"{number(of.treated_order_count)} / {number(of.treated_count)}",
        f"{number(of.holdout_order_count)} / {number(of.holdout_count)}",
    )
