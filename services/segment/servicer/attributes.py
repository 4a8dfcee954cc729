# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Definitions of custom attributes."""

from __future__ import annotations

from typing import Any, Final

from libs.common.hints import NAME_LENGTH_MAX
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import changed_fields
from omnijourney.segment.v1 import attribute_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.audience_changes import operation_message
from services.segment.convert.checks import Check
from services.segment.convert.customers import attribute_message, read_attribute_key, read_attribute_type
from services.segment.convert.uses import user_message
from services.segment.domain.model import Attribute
from services.segment.servicer.base import Base
from services.segment.usecases.attributes import Archived, Deletion, Retyped
from services.segment.usecases.edits import Once

_MISFITS_MAX: Final = 20
_MISFIT_LENGTH_MAX: Final = 80


class AttributeRpcs(Base):
    """See the contract."""

    async def CreateAttribute(
        self, request: pb.CreateAttributeRequest, context: Any
    ) -> pb.CreateAttributeResponse:
        """A new definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        key = read_attribute_key(check, "attribute.key", request.attribute.key)
        name = check.name(
            "attribute.display_name", request.attribute.display_name or key, length_max=NAME_LENGTH_MAX
        )
        kind = read_attribute_type(check, "attribute.type", request.attribute.type)
        check.done()
        once = Once(team_id, request, pb.CreateAttributeResponse, _create_reply)
        return await self._deps.attributes.create(once, team_id, key, name, kind)

    async def GetAttribute(self, request: pb.GetAttributeRequest, context: Any) -> pb.GetAttributeResponse:
        """A definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        found = await self._deps.attributes.get(team_id, request.key)
        return pb.GetAttributeResponse(attribute=attribute_message(found))

    async def UpdateAttribute(
        self, request: pb.UpdateAttributeRequest, context: Any
    ) -> pb.UpdateAttributeResponse:
        """The changed definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.attribute
        mask = changed_fields(check, request.update_mask.paths, ("display_name", "type"), wanted)
        changes: dict[str, Any] = {}
        if "display_name" in mask:
            changes["display_name"] = check.name(
                "attribute.display_name", wanted.display_name, length_max=NAME_LENGTH_MAX
            )
        if "type" in mask:
            changes["type"] = read_attribute_type(check, "attribute.type", wanted.type)
        check.done()
        if request.convert_values:
            retyped = Once(team_id, request, pb.UpdateAttributeResponse, _retype_reply, _update_reply)
            return await self._deps.attributes.retype(retyped, team_id, wanted.key, request.etag, **changes)
        once = Once(team_id, request, pb.UpdateAttributeResponse, _update_reply)
        return await self._deps.attributes.change(once, team_id, wanted.key, request.etag, **changes)

    async def PreviewAttributeType(
        self, request: pb.PreviewAttributeTypeRequest, context: Any
    ) -> pb.PreviewAttributeTypeResponse:
        """What would fit."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        kind = read_attribute_type(check, "type", request.type)
        check.done()
        found = await self._deps.attributes.preview(team_id, request.key, kind)
        return pb.PreviewAttributeTypeResponse(
            value_count=found.value_count,
            fitting_count=found.fitting_count,
            misfits=[each[:_MISFIT_LENGTH_MAX] for each in found.misfits[:_MISFITS_MAX]],
        )

    async def ArchiveAttribute(
        self, request: pb.ArchiveAttributeRequest, context: Any
    ) -> pb.ArchiveAttributeResponse:
        """The archived definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        once = Once(team_id, request, pb.ArchiveAttributeResponse, _archive_reply)
        return await self._deps.attributes.archive(
            once, team_id, request.key, request.etag, unless_used=request.unless_used
        )

    async def RestoreAttribute(
        self, request: pb.RestoreAttributeRequest, context: Any
    ) -> pb.RestoreAttributeResponse:
        """The restored definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        once = Once(team_id, request, pb.RestoreAttributeResponse, _restore_reply)
        return await self._deps.attributes.change(once, team_id, request.key, request.etag, archived=False)

    async def DeleteAttribute(
        self, request: pb.DeleteAttributeRequest, context: Any
    ) -> pb.DeleteAttributeResponse:
        """Starts to delete it with its values."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        once = Once(team_id, request, pb.DeleteAttributeResponse, _delete_reply, _update_reply)
        return await self._deps.attributes.delete(
            once, team_id, request.key, request.etag, force=request.force
        )

    async def MergeAttributes(
        self, request: pb.MergeAttributesRequest, context: Any
    ) -> pb.MergeAttributesResponse:
        """Starts to give the values of one to another."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        if request.key == request.into_key:
            check.fault("into_key", "is the attribute that goes: name the one that stays")
        check.done()
        once = Once(team_id, request, pb.MergeAttributesResponse, _merge_reply, _update_reply)
        return await self._deps.attributes.merge(
            once, team_id, request.key, request.into_key, request.etag, force=request.force
        )

    async def ListAttributes(
        self, request: pb.ListAttributesRequest, context: Any
    ) -> pb.ListAttributesResponse:
        """Definitions in order of their keys."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        archived = None
        if request.state:
            archived = request.state == attribute_pb2.ATTRIBUTE_STATE_ARCHIVED
        size = page_size(request.page_size)
        after = page_key(request.page_token, str, "attributes", team_id, archived)
        found = await self._deps.attributes.page(
            team_id, after=after or "", archived=archived, row_max=size + 1
        )
        page = page_of(found, size, lambda each: each.key, "attributes", team_id, archived)
        return pb.ListAttributesResponse(
            attributes=map(attribute_message, page.rows), next_page_token=page.next_token
        )


def _create_reply(attribute: Attribute) -> pb.CreateAttributeResponse:
    return pb.CreateAttributeResponse(attribute=attribute_message(attribute))


def _update_reply(attribute: Attribute) -> pb.UpdateAttributeResponse:
    return pb.UpdateAttributeResponse(attribute=attribute_message(attribute))


def _retype_reply(retyped: Retyped) -> pb.UpdateAttributeResponse:
    operation = operation_message(retyped.change) if retyped.change else None
    return pb.UpdateAttributeResponse(attribute=attribute_message(retyped.attribute), operation=operation)


def _archive_reply(archived: Archived) -> pb.ArchiveAttributeResponse:
    users = map(user_message, archived.users)
    return pb.ArchiveAttributeResponse(attribute=attribute_message(archived.attribute), users=users)


def _delete_reply(deletion: Deletion) -> pb.DeleteAttributeResponse:
    return pb.DeleteAttributeResponse(
        operation=operation_message(deletion.change), users=map(user_message, deletion.users)
    )


def _merge_reply(deletion: Deletion) -> pb.MergeAttributesResponse:
    return pb.MergeAttributesResponse(
        operation=operation_message(deletion.change), users=map(user_message, deletion.users)
    )


def _restore_reply(attribute: Attribute) -> pb.RestoreAttributeResponse:
    return pb.RestoreAttributeResponse(attribute=attribute_message(attribute))
