"""Saved audiences: what they say in plain words, whom they reach, and what uses them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import filter_of, id_of
from libs.console.partial import part
from libs.console.used_by import journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.audience_pb2 import Audience, SavedAudience

routes = web.RouteTableDef()
AREAS = (Area(noted("Audiences"), "/audiences", 40),)

_FIELDS: Final = {"saved_audience.name": "name"}


@routes.get("/audiences")
async def listing(request: web.Request) -> web.Response:
    """All of them, each with its line in the visitor's language."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.segment.ListSavedAudiences,
        segment.ListSavedAudiencesRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
        ),
    )
    lines = await asyncio.gather(*(part(visit, _line(visit, each.audience)) for each in page.saved_audiences))
    return visit.render(
        "audiences/list.html",
        audiences=list(zip(page.saved_audiences, lines, strict=True)),
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/audiences/new")
async def new(request: web.Request) -> web.Response:
    """Asks for the name of what customers were filtered by."""
    return await _new_page(Visit.of(request))


async def _new_page(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    audience = filter_of(visit.request.query)
    if audience is None:
        return visit.go(
            "/customers", noted("Filter the customers first, then save the filter as an audience.")
        )
    line, count = await asyncio.gather(
        part(visit, _line(visit, audience)),
        part(
            visit,
            visit.call(
                visit.client.segment.CountAudience,
                segment.CountAudienceRequest(team_id=visit.team_id, audience=audience),
            ),
        ),
    )
    return visit.render(
        "audiences/new.html",
        status=status,
        **{"line": line, "count": count, "query": visit.request.query_string, "given": {}, **context},
    )


@routes.post("/audiences/new")
async def create(request: web.Request) -> web.Response:
    """Saves it."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    audience = filter_of(request.query)
    if audience is None:
        raise web.HTTPNotFound
    try:
        made = await visit.call(
            visit.client.segment.CreateSavedAudience,
            segment.CreateSavedAudienceRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                saved_audience=SavedAudience(name=given.get("name", "").strip(), audience=audience),
            ),
        )
    except CallError as error:
        return await _new_page(visit, status_of(error), given=given, faults=refusal(visit, error, _FIELDS))
    return visit.go(f"/audiences/{made.saved_audience.saved_audience_id}", noted("The audience is saved."))


@routes.get("/audiences/{audience_id}")
async def shown(request: web.Request) -> web.Response:
    """One: its line, how many it reaches, the first of them, and what uses it."""
    return await _show_page(Visit.of(request))


async def _show_page(visit: Visit, status: int = 200, faults: Faults | None = None) -> web.Response:
    audience_id = id_of(visit.request.match_info["audience_id"])
    ids: dict[str, Any] = {"team_id": visit.team_id, "saved_audience_id": audience_id}
    client = visit.client.segment
    audience = (
        await visit.call(client.GetSavedAudience, segment.GetSavedAudienceRequest(**ids))
    ).saved_audience
    line, count, customers, journeys, audiences = await asyncio.gather(
        part(visit, _line(visit, audience.audience)),
        part(visit, visit.call(client.CountAudience, segment.CountAudienceRequest(**ids))),
        part(
            visit,
            visit.call(
                client.ListAudienceCustomers,
                segment.ListAudienceCustomersRequest(
                    page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", ""), **ids
                ),
            ),
        ),
        journeys_using(visit, saved_audience_id=audience_id),
        part(
            visit,
            visit.call(client.ListReferringAudiences, segment.ListReferringAudiencesRequest(**ids)),
        ),
    )
    return visit.render(
        "audiences/show.html",
        status=status,
        audience=audience,
        line=line,
        count=count,
        customers=customers,
        journeys=journeys,
        audiences=audiences,
        channels=CHANNELS,
        next_link="" if customers.fault else visit.page_link(customers.answer.next_page_token),
        faults=faults or Faults(),
    )


@routes.post("/audiences/{audience_id}/delete")
async def delete(request: web.Request) -> web.Response:
    """Deletes it; while something uses it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    try:
        await visit.call(
            visit.client.segment.DeleteSavedAudience,
            segment.DeleteSavedAudienceRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                saved_audience_id=id_of(request.match_info["audience_id"]),
                force=given.get("force") == "1",
            ),
        )
    except CallError as error:
        return await _show_page(visit, status_of(error), refusal(visit, error, {}))
    return visit.go("/audiences", noted("The audience is deleted."))


async def _line(visit: Visit, audience: Audience) -> str:
    request = segment.DescribeAudienceRequest(
        team_id=visit.team_id, audience=audience, language_code=visit.language
    )
    return str((await visit.call(visit.client.segment.DescribeAudience, request)).text)
