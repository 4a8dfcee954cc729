"""Custom attributes: made, renamed, given another type after a look at what fits, put away, brought back, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.labels import ENDED, OPERATION_STATES
from libs.console.languages import noted
from libs.console.pages.customers import id_of
from libs.console.partial import part
from libs.console.used_by import audiences_using, journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import attribute_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import Attribute

routes = web.RouteTableDef()

TYPES: Final[Mapping[int, str]] = {
    attribute_pb2.ATTRIBUTE_TYPE_TEXT: noted("Text"),
    attribute_pb2.ATTRIBUTE_TYPE_NUMBER: noted("Number"),
    attribute_pb2.ATTRIBUTE_TYPE_DATE: noted("Date"),
    attribute_pb2.ATTRIBUTE_TYPE_BOOLEAN: noted("Yes or no"),
}
_OTHERS_MAX: Final = 500
"""Attributes of the team among which one to be made one with is looked for."""
_FIELDS: Final = {
    "attribute.key": "key",
    "attribute.display_name": "display_name",
    "attribute.type": "type",
    "type": "type",
}


@routes.get("/settings/attributes")
async def listing(request: web.Request) -> web.Response:
    """All of the team's, those that are put away as well."""
    return await _list_page(Visit.of(request))


@routes.post("/settings/attributes")
async def create(request: web.Request) -> web.Response:
    """Makes one."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    attribute = Attribute(
        key=given.get("key", "").strip(),
        display_name=given.get("display_name", "").strip(),
        type=_type(given),
    )
    asked = segment.CreateAttributeRequest(
        team_id=visit.team_id, request_id=given["request_id"], attribute=attribute
    )
    try:
        await visit.call(visit.client.segment.CreateAttribute, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _list_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(request.path, noted("The attribute is there."))


@routes.get("/settings/attributes/{key}")
async def shown(request: web.Request) -> web.Response:
    """One, and what uses it."""
    return await _show_page(Visit.of(request))


@routes.post("/settings/attributes/{key}")
async def update(request: web.Request) -> web.Response:
    """Renames it."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    changed = Attribute(key=request.match_info["key"], display_name=given.get("display_name", "").strip())
    asked = segment.UpdateAttributeRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        attribute=changed,
        update_mask=FieldMask(paths=["display_name"]),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.segment.UpdateAttribute, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(request.path, noted("The attribute is renamed."))


@routes.post("/settings/attributes/{key}/type")
async def change_type(request: web.Request) -> web.Response:
    """Says which values fit another type; changes it where that was seen."""
    visit = Visit.of(request)
    given, key = await texts_of(visit), request.match_info["key"]
    client, kind = visit.client.segment, _type(given)
    try:
        if given.get("do") != "change":
            asked = segment.PreviewAttributeTypeRequest(team_id=visit.team_id, key=key, type=kind)
            preview = await visit.call(client.PreviewAttributeType, asked)
            return await _show_page(visit, given=given, preview=preview)
        answer = await visit.call(
            client.UpdateAttribute,
            segment.UpdateAttributeRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                attribute=Attribute(key=key, type=kind),
                update_mask=FieldMask(paths=["type"]),
                etag=given.get("etag", ""),
                convert_values=given.get("convert") == "1",
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    if answer.HasField("operation"):
        path = f"/settings/work/{answer.operation.operation_id}"
        return visit.go(path, noted("The type is changed. Values that fit are taken over."))
    return visit.go(f"/settings/attributes/{key}", noted("The type is changed."))


@routes.post("/settings/attributes/{key}/{action:archive|restore}")
async def put_away(request: web.Request) -> web.Response:
    """Puts it away, while something uses it only where that was said; or brings it back."""
    visit = Visit.of(request)
    given, key = await texts_of(visit), request.match_info["key"]
    fields: dict[str, Any] = {"team_id": visit.team_id, "request_id": given["request_id"], "key": key}
    client = visit.client.segment
    archives = request.match_info["action"] == "archive"
    try:
        if archives:
            unless_used = given.get("force") != "1"
            asked = segment.ArchiveAttributeRequest(unless_used=unless_used, **fields)
            await visit.call(client.ArchiveAttribute, asked)
        else:
            await visit.call(client.RestoreAttribute, segment.RestoreAttributeRequest(**fields))
    except CallError as error:
        return await _show_page(visit, status=status_of(error), faults=refusal(visit, error, {}))
    done = (
        noted("The attribute is archived. Its values are kept.")
        if archives
        else noted("The attribute is back, with its values.")
    )
    return visit.go(f"/settings/attributes/{key}", done)


@routes.post("/settings/attributes/{key}/delete")
async def delete(request: web.Request) -> web.Response:
    """Begins to delete it with its values; while something uses it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = segment.DeleteAttributeRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        key=request.match_info["key"],
        force=given.get("force") == "1",
    )
    try:
        answer = await visit.call(visit.client.segment.DeleteAttribute, asked)
    except CallError as error:
        return await _show_page(visit, status=status_of(error), faults=refusal(visit, error, {}))
    return visit.go(
        f"/settings/work/{answer.operation.operation_id}",
        noted("The attribute is being deleted, with everybody's value of it."),
    )


@routes.post("/settings/attributes/{key}/merge")
async def merge(request: web.Request) -> web.Response:
    """Begins to make it one with another, which stays; while something uses it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = segment.MergeAttributesRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        key=request.match_info["key"],
        into_key=given.get("into_key", ""),
        force=given.get("force") == "1",
    )
    try:
        answer = await visit.call(visit.client.segment.MergeAttributes, asked)
    except CallError as error:
        faults = refusal(visit, error, {"into_key": "into_key"})
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(
        f"/settings/work/{answer.operation.operation_id}",
        noted("The two attributes become one. What names this one goes on naming it: change it there."),
    )


