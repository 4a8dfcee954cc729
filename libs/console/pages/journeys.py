"""Journeys: what there is, and what can be done with each."""

from __future__ import annotations

from aiohttp import web

from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.journey.v1 import journey_service_pb2 as journey

routes = web.RouteTableDef()
AREAS = (Area(noted("Journeys"), "/journeys", 10),)


@routes.get("/journeys")
async def listing(request: web.Request) -> web.Response:
    """All journeys of the team."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.journey.ListJourneys,
        journey.ListJourneysRequest(
            team_id=visit.team_id,
            page_size=PAGE_SIZE,
            page_token=request.query.get("page_token", ""),
            language_code=visit.language,
        ),
    )
    return visit.render(
        "journeys/list.html", journeys=page.journeys, next_link=visit.page_link(page.next_page_token)
    )


@routes.get("/journeys/{journey_id}")
async def shown(request: web.Request) -> web.Response:
    """One journey."""
    visit = Visit.of(request)
    found = await visit.call(
        visit.client.journey.GetJourney,
        journey.GetJourneyRequest(
            team_id=visit.team_id, journey_id=request.match_info["journey_id"], language_code=visit.language
        ),
    )
    return visit.render("journeys/show.html", journey=found.journey)
