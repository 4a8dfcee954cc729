"""One node of a journey: what happened there, why, and of a message what each channel says of it."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from libs.console.journeys.choices import choices_of
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.words import NODES
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.pages.figures import Shown
from libs.console.pages.figures_nodes import node_row, reasons_of
from libs.console.pages.journeys import read_journey
from libs.console.visits import Visit
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

routes = web.RouteTableDef()


@routes.get("/journeys/{journey_id}/figures/nodes/{node_id}")
async def of_node(request: web.Request) -> web.Response:
    """Its figures; the part alone for a script. Raises HTTPNotFound for a node that the journey does not have."""
    visit = Visit.of(request)
    journey_id, node_id = request.match_info["journey_id"], request.match_info["node_id"]
    both: dict[str, Any] = {"team_id": visit.team_id, "journey_id": journey_id}
    stub = visit.client.stats
    journey, nodes, messages, choices = await asyncio.gather(
        read_journey(visit, journey_id),
        visit.call(stub.ListNodeFigures, stats.ListNodeFiguresRequest(**both)),
        visit.call(stub.ListMessageFigures, stats.ListMessageFiguresRequest(**both)),
        choices_of(visit),
    )
    node = next((each for each in journey.definition.nodes if each.node_id == node_id), None)
    if node is None:
        raise web.HTTPNotFound
    shown = Shown(visit)
    empty = figures_pb2.NodeFigures(node_id=node_id)
    counted = next((each for each in nodes.nodes if each.node_id == node_id), empty)
    return visit.render(
        "figures/node_part.html" if visit.is_part else "figures/node.html",
        journey=journey,
        node=node,
        address=f"/journeys/{journey_id}",
        label=NODES.get(node.WhichOneof("kind") or "", ""),
        summary=Summaries(visit, choices).node(node),
        row=node_row(visit, shown, counted),
        by_channel=[
            (
                CHANNELS.get(each.channel, ""),
                _of_channel(shown, each),
                reasons_of(visit, each.failed_reasons),
                reasons_of(visit, each.skipped_reasons),
            )
            for each in messages.figures
            if each.node_id == node_id
        ],
    )


def _of_channel(shown: Shown, of: figures_pb2.MessageFigures) -> list[tuple[str, tuple[str, str]]]:
    """As `tiles` shows them; the names are translated there."""
    return [
        (noted("Sent"), shown.count(of.sent)),
        (noted("Delivered"), shown.count(of.delivered)),
        (noted("Read"), shown.count(of.read)),
        (noted("Replied"), shown.count(of.replied)),
        (noted("Clicked"), shown.count(of.clicked)),
        (noted("Failed"), shown.count(of.failed)),
        (noted("Skipped"), shown.count(of.skipped)),
        (noted("Orders"), shown.count(of.orders)),
        (noted("Revenue"), shown.amounts(of.revenue)),
    ]
