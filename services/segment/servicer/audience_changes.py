# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Tags renamed and deleted, and traits changed, of everyone in an audience; shown as operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.audience.values import KEY, TEXT_LENGTH_MAX
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from libs.common.text import fold
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.audience_changes import operation_message
from services.segment.convert.checks import TAG_LENGTH_MAX, Check
from services.segment.convert.uses import user_message
from services.segment.domain.audience_changes import AudienceChange
from services.segment.servicer.base import Base
from services.segment.usecases.audience_changes import AudienceChanges, Started, Wanted
from services.segment.usecases.edits import Once

_CHANGES_MAX: Final = 50
"""Tags to add, tags to remove, attributes to set, each."""


class AudienceChangeRpcs(Base):
    """See the contract."""

    async def RenameTag(self, request: pb.RenameTagRequest, context: Any) -> pb.RenameTagResponse:
        """Starts to rename."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        tag = check.name("tag", request.tag, length_max=TAG_LENGTH_MAX)
        new_tag = check.name("new_tag", request.new_tag, length_max=TAG_LENGTH_MAX)
        check.done()
        once = Once(team_id, request, pb.RenameTagResponse, _rename_reply)
        return await self._deps.audience_changes.rename_tag(once, team_id, tag, new_tag, merge=request.merge)

    async def DeleteTag(self, request: pb.DeleteTagRequest, context: Any) -> pb.DeleteTagResponse:
        """Starts to take the tag from everyone."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        tag = check.name("tag", request.tag, length_max=TAG_LENGTH_MAX)
        check.done()
        once = Once(team_id, request, pb.DeleteTagResponse, _delete_reply)
        return await self._deps.audience_changes.delete_tag(once, team_id, tag, force=request.force)

    async def StartCustomerChange(
        self, request: pb.StartCustomerChangeRequest, context: Any
    ) -> pb.StartCustomerChangeResponse:
        """Starts to change everyone in the audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        add, remove = check.tags("add_tags", request.add_tags), check.tags("remove_tags", request.remove_tags)
        _check_apart(check, add, remove)
        check.count("set_attributes", request.set_attributes, most=_CHANGES_MAX)
        for key, text in request.set_attributes.items():
            if not KEY.fullmatch(key):
                check.fault("set_attributes", "has a key that no attribute can have")
            check.text(f"set_attributes[{key[:64]}]", text, length_max=TEXT_LENGTH_MAX, length_min=1)
        if not (add or remove or request.set_attributes):
            check.fault("add_tags", "give a tag to add, a tag to remove, or an attribute to set")
        check.done()
        once = Once(team_id, request, pb.StartCustomerChangeResponse, _change_reply)
        wanted = Wanted(
            request.audience, add, remove, dict(request.set_attributes), triggers=request.triggers
        )
        return await self._deps.audience_changes.change(once, team_id, wanted)


def _check_apart(check: Check, add: Sequence[str], remove: Sequence[str]) -> None:
    if {fold(tag) for tag in add} & {fold(tag) for tag in remove}:
        check.fault("remove_tags", "names a tag that is to be added as well")


class AudienceChangeOperations(Unpausable):
    """Changes of audiences are operations under their own ids."""

    def __init__(self, changes: AudienceChanges) -> None:
        """Of the servicer."""
        self._changes = changes

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return operation_message(await self._changes.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._changes.page(team_id, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.created_at, last.change_id) if last else None
        return OperationPage(list(map(operation_message, found[:limit])), following)

    async def cancel(
        self, request: operations_service_pb2.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations_service_pb2.CancelOperationResponse:
        """See `Operations`."""
        form = operations_service_pb2.CancelOperationResponse
        once: Once[AudienceChange, operations_service_pb2.CancelOperationResponse] = Once(
            team_id, request, form, lambda found: form(operation=operation_message(found))
        )
        return await self._changes.cancel(once, (team_id, operation_id))


def _rename_reply(started: Started) -> pb.RenameTagResponse:
    return pb.RenameTagResponse(
        operation=operation_message(started.change), users=map(user_message, started.users)
    )


def _delete_reply(started: Started) -> pb.DeleteTagResponse:
    return pb.DeleteTagResponse(
        operation=operation_message(started.change), users=map(user_message, started.users)
    )


def _change_reply(started: Started) -> pb.StartCustomerChangeResponse:
    return pb.StartCustomerChangeResponse(operation=operation_message(started.change))
