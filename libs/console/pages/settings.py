"""Settings: the team, attributes and tags, how long records are kept, who may call, and who changed what."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from libs.console.audit_words import called_in_words, thing_in_words
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.segment.v1 import segment_service_pb2 as segment

routes = web.RouteTableDef()
AREAS = (Area(noted("Settings"), "/settings", 90),)


@routes.get("/settings")
async def audit_log(request: web.Request) -> web.Response:
    """Who changed what, newest first; who may not see it is shown what they may change."""
    visit = Visit.of(request)
    if not visit.session.may_administer:
        return visit.go("/settings/attributes")
    page = await visit.call(
        visit.client.segment.ListAuditEntries,
        segment.ListAuditEntriesRequest(
            team_id=visit.team_id,
            actor=request.query.get("actor", "").strip()[:200],
            resource_type=request.query.get("type", "").strip()[:200],
            page_size=PAGE_SIZE,
            page_token=request.query.get("page_token", ""),
        ),
    )
    return visit.render(
        "settings/audit.html",
        entries=page.audit_entries,
        called=partial(called_in_words, visit.say),
        thing=partial(thing_in_words, visit.say),
        query=request.query,
        is_filtered=bool(request.query),
        next_link=visit.page_link(page.next_page_token),
    )
