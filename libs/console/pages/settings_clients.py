"""API clients: who may call for the team, with which token, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.clock import SystemClock
from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.pages.customers import id_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import scope_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.api_client_pb2 import ApiClient

routes = web.RouteTableDef()

SCOPES: Final[Mapping[int, str]] = {
    scope_pb2.SCOPE_READ: noted("Look at the team's data"),
    scope_pb2.SCOPE_WRITE: noted("Change the team's data"),
    scope_pb2.SCOPE_ADMIN: noted("Change the team itself"),
}
"""Each includes those before it."""
GRACES: Final[Mapping[str, tuple[timedelta, str]]] = {
    "0": (timedelta(), noted("At once")),
    "1": (timedelta(hours=1), noted("In an hour")),
    "24": (timedelta(days=1), noted("In a day")),
    "168": (timedelta(days=7) - timedelta(minutes=1), noted("In 7 days")),
}
"""When the old token ends after a new one was made."""
_LISTED_MAX: Final = 500
_FIELDS: Final = {
    "api_client.name": "name",
    "api_client.scopes": "scope",
    "api_client.expire_time": "expire_time",
    "old_token_expire_time": "grace",
}
_NO_MOMENT: Final = noted("Enter a day and a time, or nothing.")


@routes.get("/settings/clients")
async def clients(request: web.Request) -> web.Response:
    """Whose tokens may call for the team."""
    return await _clients_page(Visit.of(request))


@routes.post("/settings/clients")
async def create(request: web.Request) -> web.Response:
    """Makes a client and shows its token, once: it is on no other page."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = segment.CreateApiClientRequest(
        team_id=visit.team_id, request_id=given["request_id"], api_client=_client(given)
    )
    try:
        made = await visit.call(visit.client.segment.CreateApiClient, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _clients_page(visit, status_of(error), given=given, faults=faults)
    return await _clients_page(visit, token=made.token)


@routes.get("/settings/clients/{client_id}")
async def shown(request: web.Request) -> web.Response:
    """One: its name, what it may do, until when, and a new token for it."""
    return await _show_page(Visit.of(request))


@routes.post("/settings/clients/{client_id}")
async def update(request: web.Request) -> web.Response:
    """Changes name, scopes and end."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    client = _client(given, id_of(request.match_info["client_id"]))
    try:
        end = visit.formats.read_field(given.get("expire_time", ""))
    except ValueError:
        faults = Faults({"expire_time": visit.say(_NO_MOMENT)})
        return await _show_page(visit, status=422, given=given, faults=faults)
    if end is not None:
        client.expire_time.CopyFrom(end)
    asked = segment.UpdateApiClientRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        api_client=client,
        update_mask=FieldMask(paths=["name", "scopes", "expire_time"]),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.segment.UpdateApiClient, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(request.path, noted("The client is changed."))


@routes.post("/settings/clients/{client_id}/rotate")
async def rotate(request: web.Request) -> web.Response:
    """Gives it a new token, shown once; the old one ends when the form says."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    grace, _ = GRACES.get(given.get("grace", ""), GRACES["0"])
    end = Timestamp()
    end.FromDatetime(SystemClock().now() + grace)  # tokens live in real time
    asked = segment.RotateApiClientTokenRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        api_client_id=id_of(request.match_info["client_id"]),
        old_token_expire_time=end if grace else None,
    )
    try:
        answer = await visit.call(visit.client.segment.RotateApiClientToken, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return await _show_page(visit, token=answer.token)


@routes.post("/settings/clients/{client_id}/revoke")
async def revoke(request: web.Request) -> web.Response:
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
            "scope_options": _options(visit, SCOPES),
            "next_link": visit.page_link(page.next_page_token),
            "given": {},
            "token": "",
            **context,
        },
    )


async def _show_page(
    visit: Visit,
    *,
    status: int = 200,
    token: str = "",
    given: Mapping[str, str] | None = None,
    faults: Faults | None = None,
) -> web.Response:
    client = await _read(visit)
    highest = str(max((scope for scope in client.scopes if scope in SCOPES), default=scope_pb2.SCOPE_READ))
    kept = {
        "name": client.name,
        "scope": highest,
        "expire_time": visit.formats.field(client.expire_time if client.HasField("expire_time") else None),
        "etag": client.etag,
    }
    return visit.render(
        "settings/client.html",
        status=status,
        client=client,
        scope_options=_options(visit, SCOPES),
        graces=[(value, visit.say(text)) for value, (_, text) in GRACES.items()],
        may_change=not client.revoked and not client.configured,
        token=token,
        given={**kept, **(given or {})},
        faults=faults or Faults(),
    )


async def _read(visit: Visit) -> ApiClient:
    """Raises HTTPNotFound."""
    client_id, token = id_of(visit.request.match_info["client_id"]), ""
    while True:
        asked = segment.ListApiClientsRequest(team_id=visit.team_id, page_size=_LISTED_MAX, page_token=token)
        page = await visit.call(visit.client.segment.ListApiClients, asked)
        for each in page.api_clients:
            if each.api_client_id == client_id:
                found: ApiClient = each
                return found
        token = page.next_page_token
        if not token:
            raise web.HTTPNotFound


def _client(given: Mapping[str, str], client_id: str = "") -> ApiClient:
    scope = number_of(given.get("scope", ""))
    return ApiClient(
        api_client_id=client_id,
        name=given.get("name", "").strip(),
        scopes=[scope_pb2.Scope.ValueType(scope)] if scope in SCOPES else [],
    )


def _options(visit: Visit, names: Mapping[int, str]) -> list[tuple[str, str]]:
    return [(str(value), visit.say(name)) for value, name in names.items()]
