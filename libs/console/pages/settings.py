"""Settings: who changed what, who may call, and who is told by webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import id_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import scope_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.api_client_pb2 import ApiClient

routes = web.RouteTableDef()
AREAS = (Area(noted("Settings"), "/settings", 90),)

SCOPES: Final[Mapping[int, str]] = {
    scope_pb2.SCOPE_READ: noted("Look at the team's data"),
    scope_pb2.SCOPE_WRITE: noted("Change the team's data"),
    scope_pb2.SCOPE_ADMIN: noted("Change the team itself"),
}
_FIELDS: Final = {"api_client.name": "name", "api_client.scopes": "scope"}


@routes.get("/settings")
async def audit_log(request: web.Request) -> web.Response:
    """Who changed what, newest first."""
    visit = Visit.of(request)
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
        query=request.query,
        is_filtered=bool(request.query),
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/settings/clients")
async def clients(request: web.Request) -> web.Response:
    """Whose tokens may call for the team."""
    return await _clients_page(Visit.of(request))


async def _clients_page(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    page = await visit.call(
        visit.client.segment.ListApiClients,
        segment.ListApiClientsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "settings/clients.html",
        status=status,
        **{
            "clients": page.api_clients,
            "scopes": SCOPES,
            "scope_options": [(str(scope), visit.say(name)) for scope, name in SCOPES.items()],
            "next_link": visit.page_link(page.next_page_token),
            "given": {},
            "token": "",
            **context,
        },
    )


@routes.post("/settings/clients")
async def create_client(request: web.Request) -> web.Response:
    """Makes a client and shows its token, once: it is on no other page."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    client = ApiClient(
        name=given.get("name", "").strip(),
        scopes=[scope_pb2.Scope.ValueType(number_of(given.get("scope", "")))],
    )
    try:
        made = await visit.call(
            visit.client.segment.CreateApiClient,
            segment.CreateApiClientRequest(
                team_id=visit.team_id, request_id=given["request_id"], api_client=client
            ),
        )
    except CallError as error:
        return await _clients_page(
            visit, status_of(error), given=given, faults=refusal(visit, error, _FIELDS)
        )
    return await _clients_page(visit, token=made.token)


@routes.post("/settings/clients/{client_id}/revoke")
async def revoke_client(request: web.Request) -> web.Response:
    """Ends a client: its token is refused from now on."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    await visit.call(
        visit.client.segment.RevokeApiClient,
        segment.RevokeApiClientRequest(
            team_id=visit.team_id,
            request_id=given["request_id"],
            api_client_id=id_of(request.match_info["client_id"]),
        ),
    )
    return visit.go("/settings/clients", noted("The client is revoked. Its token is refused from now on."))
