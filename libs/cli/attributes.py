"""`omnijourney attribute …`: custom attributes, their types, and what of their values fits another type."""

from __future__ import annotations

from typing import Final

from libs.cli.answers import json_of, tell
from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.journeys import Command
from libs.cli.listings import at_most
from libs.cli.tags import show_users, wait
from libs.client import Client
from libs.client.long_work import ended
from libs.client.paging import items
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.segment.v1 import attribute_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

_TIMEOUT_S: Final = 30.0


def show(team_id: str, limit: int = 0, *, archived: bool, as_json: bool = False) -> Command:
    """Lists attributes in order of their keys; 0 is no limit."""

    async def command(client: Client) -> int:
        state = (
            attribute_pb2.ATTRIBUTE_STATE_UNSPECIFIED if archived else attribute_pb2.ATTRIBUTE_STATE_ACTIVE
        )
        request = pb.ListAttributesRequest(team_id=team_id, state=state, page_size=500)
        found = items(client.segment.ListAttributes, request, "attributes", timeout_s=_TIMEOUT_S)
        async for each in at_most(limit, found):
            say(json_of(each) if as_json else _line(each))
        return 0

    return command


def create(team_id: str, key: str, kind: str, name: str, *, as_json: bool = False) -> Command:
    """Defines an attribute."""

    async def command(client: Client) -> int:
        attribute = attribute_pb2.Attribute(key=key, display_name=name or key, type=_type(kind))
        request = pb.CreateAttributeRequest(team_id=team_id, request_id=str(new_id()), attribute=attribute)
        made = (await client.segment.CreateAttribute(request, timeout=_TIMEOUT_S)).attribute
        tell(made, _line(made), as_json=as_json)
        return 0

    return command


def rename(team_id: str, key: str, name: str, *, as_json: bool = False) -> Command:
    """Gives an attribute another name to be shown by."""
    return _update(
        team_id, attribute_pb2.Attribute(key=key, display_name=name), convert=False, as_json=as_json
    )


def retype(
    team_id: str, key: str, kind: str, *, preview: bool, convert: bool, as_json: bool = False
) -> Command:
    """Gives an attribute another type, or with `preview` says which of its values would fit. `convert` keeps those
    that do, and waits until that is done."""
    if not preview:
        wanted = attribute_pb2.Attribute(key=key, type=_type(kind))
        return _update(team_id, wanted, convert=convert, as_json=as_json)

    async def command(client: Client) -> int:
        request = pb.PreviewAttributeTypeRequest(team_id=team_id, key=key, type=_type(kind))
        found = await client.segment.PreviewAttributeType(request, timeout=_TIMEOUT_S)
        tell(found, f"{found.fitting_count:,} of {found.value_count:,} values fit {kind}", as_json=as_json)
        for each in () if as_json else found.misfits:
            say(f"  does not fit: {each}")
        return 0

    return command


def archive(team_id: str, key: str, *, as_json: bool = False) -> Command:
    """Puts an attribute away: it keeps its values, and is no more to be named."""

    async def command(client: Client) -> int:
        request = pb.ArchiveAttributeRequest(team_id=team_id, request_id=str(new_id()), key=key)
        changed = (await client.segment.ArchiveAttribute(request, timeout=_TIMEOUT_S)).attribute
        tell(changed, _line(changed), as_json=as_json)
        return 0

    return command


def restore(team_id: str, key: str, *, as_json: bool = False) -> Command:
    """Takes an attribute that was put away into use again."""

    async def command(client: Client) -> int:
        request = pb.RestoreAttributeRequest(team_id=team_id, request_id=str(new_id()), key=key)
        changed = (await client.segment.RestoreAttribute(request, timeout=_TIMEOUT_S)).attribute
        tell(changed, _line(changed), as_json=as_json)
        return 0

    return command


def delete(team_id: str, key: str, *, force: bool, as_json: bool = False) -> Command:
    """Deletes an attribute with everyone's value of it, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.DeleteAttributeRequest(team_id=team_id, request_id=str(new_id()), key=key, force=force)
        started = await client.segment.DeleteAttribute(request, timeout=_TIMEOUT_S)
        show_users(started.users, "names the attribute")
        return await wait(client, started.operation, as_json=as_json)

    return command


def merge(team_id: str, key: str, into_key: str, *, force: bool, as_json: bool = False) -> Command:
    """Gives everyone's value of an attribute to another one, deletes the attribute, and waits until that is done."""

    async def command(client: Client) -> int:
        request = pb.MergeAttributesRequest(
            team_id=team_id, request_id=str(new_id()), key=key, into_key=into_key, force=force
        )
        started = await client.segment.MergeAttributes(request, timeout=_TIMEOUT_S)
        show_users(started.users, "names the attribute")
        return await wait(client, started.operation, as_json=as_json)

    return command


def _update(team_id: str, attribute: attribute_pb2.Attribute, *, convert: bool, as_json: bool) -> Command:
    async def command(client: Client) -> int:
        request = pb.UpdateAttributeRequest(
            team_id=team_id, request_id=str(new_id()), attribute=attribute, convert_values=convert
        )
        changed = await client.segment.UpdateAttribute(request, timeout=_TIMEOUT_S)
        tell(changed.attribute, _line(changed.attribute), as_json=as_json)
        if not changed.HasField("operation"):
            return 0
        found = await ended(client, "segment", changed.operation)
        if found.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
            complain(found.error.message or operation_pb2.OperationState.Name(found.state))
            return EXIT_FAULT
        tell(found, f"{found.done_count:,} values looked at", as_json=as_json)
        return 0

    return command


def _line(attribute: attribute_pb2.Attribute) -> str:
    kind = attribute_pb2.AttributeType.Name(attribute.type).removeprefix("ATTRIBUTE_TYPE_").lower()
    archived = "  archived" if attribute.state == attribute_pb2.ATTRIBUTE_STATE_ARCHIVED else ""
    return f"{attribute.key}  {kind}  {attribute.display_name}{archived}"


def _type(kind: str) -> attribute_pb2.AttributeType.ValueType:
    """A type of the contract by its name there, in small letters."""
    return attribute_pb2.AttributeType.Value(f"ATTRIBUTE_TYPE_{kind.upper()}")
