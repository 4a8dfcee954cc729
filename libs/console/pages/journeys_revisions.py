"""The revisions of a journey: which there were, and what is different between two."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from libs.console.forms import number_of
from libs.console.journeys.choices import choices_of
from libs.console.journeys.comparing import BADGES, Comparison
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.tree import tree_of
from libs.console.journeys.words import NODES
from libs.console.pages.journeys import read_journey
from libs.console.visits import Visit
from omnijourney.journey.v1 import journey_service_pb2 as service

routes = web.RouteTableDef()
_REVISION_MAX: Final = 2_000_000_000
_SHOWN: Final = 20
"""Revisions of a page: each comes with its definition."""


@routes.get("/journeys/{journey_id}/revisions")
async def listing(request: web.Request) -> web.Response:
    """All of them, newest first; two can be chosen."""
    visit = Visit.of(request)
    journey_id = request.match_info["journey_id"]
    asked = service.ListRevisionsRequest(
        team_id=visit.team_id,
        journey_id=journey_id,
        page_size=_SHOWN,
        page_token=request.query.get("page_token", ""),
    )
    journey, page = await asyncio.gather(
        read_journey(visit, journey_id), visit.call(visit.client.journey.ListRevisions, asked)
    )
    return visit.render(
        "journeys/revisions.html",
        journey=journey,
        revisions=page.revisions,
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/journeys/{journey_id}/revisions/compare")
async def compared(request: web.Request) -> web.Response:
    """Two revisions side by side."""
    visit = Visit.of(request)
    journey_id = request.match_info["journey_id"]
    before, after = (_number(request.query.get(name, "")) for name in ("before", "after"))
    asked: Any = service.CompareRevisionsRequest(
        team_id=visit.team_id, journey_id=journey_id, before_revision=before, after_revision=after
    )
    journey, found, choices = await asyncio.gather(
        read_journey(visit, journey_id),
        visit.call(visit.client.journey.CompareRevisions, asked),
        choices_of(visit),
    )
    summaries = Summaries(visit, choices)
    definitions = found.before_definition, found.after_definition
    comparison = Comparison(visit, summaries, *definitions)
    differences = comparison.differences(found.changes)
    return visit.render(
        "journeys/compare.html",
        journey=journey,
        before=before,
        after=after,
        differences=differences,
        badges=BADGES,
        marks=comparison.marks(differences),
        sides=[
            (number, tree_of(definition))
            for number, definition in zip((before, after), definitions, strict=True)
        ],
        summaries=summaries,
        kinds=NODES,
    )


def _number(text: str) -> int:
    """A revision of an address. Raises HTTPNotFound for what is none."""
    number = number_of(text)
    if not 1 <= number <= _REVISION_MAX:
        raise web.HTTPNotFound
    return number
