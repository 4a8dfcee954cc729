"""Tags: how many have each, what uses it, another name for it, two made one, and none of it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.partial import part
from libs.console.used_by import audiences_using, journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.segment.v1 import segment_service_pb2 as segment

routes = web.RouteTableDef()


@routes.get("/settings/tags")
async def listing(request: web.Request) -> web.Response:
    """Those that somebody has."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.segment.ListTags,
        segment.ListTagsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "settings/tags.html",
        tags=[(each, quote(each.tag, safe="")) for each in page.tags],
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/settings/tags/{tag}")
async def shown(request: web.Request) -> web.Response:
    """One, and what uses it."""
    return await _show_page(Visit.of(request))


@routes.post("/settings/tags/{tag}")
async def rename(request: web.Request) -> web.Response:
    """Begins to rename it, or to make it one with another."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = segment.RenameTagRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        tag=request.match_info["tag"],
        new_tag=given.get("new_tag", "").strip(),
        merge=given.get("merge") == "1",
    )
    try:
        answer = await visit.call(visit.client.segment.RenameTag, asked)
    except CallError as error:
        faults = refusal(visit, error, {"new_tag": "new_tag"})
        if error.reason == "DUPLICATE_VALUE":
            taken = noted(
                "Customers have this tag already: tick that the two become one, or choose another name."
            )
            faults = Faults({"new_tag": visit.say(taken)})
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(
        f"/settings/work/{answer.operation.operation_id}",
        noted("The tag is being renamed. What names it goes on naming the old one: change it there."),
    )


@routes.post("/settings/tags/{tag}/delete")
async def delete(request: web.Request) -> web.Response:
    """Begins to take it from everybody; while something uses it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = segment.DeleteTagRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        tag=request.match_info["tag"],
        force=given.get("force") == "1",
    )
    try:
        answer = await visit.call(visit.client.segment.DeleteTag, asked)
    except CallError as error:
        return await _show_page(visit, status=status_of(error), faults=refusal(visit, error, {}))
    return visit.go(
        f"/settings/work/{answer.operation.operation_id}",
        noted("The tag is taken from everybody who has it."),
    )


async def _show_page(
    visit: Visit, *, status: int = 200, given: Mapping[str, str] | None = None, faults: Faults | None = None
) -> web.Response:
    tag = visit.request.match_info["tag"][:100]
    journeys, audiences = await asyncio.gather(
        journeys_using(visit, tag=tag), part(visit, audiences_using(visit, tag=tag))
    )
    return visit.render(
        "settings/tag.html",
        status=status,
        tag=tag,
        here=f"/settings/tags/{quote(tag, safe='')}",
        journeys=journeys,
        audiences=audiences,
        given=given or {},
        faults=faults or Faults(),
    )