@routes.get("/settings/work/{operation_id}")
async def work(request: web.Request) -> web.Response:
    """How far work on attributes or tags is."""
    visit = Visit.of(request)
    answer = await visit.call(
        visit.client.operations("segment").GetOperation,
        operations.GetOperationRequest(
            team_id=visit.team_id, operation_id=id_of(request.match_info["operation_id"])
        ),
    )
    return visit.render(
        "settings/work_part.html" if visit.is_part else "settings/work.html",
        operation=answer.operation,
        has_ended=answer.operation.state in ENDED,
        states=OPERATION_STATES,
    )


async def _list_page(
    visit: Visit, *, status: int = 200, given: Mapping[str, str] | None = None, faults: Faults | None = None
) -> web.Response:
    asked = segment.ListAttributesRequest(
        team_id=visit.team_id, page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", "")
    )
    page = await visit.call(visit.client.segment.ListAttributes, asked)
    return visit.render(
        "settings/attributes.html",
        status=status,
        attributes=page.attributes,
        types=TYPES,
        type_options=_options(visit),
        archived=attribute_pb2.ATTRIBUTE_STATE_ARCHIVED,
        next_link=visit.page_link(page.next_page_token),
        given=given or {},
        faults=faults or Faults(),
    )


async def _show_page(
    visit: Visit,
    *,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    faults: Faults | None = None,
    preview: segment.PreviewAttributeTypeResponse | None = None,
) -> web.Response:
    key = visit.request.match_info["key"][:100]
    asked = segment.GetAttributeRequest(team_id=visit.team_id, key=key)
    attribute = (await visit.call(visit.client.segment.GetAttribute, asked)).attribute
    journeys, audiences, others = await asyncio.gather(
        journeys_using(visit, attribute_key=key),
        part(visit, audiences_using(visit, attribute_key=key)),
        _alike(visit, attribute),
    )
    return visit.render(
        "settings/attribute.html",
        status=status,
        attribute=attribute,
        is_archived=attribute.state == attribute_pb2.ATTRIBUTE_STATE_ARCHIVED,
        types=TYPES,
        type_options=[each for each in _options(visit) if each[0] != str(attribute.type)],
        others=[(each.key, f"{each.display_name or each.key} ({each.key})") for each in others],
        journeys=journeys,
        audiences=audiences,
        preview=preview,
        given=given or {},
        faults=faults or Faults(),
    )


async def _alike(visit: Visit, attribute: Attribute) -> list[Attribute]:
    """Those that it can be made one with: active, of its type."""
    asked = segment.ListAttributesRequest(
        team_id=visit.team_id, state=attribute_pb2.ATTRIBUTE_STATE_ACTIVE, page_size=_OTHERS_MAX
    )
    found = (await visit.call(visit.client.segment.ListAttributes, asked)).attributes
    return [each for each in found if each.type == attribute.type and each.key != attribute.key]


def _type(given: Mapping[str, str]) -> attribute_pb2.AttributeType.ValueType:
    kind = number_of(given.get("type", ""))
    return attribute_pb2.AttributeType.ValueType(kind if kind in TYPES else 0)


def _options(visit: Visit) -> list[tuple[str, str]]:
    return [(str(kind), visit.say(name)) for kind, name in TYPES.items()]
