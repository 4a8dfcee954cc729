"""Saved audiences: their conditions, what they say in plain words, whom they reach, and what uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.audiences.builder import Builder
from libs.console.audiences.tree import Item, is_changed_by, read_tree, tree_of
from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.journeys.choices import Choices, choices_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import filter_of, id_of
from libs.console.partial import part
from libs.console.used_by import journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import Attribute
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
    """Asks for a name and for conditions; those that customers were filtered by stand there already."""
    visit = Visit.of(request)
    choices = await choices_of(visit)
    root = tree_of(filter_of(request.query) or Audience(), _known(choices))
    return await _form_page(visit, choices, root)


@routes.post("/audiences/new")
async def create(request: web.Request) -> web.Response:
    """Saves it, or changes the form."""
    visit = Visit.of(request)
    choices, given = await choices_of(visit), await texts_of(visit)
    root = read_tree(given, _known(choices))
    root = root or tree_of(filter_of(request.query) or Audience(), _known(choices))
    if is_changed_by(root, given.get("do", "")):
        return await _form_page(visit, choices, root, given=given)
    builder = Builder(visit, root, choices)
    asked = segment.CreateSavedAudienceRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        saved_audience=SavedAudience(name=given.get("name", "").strip(), audience=builder.audience),
    )
    try:
        if builder.faults:
            return await _form_page(visit, choices, root, given=given, faults=builder.faults, status=422)
        made = await visit.call(visit.client.segment.CreateSavedAudience, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS | builder.names("audience"))
        return await _form_page(visit, choices, root, given=given, faults=faults, status=status_of(error))
    return visit.go(f"/audiences/{made.saved_audience.saved_audience_id}", noted("The audience is saved."))


@routes.get("/audiences/{audience_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """Asks for another name and other conditions."""
    visit = Visit.of(request)
    choices, audience = await asyncio.gather(choices_of(visit), _read(visit))
    given = {"name": audience.name, "etag": audience.etag}
    root = tree_of(audience.audience, _known(choices))
    return await _form_page(visit, choices, root, audience, given=given)


@routes.post("/audiences/{audience_id}/edit")
async def update(request: web.Request) -> web.Response:
    """Changes it, or the form."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    choices, audience = await asyncio.gather(choices_of(visit), _read(visit))
    root = read_tree(given, _known(choices)) or tree_of(audience.audience, _known(choices))
    if is_changed_by(root, given.get("do", "")):
        return await _form_page(visit, choices, root, audience, given=given)
    builder = Builder(visit, root, choices)
    changed = SavedAudience(
        saved_audience_id=audience.saved_audience_id,
        name=given.get("name", "").strip(),
        audience=builder.audience,
    )
    asked = segment.UpdateSavedAudienceRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        saved_audience=changed,
        update_mask=FieldMask(paths=["name", "audience"]),
        etag=given.get("etag", ""),
    )
    try:
        if builder.faults:
            return await _form_page(
                visit, choices, root, audience, given=given, faults=builder.faults, status=422
            )
        await visit.call(visit.client.segment.UpdateSavedAudience, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS | builder.names("audience"))
        return await _form_page(
            visit, choices, root, audience, given=given, faults=faults, status=status_of(error)
        )
    return visit.go(f"/audiences/{audience.saved_audience_id}", noted("The audience is changed."))


@routes.post("/audiences/builder")
async def draw(request: web.Request) -> web.Response:
    """For a script: the conditions of a form drawn anew, as a button of it asks, with line, count and faults."""
    visit = Visit.of(request)
    choices, given = await choices_of(visit), await texts_of(visit)
    root = read_tree(given, _known(choices)) or Item("group", items=[Item()])
    is_changed_by(root, given.get("do", ""))
    builder = Builder(visit, root, choices)
    await builder.look()
    return visit.render("audiences/builder_part.html", builder=builder, faults=builder.faults)


def _known(choices: Choices) -> dict[str, Attribute]:
    return {each.key: each for each in choices.attributes}


async def _form_page(
    visit: Visit,
    choices: Choices,
    root: Item,
    audience: SavedAudience | None = None,
    *,
    given: Mapping[str, str] | None = None,
    faults: Faults | None = None,
    status: int = 200,
) -> web.Response:
    """With the line and the count of what it says now."""
    builder = Builder(visit, root, choices)
    await builder.look()
    return visit.render(
        "audiences/edit.html",
        status=status,
        audience=audience,
        builder=builder,
        given=given or {},
        faults=faults or (builder.faults if given is not None and given.get("do") == "count" else Faults()),
    )


async def _read(visit: Visit) -> SavedAudience:
    asked = segment.GetSavedAudienceRequest(
        team_id=visit.team_id, saved_audience_id=id_of(visit.request.match_info["audience_id"])
    )
    found: SavedAudience = (await visit.call(visit.client.segment.GetSavedAudience, asked)).saved_audience
    return found


@routes.get("/audiences/{audience_id}")
async def shown(request: web.Request) -> web.Response:
    """One: its line, how many it reaches, the first of them, and what uses it."""
    return await _show_page(Visit.of(request))


async def _show_page(visit: Visit, status: int = 200, faults: Faults | None = None) -> web.Response:
    audience_id = id_of(visit.request.match_info["audience_id"])
    ids: dict[str, Any] = {"team_id": visit.team_id, "saved_audience_id": audience_id}
    client = visit.client.segment
    audience = await _read(visit)
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
