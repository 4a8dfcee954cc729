# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Definitions of custom attributes. Every change is told in the history, since running journeys may depend on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, transaction
from libs.common.errors import NotFound
from libs.common.paging import page_key, page_size, page_token
from omnijourney.segment.v1 import attribute_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import NAME_LENGTH_MAX, Check
from services.segment.convert.customers import attribute_message, read_attribute_key, read_attribute_type
from services.segment.domain.facts import Fact
from services.segment.domain.model import Attribute
from services.segment.servicer.base import Base, check_etag, read_mask
from services.segment.store import attributes, teams
from services.segment.worker.writers import ids_of

_BATCH_MAX: Final = 500


class AttributeCalls(Base):
    """See the contract."""

    async def CreateAttribute(
        self, request: pb.CreateAttributeRequest, context: Any
    ) -> pb.CreateAttributeResponse:
        """A new definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        key = read_attribute_key(check, "attribute.key", request.attribute.key)
        name = check.line(
            "attribute.display_name", request.attribute.display_name or key, length_max=NAME_LENGTH_MAX
        )
        kind = read_attribute_type(check, "attribute.type", request.attribute.type)
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.CreateAttributeResponse:
            await teams.load_team(connection, team_id)
            now = self._parts.clock.now()
            defined = await attributes.insert_attribute(connection, team_id, key, name, kind, now=now)
            facts += await attributes.tell_definition(connection, defined, 0, now, ids_of(now))
            return pb.CreateAttributeResponse(attribute=attribute_message(defined))

        return await self._write(team_id, request, pb.CreateAttributeResponse, work)

    async def GetAttribute(self, request: pb.GetAttributeRequest, context: Any) -> pb.GetAttributeResponse:
        """A definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        async with transaction(self._parts.pool, [team_id]) as connection:
            found = await attributes.find_attributes(connection, [(team_id, request.key)])
        if not found:
            raise NotFound.of("attribute", request.key)
        return pb.GetAttributeResponse(attribute=attribute_message(found[team_id, request.key]))

    async def UpdateAttribute(
        self, request: pb.UpdateAttributeRequest, context: Any
    ) -> pb.UpdateAttributeResponse:
        """The changed definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.attribute
        mask = read_mask(check, request.update_mask, ("display_name", "type"))
        changes: dict[str, Any] = {}
        if "display_name" in mask:
            changes["display_name"] = check.line(
                "attribute.display_name", wanted.display_name, length_max=NAME_LENGTH_MAX
            )
        if "type" in mask:
            changes["type"] = read_attribute_type(check, "attribute.type", wanted.type)
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.UpdateAttributeResponse:
            changed = await self._change(
                connection,
                (team_id, wanted.key, wanted.etag),
                lambda a: msgspec.structs.replace(a, **changes),
                facts,
            )
            return pb.UpdateAttributeResponse(attribute=attribute_message(changed))

        return await self._write(team_id, request, pb.UpdateAttributeResponse, work)

    async def ArchiveAttribute(
        self, request: pb.ArchiveAttributeRequest, context: Any
    ) -> pb.ArchiveAttributeResponse:
        """The archived definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.ArchiveAttributeResponse:
            named = (team_id, request.key, request.etag)
            changed = await self._change(connection, named, _archived, facts)
            return pb.ArchiveAttributeResponse(attribute=attribute_message(changed))

        return await self._write(team_id, request, pb.ArchiveAttributeResponse, work)

    async def RestoreAttribute(
        self, request: pb.RestoreAttributeRequest, context: Any
    ) -> pb.RestoreAttributeResponse:
        """The restored definition."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.RestoreAttributeResponse:
            named = (team_id, request.key, request.etag)
            changed = await self._change(connection, named, _restored, facts)
            return pb.RestoreAttributeResponse(attribute=attribute_message(changed))

        return await self._write(team_id, request, pb.RestoreAttributeResponse, work)

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
        async with transaction(self._parts.pool, [team_id]) as connection:
            found = await attributes.list_attributes(
                connection, team_id, after=after or "", archived=archived, row_max=size + 1
            )
        token = page_token(found[size - 1].key, "attributes", team_id, archived) if len(found) > size else ""
        return pb.ListAttributesResponse(
            attributes=map(attribute_message, found[:size]), next_page_token=token
        )

    async def _change(
        self,
        connection: Connection,
        named: tuple[UUID, str, str],
        change: Callable[[Attribute], Attribute],
        facts: list[Fact],
    ) -> Attribute:
        """Changes the definition named by team, key and etag; a change that changes nothing tells nothing."""
        team_id, key, etag = named
        present = await attributes.lock_attribute(connection, team_id, key)
        check_etag(etag, present.revision)
        wanted = change(present)
        if wanted == present:
            return present
        now = self._parts.clock.now()
        changed = await attributes.update_attribute(connection, wanted, now)
        facts += await attributes.tell_definition(connection, changed, present.type, now, ids_of(now))
        return changed


def _archived(attribute: Attribute) -> Attribute:
    return msgspec.structs.replace(attribute, archived=True)


def _restored(attribute: Attribute) -> Attribute:
    return msgspec.structs.replace(attribute, archived=False)
