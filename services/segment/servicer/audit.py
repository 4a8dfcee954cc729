# ruff: noqa: N802 - the generated base names the methods and their arguments
"""The audit log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.audit import entry_message
from services.segment.convert.checks import Check
from services.segment.domain.audit import AuditFilter
from services.segment.servicer.base import NO_TEAM, Base


class AuditRpcs(Base):
    """See the contract."""

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Any
    ) -> pb.ListAuditEntriesResponse:
        """Who changed what, newest first."""
        check = Check()
        team_id = check.optional_uuid("team_id", request.team_id)
        start_at, end_at = check.range(request)
        check.done()
        wanted = AuditFilter(request.actor, request.resource_type, request.resource_id, start_at, end_at)
        size = page_size(request.page_size)
        arguments = ("audit entries", team_id or NO_TEAM, *wanted)
        before_id = page_key(request.page_token, UUID, *arguments)
        found = await self._deps.audit_trail.page(team_id, wanted, before_id, size + 1)
        page = page_of(found, size, lambda last: last.audit_entry_id, *arguments)
        return pb.ListAuditEntriesResponse(
            audit_entries=map(entry_message, page.rows), next_page_token=page.next_token
        )
